// Handshakes and streams over loopback sockets: our server with our client, and with what an attacker or an old client would send.
#include "services/tls/tls_stream.h"

#include "services/tls/boringssl.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/read.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <array>
#include <cstdio>
#include <exception>
#include <thread>

#include "services/net/connect.h"
#include "services/net/listener.h"
#include "services/net/tcp_stream.h"
#include "services/tls/certificate.h"
#include "services/tls/context.h"

namespace gatepost::tls {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

base::MonotonicTime In(base::Duration duration) { return std::chrono::steady_clock::now() + duration; }

struct Server {
  std::string key = *GenerateKey(KeyType::kEcdsaP256);
  std::string certificate = *SelfSign(key, {.common_name = "mail.example.com", .dns_names = {"mail.example.com"}});
};

const Server& Ecdsa() {
  static const Server server;
  return server;
}

class TlsStreamTest : public testing::Test {
 protected:
  void SetUp() override {
    listener_ = *net::Listener::Open(context_, *base::Endpoint::Parse("127.0.0.1:0"));
    listener_->Start([this](asio::ip::tcp::socket socket) { accepted_ = std::make_unique<net::TcpStream>(std::move(socket)); });
    options_.identities = {{Ecdsa().certificate, Ecdsa().key}};
    options_.session_scope = "virtualServers/test";
    client_options_.ca_bundle_pem = Ecdsa().certificate;
    client_options_.server_name = "mail.example.com";
  }

  void Run(asio::awaitable<void> what) {
    bool done = false;
    asio::co_spawn(context_, std::move(what), [&done](std::exception_ptr failure) {
      done = true;
      if (failure) std::rethrow_exception(failure);
    });
    while (!done) context_.run_one();
  }

  // Both ends of a TCP connection.
  std::unique_ptr<net::TcpStream> Dial() {
    std::unique_ptr<net::TcpStream> client;
    accepted_.reset();
    Run([](base::Endpoint to, std::unique_ptr<net::TcpStream>* out) -> asio::awaitable<void> {
      *out = std::move((co_await net::Connect(to, In(seconds(5)))).stream);
    }(listener_->endpoint(), &client));
    while (accepted_ == nullptr) context_.run_one();
    return client;
  }

  void Handshake() {
    auto client = Dial();
    auto server_context = *ServerContext::Make(options_);
    auto client_context = *ClientContext::Make(client_options_);
    bool accepted = false;
    asio::co_spawn(context_,
                   [](std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ServerContext> context, HandshakeResult* out) -> asio::awaitable<void> {
                     *out = co_await Accept(std::move(plain), std::move(context), In(seconds(10)));
                   }(std::move(accepted_), server_context, &server_),
                   [&](std::exception_ptr) { accepted = true; });
    Run([](std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ClientContext> context, HandshakeResult* out) -> asio::awaitable<void> {
      *out = co_await Connect(std::move(plain), std::move(context), "127.0.0.1", In(seconds(10)));
    }(std::move(client), client_context, &client_));
    while (!accepted) context_.run_one();
  }

  static asio::awaitable<void> Send(net::Stream& stream, std::string text) {
    const std::array<std::string_view, 1> pieces{text};
    co_await stream.Write(pieces);
  }
  static asio::awaitable<void> Receive(net::Stream& stream, size_t count, std::string* text, std::error_code* error) {
    std::vector<char> space(100'000);
    while (text->size() < count) {
      const net::IoResult result = co_await stream.ReadSome(space);
      if (result.ec) {
        *error = result.ec;
        co_return;
      }
      text->append(space.data(), result.n);
    }
  }

  asio::io_context context_{1};
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::TcpStream> accepted_;
  ServerContext::Options options_;
  ClientContext::Options client_options_;
  HandshakeResult server_;
  HandshakeResult client_;
};

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
  Run(Send(*client_.stream, "QUIT\r\n"));
  Run([](net::Stream& stream) -> asio::awaitable<void> { co_await stream.ShutdownGracefully(); }(*client_.stream));
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

// A client of OpenSSL's, with its own idea of versions and suites: what it prints.
class OpensslTest : public TlsStreamTest {
 protected:
  struct Outcome {
    bool connected = false;
    std::string output;
  };
  // `arguments` of `openssl s_client`; one handshake is served.
  Outcome Connect(const std::string& arguments) {
    accepted_.reset();
    Outcome outcome;
    const std::string command = "openssl s_client -connect " + listener_->endpoint().ToString() + " " + arguments + " 2>&1 " + input_;
    std::thread client([&] {
      FILE* pipe = popen(("exec bash -c '" + command + "'").c_str(), "r");
      char buffer[4096];
      while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) outcome.output.append(buffer, n);
      pclose(pipe);
    });
    while (accepted_ == nullptr) context_.run_one();
    HandshakeResult result;
    Run([](std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ServerContext> context, HandshakeResult* out) -> asio::awaitable<void> {
      *out = co_await Accept(std::move(plain), std::move(context), In(seconds(10)));
    }(std::move(accepted_), *ServerContext::Make(options_), &result));
    outcome.connected = !result.ec;
    if (result.stream) {
      if (read_first_) {
        std::string got;
        Run(Receive(*result.stream, 1, &got, &read_error_));
      }
      Run([](net::Stream& stream) -> asio::awaitable<void> { co_await stream.ShutdownGracefully(); }(*result.stream));
    }
    version_ = result.stream ? result.stream->facts().version : 0;
    resumed_ = result.stream && result.stream->facts().resumed;
    result.stream.reset();
    client.join();
    return outcome;
  }
  std::string input_ = "-ign_eof </dev/null";
  bool read_first_ = false;  // the server reads once before it ends
  std::error_code read_error_;
  int version_ = 0;
  bool resumed_ = false;
};

// threats.md L4.
TEST_F(OpensslTest, OldVersionsAndWeakSuitesAreRefused) {
  for (const char* arguments : {"-tls1 -cipher DEFAULT@SECLEVEL=0", "-tls1_1 -cipher DEFAULT@SECLEVEL=0", "-tls1_2 -cipher AES128-SHA",
                                "-tls1_2 -cipher AES128-GCM-SHA256", "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA",
                                "-tls1_2 -cipher aNULL:eNULL@SECLEVEL=0", "-groups P-521",
                                "-tls1_2 -cipher DEFAULT@SECLEVEL=0 -sigalgs ECDSA+SHA1:RSA+SHA1"}) {
    EXPECT_FALSE(Connect(arguments).connected) << arguments;
  }
  for (const char* suite : {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}) {
    EXPECT_TRUE(Connect(std::string("-tls1_2 -cipher ") + suite).connected) << suite;
    EXPECT_EQ(version_, 0x0303);
  }
  EXPECT_TRUE(Connect("-tls1_3 -groups P-256").connected);
  EXPECT_EQ(version_, 0x0304);
}

// threats.md L4.
TEST_F(OpensslTest, AClientCannotRenegotiate) {
  input_ = "< <(echo R)";
  read_first_ = true;
  EXPECT_TRUE(Connect("-tls1_2").connected);
  EXPECT_EQ(read_error_, net::StreamError::kTls) << read_error_.message();
}

// threats.md L4.
TEST_F(OpensslTest, NoEarlyDataIsOfferedAndNothingIsCompressed) {
  options_.ticket_keys.emplace_back();
  const std::string output = Connect("-tls1_3").output;
  EXPECT_NE(output.find("Max Early Data: 0"), std::string::npos) << output;
  EXPECT_NE(output.find("Compression: NONE"), std::string::npos) << output;
}

// threats.md L3.
TEST_F(OpensslTest, AlpnIsSmtpOrNone) {
  EXPECT_TRUE(Connect("-alpn smtp").connected);
  EXPECT_TRUE(Connect("").connected);
  const Outcome http = Connect("-alpn h2,http/1.1");
  EXPECT_FALSE(http.connected);
  EXPECT_NE(http.output.find("no application protocol"), std::string::npos) << http.output;
}

TEST_F(OpensslTest, AFloorOfTls13IsHeld) {
  options_.tls13_only = true;
  EXPECT_FALSE(Connect("-tls1_2").connected);
  EXPECT_TRUE(Connect("-tls1_3").connected);
}

// threats.md L2: SNI chooses the certificate, an unknown or absent name the default one.
TEST_F(OpensslTest, SniChoosesTheCertificate) {
  const std::string key = *GenerateKey(KeyType::kEcdsaP256);
  options_.identities.push_back({*SelfSign(key, {.common_name = "other", .dns_names = {"*.other.example"}}), key});
  EXPECT_NE(Connect("-servername mail.example.com").output.find("CN = mail.example.com"), std::string::npos);
  EXPECT_NE(Connect("-servername a.other.example").output.find("CN = other"), std::string::npos);
  EXPECT_NE(Connect("-servername a.b.other.example").output.find("CN = mail.example.com"), std::string::npos);
  EXPECT_NE(Connect("-servername unknown.example").output.find("CN = mail.example.com"), std::string::npos);
  EXPECT_NE(Connect("-noservername").output.find("CN = mail.example.com"), std::string::npos);
}

TEST_F(OpensslTest, AnRsaOnlyClientGetsTheRsaCertificate) {
  const std::string key = *GenerateKey(KeyType::kRsa);
  options_.identities.push_back({*SelfSign(key, {.common_name = "rsa", .dns_names = {"mail.example.com"}}), key});
  EXPECT_NE(Connect("-sigalgs RSA-PSS+SHA256:RSA+SHA256").output.find("CN = rsa"), std::string::npos);
  EXPECT_NE(Connect("").output.find("CN = mail.example.com"), std::string::npos);
  // It verifies both kinds, but TLS 1.2's suites name one: the name asked for must not choose the other.
  for (const char* suite : {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"}) {
    EXPECT_NE(Connect(std::string("-tls1_2 -cipher ") + suite).output.find("CN = rsa"), std::string::npos) << suite;
  }
  const std::string ecdsa_alone = Connect("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256 -servername unknown.example").output;
  EXPECT_NE(ecdsa_alone.find("CN = mail.example.com"), std::string::npos);
}

// threats.md L1: a ticket of one scope never resumes in another; the same keys elsewhere do resume.
TEST_F(OpensslTest, TicketsResumeWithinTheirScopeAlone) {
  TicketKey ticket_key;
  ticket_key.name.fill(1);
  ticket_key.hmac_key.fill(2);
  ticket_key.aes_key.fill(3);
  options_.ticket_keys = {ticket_key};
  const std::string file = testing::TempDir() + "/session" + std::to_string(getpid());
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    const std::string base = std::string(version) + " -servername mail.example.com ";
    ASSERT_TRUE(Connect(base + "-sess_out " + file).connected);
    EXPECT_FALSE(resumed_);
    EXPECT_TRUE(Connect(base + "-sess_in " + file).connected);
    EXPECT_TRUE(resumed_) << version;
    options_.session_scope = "virtualServers/other";
    EXPECT_TRUE(Connect(base + "-sess_in " + file).connected);
    EXPECT_FALSE(resumed_) << version;
    options_.session_scope = "virtualServers/test";
    options_.ticket_keys.front().name.fill(9);
    EXPECT_TRUE(Connect(base + "-sess_in " + file).connected);
    EXPECT_FALSE(resumed_) << version;
    options_.ticket_keys.push_back(ticket_key);  // the previous key still opens
    EXPECT_TRUE(Connect(base + "-sess_in " + file).connected);
    EXPECT_TRUE(resumed_) << version;
    options_.ticket_keys = {ticket_key};
  }
}

TEST(ContextTest, RefusesAnIdentityThatDoesNotFit) {
  ServerContext::Options options;
  options.session_scope = "x";
  EXPECT_FALSE(ServerContext::Make(options).ok());
  options.identities = {{Ecdsa().certificate, *GenerateKey(KeyType::kEcdsaP256)}};
  const absl::Status status = ServerContext::Make(options).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_NE(std::string(status.message()).find("certificates[0]"), std::string::npos);
  options.identities = {{Ecdsa().certificate, Ecdsa().key}};
  options.session_scope.clear();
  EXPECT_FALSE(ServerContext::Make(options).ok());
}

}  // namespace
}  // namespace gatepost::tls
