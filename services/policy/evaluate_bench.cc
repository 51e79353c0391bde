// What a verdict costs with 10,000 entries in each list; performance.md asks for less than 1 us.
#include <benchmark/benchmark.h>

#include "services/policy/evaluate.h"

namespace gatepost::policy {
namespace {

std::shared_ptr<const CompiledVirtualServer> Large() {
  VirtualServer server;
  server.id = "large";
  server.fqdn = "mail.example.com";
  server.authentication.anonymous = true;
  for (uint32_t i = 0; i < 10'000; ++i) {
    const base::IpPrefix prefix{base::IpAddress::V4(0x0a000000 + i * 256), 24};
    server.connection_control.entries.push_back(prefix);
    server.relay.list.entries.push_back(prefix);
    server.local_domains.push_back({"domain" + std::to_string(i) + ".example", i % 2 == 0});
  }
  return *CompiledVirtualServer::Compile(std::move(server));
}

void Connection(benchmark::State& state) {
  const auto server = Large();
  ClientFacts client;
  uint32_t i = 0;
  for (auto _ : state) {
    client.address = base::IpAddress::V4(0x0a000000 + (i++ * 7919) % 0x400000);
    benchmark::DoNotOptimize(JudgeConnection(*server, client));
  }
}
BENCHMARK(Connection);

void Recipient(benchmark::State& state) {
  const auto server = Large();
  ClientFacts client;
  client.address = base::IpAddress::V4(0xc0000201);
  for (auto _ : state)
    benchmark::DoNotOptimize(JudgeRecipient(*server, client, nullptr, {"bob", "mail.domain4242.example"}));
}
BENCHMARK(Recipient);

}  // namespace
}  // namespace gatepost::policy
