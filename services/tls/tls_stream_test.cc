// Handshakes and streams over loopback sockets: our server with our client, and with what an attacker or an old client would send.
#include "services/tls/tls_stream.h"

#include <gtest/gtest.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>

#include <array>
#include <cstdio>
#include <exception>
#include <thread>

#include "services/net/connect.h"
#include "services/net/listener.h"
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

// threats.md S7, B6: only close_notify is an end.
TEST_F(TlsStreamTest, CloseNotifyIsTheEndAndNothingBehindItCounts) {
  Handshake();
  Run([](net::Stream& stream) -> asio::awaitable<void> { co_await stream.ShutdownGracefully(); }(*client_.stream));
  std::string got;
  std::error_code error;
  Run(Receive(*server_.stream, 1, &got, &error));
  EXPECT_EQ(error, asio::error::eof);
  EXPECT_EQ(got, "");
  error.clear();
  Run(Receive(*server_.stream, 1, &got, &error));
  EXPECT_TRUE(error);
  EXPECT_EQ(got, "");
}

TEST_F(TlsStreamTest, AFinWithoutCloseNotifyIsTruncation) {
  Handshake();
  client_.stream->Close();
  std::string got;
  std::error_code error;
  Run(Receive(*server_.stream, 1, &got, &error));
  EXPECT_EQ(error, net::StreamError::kTruncated) << error.message();
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
    const std::string command = "openssl s_client -ign_eof -connect " + listener_->endpoint().ToString() + " " + arguments + " </dev/null 2>&1";
    std::thread client([&] {
      FILE* pipe = popen(command.c_str(), "r");
      char buffer[4096];
      while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) outcome.output.append(buffer, n);
      pclose(pipe);
    });
    while (accepted_ == nullptr) context_.run_one();
    HandshakeResult result;
    Run([](std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ServerContext> context, HandshakeResult* out) -> asio::awaitable<void> {
      *out = co_await Accept(std::move(plain), std::move(context), In(seconds(10)));
      if (out->stream) co_await out->stream->ShutdownGracefully();
    }(std::move(accepted_), *ServerContext::Make(options_), &result));
    outcome.connected = !result.ec;
    version_ = result.stream ? result.stream->facts().version : 0;
    resumed_ = result.stream && result.stream->facts().resumed;
    result.stream.reset();
    client.join();
    return outcome;
  }
  int version_ = 0;
  bool resumed_ = false;
};

// threats.md L4.
TEST_F(OpensslTest, OldVersionsAndWeakSuitesAreRefused) {
  for (const char* arguments : {"-tls1 -cipher DEFAULT@SECLEVEL=0", "-tls1_1 -cipher DEFAULT@SECLEVEL=0", "-tls1_2 -cipher AES128-SHA",
                                "-tls1_2 -cipher AES128-GCM-SHA256", "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA",
                                "-tls1_2 -cipher aNULL:eNULL@SECLEVEL=0", "-groups P-521"}) {
    EXPECT_FALSE(Connect(arguments).connected) << arguments;
  }
  EXPECT_TRUE(Connect("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256").connected);
  EXPECT_EQ(version_, 0x0303);
  EXPECT_TRUE(Connect("-tls1_3 -groups P-256").connected);
  EXPECT_EQ(version_, 0x0304);
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
