#include "services/net/tcp_stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <new>
#include <vector>

#include "services/net/connect.h"
#include "services/net/listener.h"
#include "services/net/resolver.h"

namespace gatepost::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

MonotonicTime In(base::Duration duration) { return std::chrono::steady_clock::now() + duration; }

// A connected pair over loopback, and a loop to run coroutines on.
class TcpStreamTest : public testing::Test {
 protected:
  void SetUp() override {
    auto listener = Listener::Open(context_, *base::Endpoint::Parse("127.0.0.1:0"));
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    listener_->Start([this](asio::ip::tcp::socket socket, const base::Endpoint& peer) {
      server_ = std::make_unique<TcpStream>(std::move(socket), peer);
    });
    Run(Dial(listener_->endpoint()));
    while (server_ == nullptr) context_.run_one();
  }

  asio::awaitable<void> Dial(base::Endpoint endpoint) {
    ConnectResult result = co_await Connect(endpoint, In(seconds(5)));
    EXPECT_FALSE(result.ec) << result.ec.message();
    client_ = std::move(result.stream);
  }

  // Until the coroutine has ended.
  void Run(asio::awaitable<void> what) {
    bool done = false;
    asio::co_spawn(context_, std::move(what), [&done](std::exception_ptr failure) {
      done = true;
      if (failure) std::rethrow_exception(failure);
    });
    while (!done) context_.run_one();
  }

  asio::awaitable<void> Read(TcpStream& stream, IoResult* result) {
    std::array<char, 64> space;
    *result = co_await stream.ReadSome(space);
  }
  asio::awaitable<void> WriteText(TcpStream& stream, std::string text, std::error_code* error) {
    const std::array<std::string_view, 1> pieces{text};
    *error = co_await stream.Write(pieces);
  }

  asio::io_context context_{1};
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<TcpStream> client_;
  std::unique_ptr<TcpStream> server_;
  std::error_code ignored_;
};

TEST_F(TcpStreamTest, PiecesArriveInOrderAndTheEndIsEof) {
  std::error_code error;
  Run([](TcpStream& stream, std::error_code* out) -> asio::awaitable<void> {
    const std::array<std::string_view, 4> pieces{"one ", "", "two ", "three"};
    *out = co_await stream.Write(pieces);
    if (!*out) *out = co_await stream.ShutdownGracefully(" last");
  }(*client_, &error));
  EXPECT_FALSE(error);
  std::string got;
  Run([](TcpStream& stream, std::string* all) -> asio::awaitable<void> {
    std::array<char, 3> space;
    for (;;) {
      const IoResult result = co_await stream.ReadSome(space);
      if (result.ec) {
        EXPECT_EQ(result.ec, asio::error::eof);
        co_return;
      }
      all->append(space.data(), result.n);
    }
  }(*server_, &got));
  EXPECT_EQ(got, "one two three last");
}

// Small replies leave at once, whoever has connected.
TEST_F(TcpStreamTest, BothEndsKnowEachOtherAndHaveNoDelay) {
  EXPECT_EQ(client_->peer(), listener_->endpoint());
  EXPECT_EQ(server_->local(), listener_->endpoint());
  EXPECT_EQ(server_->peer(), client_->local());
  for (TcpStream* stream : {client_.get(), server_.get()}) {
    int set = 0;
    socklen_t size = sizeof set;
    ASSERT_EQ(getsockopt(stream->descriptor(), IPPROTO_TCP, TCP_NODELAY, &set, &size), 0);
    EXPECT_EQ(set, 1);
  }
}

TEST_F(TcpStreamTest, AReadPastItsDeadlineTimesOutAndTheStreamGoesOn) {
  IoResult result;
  server_->SetReadDeadline(In(milliseconds(30)));
  Run(Read(*server_, &result));
  EXPECT_EQ(result.ec, std::errc::timed_out);
  server_->SetReadDeadline(In(seconds(5)));
  std::error_code error;
  Run(WriteText(*client_, "late", &error));
  Run(Read(*server_, &result));
  EXPECT_FALSE(result.ec) << result.ec.message();
  EXPECT_EQ(result.n, 4u);
}

TEST_F(TcpStreamTest, WhatIsThereIsReadThoughTheDeadlineIsOver) {
  std::error_code error;
  Run(WriteText(*server_, "question", &error));  // Whoever has spoken waits before it looks.
  Run(WriteText(*client_, "answer", &error));
  IoResult result;
  server_->SetReadDeadline(In(milliseconds(0)));
  Run(Read(*server_, &result));
  EXPECT_FALSE(result.ec) << result.ec.message();
  EXPECT_EQ(result.n, 6u);
  Run(WriteText(*server_, "question", &error));
  Run(Read(*server_, &result));
  EXPECT_EQ(result.ec, std::errc::timed_out);
}

// However reads that look first and reads that wait first follow each other, and wherever octets stay behind, none is
// waited for that is there already.
TEST_F(TcpStreamTest, AnswersAreReadWheneverTheyCame) {
  const auto read = [](TcpStream& stream, size_t most, std::string* got) -> asio::awaitable<void> {
    std::array<char, 64> space;
    const IoResult result = co_await stream.ReadSome(std::span(space).first(most));
    EXPECT_FALSE(result.ec) << result.ec.message();
    got->assign(space.data(), result.n);
  };
  std::error_code error;
  std::string got;
  server_->SetReadDeadline(In(seconds(20)));
  for (int round = 0; round < 3; ++round) {
    Run(WriteText(*server_, "question", &error));
    Run(WriteText(*client_, "first answer", &error));  // It is there before it is waited for.
    Run(read(*server_, 64, &got));
    EXPECT_EQ(got, "first answer");
    Run(WriteText(*server_, "question", &error));
    asio::co_spawn(context_, WriteText(*client_, "second", &ignored_), asio::detached);  // It comes while it is.
    Run(read(*server_, 64, &got));
    EXPECT_EQ(got, "second");
    Run(WriteText(*client_, "three, of which a part stays behind", &error));
    Run(read(*server_, 5, &got));
    EXPECT_EQ(got, "three");
    Run(WriteText(*server_, "question", &error));
    Run(read(*server_, 4, &got));
    EXPECT_EQ(got, ", of");
    Run(read(*server_, 64, &got));
    EXPECT_EQ(got, " which a part stays behind");
  }
}

TEST_F(TcpStreamTest, ADeadlineMayMoveEarlierAndLaterWhileAReadWaits) {
  IoResult result;
  server_->SetReadDeadline(In(seconds(60)));
  asio::steady_timer timer(context_);
  timer.expires_after(milliseconds(10));
  timer.async_wait([this](std::error_code) { server_->SetReadDeadline(In(milliseconds(20))); });
  Run(Read(*server_, &result));
  EXPECT_EQ(result.ec, std::errc::timed_out);
  server_->SetReadDeadline(In(milliseconds(20)));
  timer.expires_after(milliseconds(5));
  timer.async_wait([this](std::error_code) {
    server_->SetReadDeadline(In(seconds(60)));
    asio::co_spawn(context_, WriteText(*client_, "x", &ignored_), asio::detached);
  });
  Run(Read(*server_, &result));
  EXPECT_FALSE(result.ec) << result.ec.message();
}

TEST_F(TcpStreamTest, AWriteThatNobodyReadsTimesOut) {
  std::error_code error;
  client_->SetWriteDeadline(In(milliseconds(50)));
  Run(WriteText(*client_, std::string(64 << 20, 'x'), &error));
  EXPECT_EQ(error, std::errc::timed_out);
}

TEST_F(TcpStreamTest, AnInterruptEndsTheReadThatWaitsAndNothingElse) {
  IoResult result;
  asio::steady_timer timer(context_);
  timer.expires_after(milliseconds(10));
  timer.async_wait([this](std::error_code) { server_->Interrupt(); });
  Run(Read(*server_, &result));
  EXPECT_EQ(result.ec, asio::error::operation_aborted);
  server_->Interrupt();  // nothing waits: no effect on what comes
  std::error_code error;
  Run(WriteText(*client_, "x", &error));
  Run(Read(*server_, &result));
  EXPECT_FALSE(result.ec) << result.ec.message();
}

// The interrupt finds a wait that has succeeded already but is not resumed yet: both directions were ready in one event.
TEST_F(TcpStreamTest, AnInterruptThatCameTooLateEndsNoLaterRead) {
  Run(WriteText(*client_, "x", &ignored_));
  std::error_code first;
  bool waited = false;
  asio::post(context_, [&] {
    asio::co_spawn(
        context_, [](TcpStream& s, std::error_code* out) -> asio::awaitable<void> { *out = co_await s.WaitToRead(true); }(*server_, &first),
        [&](std::exception_ptr) { waited = true; });
    asio::co_spawn(
        context_,
        [](TcpStream& s) -> asio::awaitable<void> {
          co_await s.WaitToWrite(false);
          s.Interrupt();
        }(*server_),
        asio::detached);
  });
  while (!waited) context_.run_one();
  context_.poll();
  IoResult result;
  Run(Read(*server_, &result));
  EXPECT_FALSE(result.ec) << result.ec.message();
  server_->SetReadDeadline(In(milliseconds(20)));
  Run(Read(*server_, &result));
  EXPECT_EQ(result.ec, std::errc::timed_out) << result.ec.message();
}

TEST_F(TcpStreamTest, CloseEndsWhatWaits) {
  IoResult result;
  asio::steady_timer timer(context_);
  timer.expires_after(milliseconds(10));
  timer.async_wait([this](std::error_code) { server_->Close(); });
  Run(Read(*server_, &result));
  EXPECT_TRUE(result.ec);
  EXPECT_NE(result.ec, std::errc::timed_out);
}

// operations.md, "Listeners of several edges on one host".
TEST(ListenerTest, AnotherProcessesPortIsNeverShared) {
  asio::io_context context(1);
  asio::ip::tcp::acceptor other(context, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  const base::Endpoint taken{*base::IpAddress::Parse("127.0.0.1"), other.local_endpoint().port()};
  const absl::Status status = ProbeExclusive(taken);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_NE(std::string(status.message()).find(taken.ToString()), std::string::npos);
  other.close();
  EXPECT_TRUE(ProbeExclusive(taken).ok());
}

TEST(ListenerTest, WorkersShareAPort) {
  asio::io_context context(1);
  auto first = Listener::Open(context, *base::Endpoint::Parse("127.0.0.1:0"));
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(Listener::Open(context, (*first)->endpoint()).ok());
}

TEST(ListenerTest, IPv6IsOnItsOwn) {
  asio::io_context context(1);
  auto six = Listener::Open(context, *base::Endpoint::Parse("[::1]:0"));
  if (!six.ok()) GTEST_SKIP() << "no IPv6 on this machine: " << six.status();
  EXPECT_TRUE((*six)->endpoint().address.is_v6());
  EXPECT_TRUE(ProbeExclusive({*base::IpAddress::Parse("127.0.0.1"), (*six)->endpoint().port}).ok());
}

// failures.md 2: connections that the kernel has accepted are not reset by a drain.
TEST(ListenerTest, ClosingTakesWhoIsInTheQueue) {
  asio::io_context context(1);
  auto listener = Listener::Open(context, *base::Endpoint::Parse("127.0.0.1:0"));
  ASSERT_TRUE(listener.ok());
  int accepted = 0;
  (*listener)->Start([&](asio::ip::tcp::socket, const base::Endpoint&) { ++accepted; });
  asio::ip::tcp::socket client(context);
  client.connect(asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), (*listener)->endpoint().port));
  (*listener)->Close();
  EXPECT_EQ(accepted, 1);
}

// No descriptor above those that are open now, until it goes.
class DescriptorFamine {
 public:
  DescriptorFamine() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest_free = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(lowest_free);
    rlimit now = before_;
    now.rlim_cur = static_cast<rlim_t>(lowest_free);
    setrlimit(RLIMIT_NOFILE, &now);
  }
  ~DescriptorFamine() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// threats.md D6, failures.md (file descriptors exhausted).
TEST(ListenerTest, WithoutDescriptorsItTurnsOneAwayDoesNotSpinAndRecovers) {
  asio::io_context context(1);
  auto listener = Listener::Open(context, *base::Endpoint::Parse("127.0.0.1:0"));
  ASSERT_TRUE(listener.ok());
  std::vector<asio::ip::tcp::socket> accepted;
  (*listener)->Start([&](asio::ip::tcp::socket socket, const base::Endpoint&) { accepted.push_back(std::move(socket)); });
  std::vector<asio::ip::tcp::socket> clients;
  for (int i = 0; i < 3; ++i) clients.emplace_back(context, asio::ip::tcp::v4());
  const asio::ip::tcp::endpoint target(asio::ip::address_v4::loopback(), (*listener)->endpoint().port);
  {
    const DescriptorFamine famine;
    for (asio::ip::tcp::socket& client : clients) client.connect(target);
    context.run_for(milliseconds(50));
    EXPECT_EQ((*listener)->exhausted(), 1u);
    EXPECT_TRUE(accepted.empty());
    // The first is gone, the others wait.
    std::error_code error;
    std::array<char, 1> space;
    clients[0].non_blocking(true);
    clients[0].read_some(asio::buffer(space), error);
    EXPECT_EQ(error, asio::error::eof);
    clients[1].non_blocking(true);
    clients[1].read_some(asio::buffer(space), error);
    EXPECT_EQ(error, asio::error::would_block);
  }
  while (accepted.size() < 2) context.run_one();
  EXPECT_EQ((*listener)->exhausted(), 1u);
}

// failures.md 26: an allocation that fails while a connection is taken costs this connection, not the listener.
TEST(ListenerTest, AcceptsOnAfterAnException) {
  asio::io_context context(1);
  auto listener = Listener::Open(context, *base::Endpoint::Parse("127.0.0.1:0"));
  ASSERT_TRUE(listener.ok());
  int taken = 0;
  (*listener)->Start([&](asio::ip::tcp::socket, const base::Endpoint&) {
    if (++taken == 1) throw std::bad_alloc();
  });
  const asio::ip::tcp::endpoint target(asio::ip::address_v4::loopback(), (*listener)->endpoint().port);
  asio::ip::tcp::socket first(context), second(context);
  first.connect(target);
  second.connect(target);
  while (taken < 2 && context.run_one_for(seconds(20)) > 0) {
  }
  EXPECT_EQ(taken, 2);
}

TEST(ConnectTest, ARefusedAddressIsAnError) {
  asio::io_context context(1);
  asio::ip::tcp::acceptor other(context, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  const uint16_t port = other.local_endpoint().port();
  other.close();
  std::error_code error;
  asio::co_spawn(
      context,
      [](uint16_t to, std::error_code* out) -> asio::awaitable<void> {
        *out = (co_await Connect({*base::IpAddress::Parse("127.0.0.1"), to}, In(seconds(5)))).ec;
      }(port, &error),
      asio::detached);
  context.run();
  EXPECT_EQ(error, std::errc::connection_refused);
}

TEST(ResolverTest, LiteralsAndTheHostsFileNeedNoServer) {
  asio::io_context context(1);
  const base::SystemClock clock;
  auto resolver = MakeResolver(context.get_executor(), clock);
  ASSERT_TRUE(resolver.ok()) << resolver.status();
  absl::StatusOr<std::vector<base::IpAddress>> literal = absl::UnknownError("");
  absl::StatusOr<std::vector<base::IpAddress>> localhost = absl::UnknownError("");
  asio::co_spawn(
      context,
      [](Resolver& r, auto* one, auto* two) -> asio::awaitable<void> {
        *one = co_await r.Resolve("192.0.2.1", In(seconds(3)));
        *two = co_await r.Resolve("LOCALHOST", In(seconds(3)));
      }(**resolver, &literal, &localhost),
      asio::detached);
  context.run_for(seconds(5));
  ASSERT_TRUE(literal.ok());
  EXPECT_EQ(literal->front().ToString(), "192.0.2.1");
  ASSERT_TRUE(localhost.ok()) << localhost.status();
  EXPECT_TRUE(localhost->front().IsLoopback());
}

TEST(ResolverTest, WhoStillWaitsWhenItGoesIsTold) {
  asio::io_context context(1);
  const base::SystemClock clock;
  auto resolver = MakeResolver(context.get_executor(), clock);
  ASSERT_TRUE(resolver.ok()) << resolver.status();
  absl::StatusOr<std::vector<base::IpAddress>> answer = absl::UnknownError("");
  bool asked = false;
  asio::co_spawn(
      context,
      [](Resolver& r, bool* began, auto* out) -> asio::awaitable<void> {
        *began = true;
        *out = co_await r.Resolve("name.invalid", In(seconds(3)));
      }(**resolver, &asked, &answer),
      asio::detached);
  while (!asked) context.run_one();
  resolver->reset();
  context.run_for(seconds(5));
  EXPECT_TRUE(absl::IsCancelled(answer.status())) << answer.status();
}

}  // namespace
}  // namespace gatepost::net
