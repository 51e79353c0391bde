#include "services/net/proxy_reader.h"

#include <gtest/gtest.h>

#include <array>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <string>

namespace gatepost::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kHeader = "PROXY TCP4 192.0.2.1 198.51.100.2 4660 25\r\n";

// A proxy that says what the test tells it, on a socket of loopback, and the stream that it is read from.
class ProxyReaderTest : public testing::Test {
 protected:
  ProxyReaderTest() : proxy_(context_) {
    asio::ip::tcp::acceptor acceptor(context_, {asio::ip::address_v4::loopback(), 0});
    proxy_.connect(acceptor.local_endpoint());
    proxy_.set_option(asio::ip::tcp::no_delay(true));
    stream_ = std::make_unique<TcpStream>(acceptor.accept(), base::Endpoint());
  }

  void Say(std::string_view octets) { asio::write(proxy_, asio::buffer(octets)); }
  // Begins to read; the result comes while the loop runs.
  void Begin(base::Duration patience = seconds(20)) {
    const base::MonotonicTime deadline = std::chrono::steady_clock::now() + patience;
    asio::co_spawn(context_, ReadProxyHeader(*stream_, deadline), [this](std::exception_ptr, ProxyReadResult result) {
      result_ = std::move(result);
      done_ = true;
    });
  }
  const ProxyReadResult& Await() {
    while (!done_) context_.run_one();
    return result_;
  }
  std::string WhatIsLeft() {
    std::array<char, 64> space;
    const ssize_t n = ::recv(stream_->descriptor(), space.data(), space.size(), MSG_DONTWAIT);
    return n > 0 ? std::string(space.data(), static_cast<size_t>(n)) : std::string();
  }

  asio::io_context context_{1};
  asio::ip::tcp::socket proxy_;
  std::unique_ptr<TcpStream> stream_;
  ProxyReadResult result_;
  bool done_ = false;
};

TEST_F(ProxyReaderTest, NotAnOctetBeyondTheHeaderIsTaken) {
  Say(std::string(kHeader) + "EHLO a\r\n");
  Begin();
  ASSERT_FALSE(Await().ec);
  EXPECT_EQ(result_.header.connection->source.ToString(), "192.0.2.1:4660");
  EXPECT_EQ(WhatIsLeft(), "EHLO a\r\n");
}

TEST_F(ProxyReaderTest, TheHeaderMayComeInAnyPieces) {
  Begin();
  for (const char octet : kHeader.substr(0, kHeader.size() - 1)) {
    Say({&octet, 1});
    context_.poll();
    ASSERT_FALSE(done_);
  }
  Say("\nx");
  ASSERT_FALSE(Await().ec);
  EXPECT_EQ(WhatIsLeft(), "x");
}

TEST_F(ProxyReaderTest, WhatIsNoHeaderIsABadMessageAtOnce) {
  Say("EH");
  Begin();
  EXPECT_EQ(Await().ec, std::errc::bad_message);
}

TEST_F(ProxyReaderTest, TheDeadlineIsForAllOfIt) {
  Begin(milliseconds(50));
  Say("PROXY ");
  EXPECT_EQ(Await().ec, std::errc::timed_out);
}

TEST_F(ProxyReaderTest, TheEndEndsIt) {
  Say("PROXY ");
  proxy_.shutdown(asio::ip::tcp::socket::shutdown_send);
  Begin();
  EXPECT_EQ(Await().ec, asio::error::eof);
}

TEST_F(ProxyReaderTest, AResetEndsIt) {
  proxy_.set_option(asio::socket_base::linger(true, 0));
  proxy_.close();
  Begin();
  EXPECT_TRUE(Await().ec);
}

}  // namespace
}  // namespace gatepost::net
