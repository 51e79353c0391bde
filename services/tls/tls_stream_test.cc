// Handshakes and streams over loopback sockets: our server with our client, and with what an attacker or an old client would send.
#include "services/tls/tls_stream.h"

#include "services/tls/boringssl.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/read.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <array>
#include <thread>

#include "services/tls/test_handshakes.h"

namespace gatepost::tls {
namespace {

class TlsStreamTest : public HandshakeTest {};

TEST_F(TlsStreamTest, OctetsGoBothWaysUnderTls13) {
  Handshake();
  ASSERT_FALSE(server_.ec) << server_.detail;
  ASSERT_FALSE(client_.ec) << client_.detail;
  EXPECT_EQ(server_.stream->facts().version, 0x0304);
  EXPECT_EQ(server_.stream->facts().cipher.rfind("TLS_", 0), 0u);
  EXPECT_GE(server_.stream->facts().cipher_bits, 128);
  EXPECT_EQ(server_.stream->facts().server_name, "mail.example.com");
  EXPECT_EQ(server_.stream->ExporterBinding().size(), 32u);
  EXPECT_EQ(server_.stream->ExporterBinding(), client_.stream->ExporterBinding());
  std::string large(300'000, 'x');
  for (size_t i = 0; i < large.size(); i += 7) large[i] = static_cast<char>('a' + i % 26);
  asio::co_spawn(context_, Send(*client_.stream, large), asio::detached);
  std::string got;
  std::error_code error;
  Run(Receive(*server_.stream, large.size(), &got, &error));
  EXPECT_FALSE(error) << error.message();
  EXPECT_TRUE(got == large);
  Run(Send(*server_.stream, "250 ok\r\n"));
  std::string reply;
  Run(Receive(*client_.stream, 8, &reply, &error));
  EXPECT_EQ(reply, "250 ok\r\n");
}

// threats.md S7: only close_notify is an end.
TEST_F(TlsStreamTest, CloseNotifyIsTheEndAndSaidEveryTime) {
  Handshake();
  Run([](net::Stream& stream) -> asio::awaitable<void> { co_await stream.ShutdownGracefully("QUIT\r\n"); }(*client_.stream));
  std::string got;
  std::error_code error;
  Run(Receive(*server_.stream, 7, &got, &error));
  EXPECT_EQ(got, "QUIT\r\n");
  EXPECT_EQ(error, asio::error::eof);
  error.clear();
  Run(Receive(*server_.stream, 7, &got, &error));
  EXPECT_EQ(error, asio::error::eof);
  EXPECT_EQ(got, "QUIT\r\n");
}

// threats.md S7.
TEST_F(TlsStreamTest, AFinWithoutCloseNotifyIsTruncationAndStaysIt) {
  Handshake();
  Run(Send(*client_.stream, "DATA\r\n"));
  client_.stream->Close();
  std::string got;
  for (int i = 0; i < 2; ++i) {
    std::error_code error;
    Run(Receive(*server_.stream, 7, &got, &error));
    EXPECT_EQ(error, net::StreamError::kTruncated) << error.message();
  }
  EXPECT_EQ(got, "DATA\r\n");
}

// A client that drives BoringSSL itself, to send what TlsStream would not. Runs in its own thread, on a blocking socket.
void HandshakeThen(base::Endpoint to, void (*misbehave)(SSL* ssl, int descriptor)) {
  const bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const asio::ip::tcp::endpoint target = net::ToAsio(to);
  ASSERT_EQ(::connect(descriptor, target.data(), static_cast<socklen_t>(target.size())), 0);
  bssl::UniquePtr<SSL> ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), descriptor);
  ASSERT_EQ(SSL_connect(ssl.get()), 1);
  misbehave(ssl.get(), descriptor);
  char octet;
  while (::recv(descriptor, &octet, 1, 0) > 0) {  // until the server has gone
  }
  ::close(descriptor);
}

class MisbehavingClientTest : public TlsStreamTest {
 protected:
  // What the server reads of it, and how that ends; asked for twice.
  void Serve(void (*misbehave)(SSL* ssl, int descriptor)) {
    std::thread client(HandshakeThen, listener_->endpoint(), misbehave);
    while (accepted_ == nullptr) context_.run_one();
    Run([](std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ServerContext> context, HandshakeResult* out) -> asio::awaitable<void> {
      *out = co_await Accept(std::move(plain), std::move(context), In(seconds(10)));
    }(std::move(accepted_), *ServerContext::Make(options_), &server_));
    EXPECT_FALSE(server_.ec) << server_.detail;
    if (server_.stream) {
      server_.stream->SetReadDeadline(In(seconds(10)));
      Run(Receive(*server_.stream, 100, &got_, &first_));
      Run(Receive(*server_.stream, 100, &got_, &second_));
    }
    server_.stream.reset();
    client.join();
  }
  std::string got_;
  std::error_code first_;
  std::error_code second_;
};

// threats.md B6.
TEST_F(MisbehavingClientTest, OctetsInClearBehindCloseNotifyAreNeverRead) {
  Serve([](SSL* ssl, int descriptor) {
    SSL_write(ssl, "NOOP\r\n", 6);
    SSL_shutdown(ssl);
    EXPECT_EQ(::send(descriptor, "MAIL FROM:<>\r\n", 14, MSG_NOSIGNAL), 14);
    ::shutdown(descriptor, SHUT_WR);
  });
  EXPECT_EQ(got_, "NOOP\r\n");
  EXPECT_EQ(first_, asio::error::eof);
  EXPECT_EQ(second_, asio::error::eof);
}

// threats.md B6, T5: nor without it.
TEST_F(MisbehavingClientTest, OctetsInClearAmongRecordsBreakTls) {
  Serve([](SSL* ssl, int descriptor) {
    SSL_write(ssl, "NOOP\r\n", 6);
    EXPECT_EQ(::send(descriptor, "MAIL FROM:<>\r\n", 14, MSG_NOSIGNAL), 14);
    ::shutdown(descriptor, SHUT_WR);
  });
  EXPECT_EQ(got_, "NOOP\r\n");
  EXPECT_EQ(first_, net::StreamError::kTls);
  EXPECT_EQ(second_, net::StreamError::kTls);
}

// threats.md S7: a record that is cut in the middle.
TEST_F(MisbehavingClientTest, HalfARecordIsTruncation) {
  Serve([](SSL* ssl, int descriptor) {
    SSL_write(ssl, "NOOP\r\n", 6);
    EXPECT_EQ(::send(descriptor, "\x17\x03\x03\x01\x00half", 9, MSG_NOSIGNAL), 9);
    ::shutdown(descriptor, SHUT_WR);
  });
  EXPECT_EQ(got_, "NOOP\r\n");
  EXPECT_EQ(first_, net::StreamError::kTruncated);
  EXPECT_EQ(second_, net::StreamError::kTruncated);
}

TEST_F(TlsStreamTest, AReadPastItsDeadlineTimesOutAndTheStreamGoesOn) {
  Handshake();
  server_.stream->SetReadDeadline(In(milliseconds(30)));
  std::string got;
  std::error_code error;
  Run(Receive(*server_.stream, 1, &got, &error));
  EXPECT_EQ(error, std::errc::timed_out);
  server_.stream->SetReadDeadline(In(seconds(5)));
  Run(Send(*client_.stream, "x"));
  error.clear();
  Run(Receive(*server_.stream, 1, &got, &error));
  EXPECT_FALSE(error) << error.message();
}

// threats.md T6 (RFC 7817): the client checks the name and the issuer.
TEST_F(TlsStreamTest, AClientRefusesAnotherName) {
  client_options_.server_name = "other.example.com";
  Handshake();
  EXPECT_EQ(client_.ec, net::StreamError::kVerification) << client_.detail;
  EXPECT_EQ(client_.stream, nullptr);
  EXPECT_TRUE(server_.ec);
}

TEST_F(TlsStreamTest, AClientRefusesAnotherIssuer) {
  client_options_.ca_bundle_pem = *SelfSign(*GenerateKey(KeyType::kEcdsaP256), {.common_name = "x", .dns_names = {"x"}});
  Handshake();
  EXPECT_EQ(client_.ec, net::StreamError::kVerification) << client_.detail;
}

// threats.md T5.
TEST_F(TlsStreamTest, GarbageInsteadOfAClientHelloEndsIt) {
  for (const char* garbage : {"EHLO again\r\n", "GET / HTTP/1.1\r\n\r\n"}) {
    auto client = Dial();
    Run(Send(*client, garbage));
    HandshakeResult result;
    Run([](std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ServerContext> context, HandshakeResult* out) -> asio::awaitable<void> {
      *out = co_await Accept(std::move(plain), std::move(context), In(seconds(5)));
    }(std::move(accepted_), *ServerContext::Make(options_), &result));
    EXPECT_EQ(result.ec, net::StreamError::kTls);
    EXPECT_EQ(result.stream, nullptr);
  }
}

// threats.md L5; limits.md: TLS handshake.
TEST_F(TlsStreamTest, AStalledHandshakeEndsAtItsDeadline) {
  auto client = Dial();
  Run(Send(*client, std::string("\x16\x03\x01\x00\xc8\x01", 6)));
  HandshakeResult result;
  const auto began = std::chrono::steady_clock::now();
  Run([](std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ServerContext> context, HandshakeResult* out) -> asio::awaitable<void> {
    *out = co_await Accept(std::move(plain), std::move(context), In(milliseconds(50)));
  }(std::move(accepted_), *ServerContext::Make(options_), &result));
  EXPECT_EQ(result.ec, std::errc::timed_out) << result.ec.message();
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(5));
}

// threats.md L5: octets that trickle in do not put the deadline off.
TEST_F(TlsStreamTest, AHandshakeOctetByOctetEndsAtItsDeadline) {
  auto client = Dial();
  asio::co_spawn(
      context_,
      [](net::Stream& stream) -> asio::awaitable<void> {
        // The head of a ClientHello of 16,000 octets, and then what looks like its body.
        const std::array<std::string_view, 1> head{std::string_view("\x16\x03\x01\x3e\x84\x01\x00\x3e\x80\x03\x03", 11)};
        const std::array<std::string_view, 1> octet{"x"};
        std::error_code error = co_await stream.Write(head);
        asio::steady_timer timer(co_await asio::this_coro::executor);
        while (!error) {
          timer.expires_after(milliseconds(1));
          co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
          if (!error) error = co_await stream.Write(octet);
        }
      }(*client),
      asio::detached);
  HandshakeResult result;
  Run([](std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ServerContext> context, HandshakeResult* out) -> asio::awaitable<void> {
    *out = co_await Accept(std::move(plain), std::move(context), In(milliseconds(60)));
  }(std::move(accepted_), *ServerContext::Make(options_), &result));
  EXPECT_EQ(result.ec, std::errc::timed_out) << result.ec.message();
  client->Close();
  context_.run_for(milliseconds(10));
}

}  // namespace
}  // namespace gatepost::tls
