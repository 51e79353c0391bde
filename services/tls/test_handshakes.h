// For tests: handshakes over loopback sockets, between our two ends and with clients of OpenSSL's.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <array>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "services/net/connect.h"
#include "services/net/listener.h"
#include "services/net/tcp_stream.h"
#include "services/tls/certificate.h"
#include "services/tls/context.h"
#include "services/tls/tls_stream.h"

namespace gatepost::tls {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline base::MonotonicTime In(base::Duration duration) { return std::chrono::steady_clock::now() + duration; }

struct Server {
  std::string key = *GenerateKey(KeyType::kEcdsaP256);
  std::string certificate = *SelfSign(key, {.common_name = "mail.example.com", .dns_names = {"mail.example.com"}});
};

inline const Server& Ecdsa() {
  static const Server server;
  return server;
}

class HandshakeTest : public testing::Test {
 protected:
  void SetUp() override {
    listener_ = *net::Listener::Open(context_, *base::Endpoint::Parse("127.0.0.1:0"));
    listener_->Start([this](asio::ip::tcp::socket socket, const base::Endpoint& peer) {
      accepted_ = std::make_unique<net::TcpStream>(std::move(socket), peer);
    });
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

// A client of OpenSSL's, with its own idea of versions and suites: what it prints.
class OpensslTest : public HandshakeTest {
 protected:
  struct Outcome {
    bool connected = false;
    std::string output;  // the client's
    std::string detail;  // why not, as the server says it
    SessionFacts facts;  // as the server knows them
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
      Run([](net::Stream& stream) -> asio::awaitable<void> { co_await stream.ShutdownGracefully(""); }(*result.stream));
    }
    outcome.detail = result.detail;
    if (result.stream) outcome.facts = result.stream->facts();
    result.stream.reset();
    client.join();
    return outcome;
  }
  std::string input_ = "-ign_eof </dev/null";
  bool read_first_ = false;  // the server reads once before it ends
  std::error_code read_error_;
};

}  // namespace gatepost::tls
