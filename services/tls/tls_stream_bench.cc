// What TLS costs without a session around it: full handshakes, octets, heap of an idle stream. Both ends are in this
// process and thread, over loopback sockets, ECDSA P-256 and TLS 1.3: the times are those of client and server together.
#include "services/tls/tls_stream.h"

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <array>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "services/base/check.h"
#include "services/net/connect.h"
#include "services/net/listener.h"
#include "services/tls/certificate.h"
#include "services/tls/context.h"

namespace gatepost::tls {
namespace {

base::MonotonicTime Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(30); }

class Pairs {
 public:
  using Pair = std::pair<std::unique_ptr<TlsStream>, std::unique_ptr<TlsStream>>;  // server, client

  Pairs() {
    const std::string key = *GenerateKey(KeyType::kEcdsaP256);
    const std::string certificate = *SelfSign(key, {.common_name = "mail.example.com", .dns_names = {"mail.example.com"}});
    ServerContext::Options server;
    server.identities = {{certificate, key}};
    server.session_scope = "bench";
    server.ticket_keys.emplace_back();
    server_ = *ServerContext::Make(server);
    client_ = *ClientContext::Make({.ca_bundle_pem = certificate, .server_name = "mail.example.com"});
    listener_ = *net::Listener::Open(context_, *base::Endpoint::Parse("127.0.0.1:0"));
    listener_->Start([this](asio::ip::tcp::socket socket, const base::Endpoint& peer) {
      asio::co_spawn(context_, Serve(std::make_unique<net::TcpStream>(std::move(socket), peer), server_, &pair_.first), asio::detached);
    });
  }

  Pair Make() {
    asio::co_spawn(context_, Dial(listener_->endpoint(), client_, &pair_.second), asio::detached);
    while (!pair_.first || !pair_.second) context_.run_one();
    return std::move(pair_);
  }

  asio::io_context& context() { return context_; }

 private:
  static asio::awaitable<void> Serve(std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ServerContext> context,
                                     std::unique_ptr<TlsStream>* out) {
    HandshakeResult result = co_await Accept(std::move(plain), std::move(context), Soon());
    GATEPOST_CHECK(!result.ec);
    *out = std::move(result.stream);
  }
  static asio::awaitable<void> Dial(base::Endpoint to, std::shared_ptr<const ClientContext> context, std::unique_ptr<TlsStream>* out) {
    net::ConnectResult connected = co_await net::Connect(to, Soon());
    GATEPOST_CHECK(!connected.ec);
    HandshakeResult result = co_await Connect(std::move(connected.stream), std::move(context), "127.0.0.1", Soon());
    GATEPOST_CHECK(!result.ec);
    *out = std::move(result.stream);
  }

  asio::io_context context_{1};
  std::shared_ptr<const ServerContext> server_;
  std::shared_ptr<const ClientContext> client_;
  std::unique_ptr<net::Listener> listener_;
  Pair pair_;
};

void BM_Handshake(benchmark::State& state) {
  Pairs pairs;
  for (auto _ : state) pairs.Make();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Handshake)->Unit(benchmark::kMicrosecond);

asio::awaitable<void> Send(net::Stream& stream, std::string_view octets) {
  const std::array<std::string_view, 1> pieces{octets};
  const std::error_code error = co_await stream.Write(pieces);
  GATEPOST_CHECK(!error);
}

asio::awaitable<void> Receive(net::Stream& stream, std::span<char> space, size_t count, bool* done) {
  while (count > 0) {
    const net::IoResult result = co_await stream.ReadSome(space);
    GATEPOST_CHECK(!result.ec);
    count -= result.n;
  }
  *done = true;
}

void BM_Octets(benchmark::State& state) {
  Pairs pairs;
  const Pairs::Pair pair = pairs.Make();
  const std::string body(static_cast<size_t>(state.range(0)), 'x');
  std::vector<char> space(64 << 10);
  for (auto _ : state) {
    bool done = false;
    asio::co_spawn(pairs.context(), Send(*pair.second, body), asio::detached);
    asio::co_spawn(pairs.context(), Receive(*pair.first, space, body.size(), &done), asio::detached);
    while (!done) pairs.context().run_one();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Octets)->Arg(64)->Arg(4 << 10)->Arg(5 << 20);

// Heap in use for each server stream that has talked and now idles; its client's side is freed before it is counted.
void BM_IdleHeap(benchmark::State& state) {
  constexpr size_t kStreams = 500;
  Pairs pairs;
  pairs.Make();  // what is made once is there
  std::vector<char> space(64 << 10);
  double octets = 0;
  for (auto _ : state) {
    std::vector<std::unique_ptr<TlsStream>> idle;
    idle.reserve(kStreams);
    const size_t before = mallinfo2().uordblks;
    while (idle.size() < kStreams) {
      Pairs::Pair pair = pairs.Make();
      bool done = false;
      asio::co_spawn(pairs.context(), Send(*pair.second, "EHLO client.example\r\n"), asio::detached);
      asio::co_spawn(pairs.context(), Receive(*pair.first, space, 21, &done), asio::detached);
      while (!done) pairs.context().run_one();
      idle.push_back(std::move(pair.first));
    }
    pairs.context().poll();
    octets = static_cast<double>(mallinfo2().uordblks - before) / kStreams;
  }
  state.counters["octets_per_stream"] = octets;
}
BENCHMARK(BM_IdleHeap)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace gatepost::tls
