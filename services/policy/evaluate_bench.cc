// What a verdict costs with 10,000 entries in each list (subnets, ranges and domains); the design asks for less than 1 us.
// tests/bench:evaluation_cost_test holds it to that.
#include <benchmark/benchmark.h>

#include <string>

#include "services/policy/evaluate.h"

namespace gatepost::policy {
namespace {

constexpr uint32_t kEntries = 10'000;

std::string Domain(uint32_t i) { return "domain" + std::to_string(i) + ".example"; }

// 10.0.0.0/8 in pieces: of four entries one is a subnet, one a range, two are domains.
std::shared_ptr<const CompiledVirtualServer> Large() {
  VirtualServer server;
  server.id = "large";
  server.fqdn = "mail.example.com";
  server.authentication.anonymous = true;
  for (uint32_t i = 0; i < kEntries; ++i) {
    const uint32_t first = 0x0a000000 + i * 256;
    ClientEntry entry = ClientDomain{Domain(i)};
    if (i % 4 == 0) entry = base::IpPrefix{base::IpAddress::V4(first), 24};
    if (i % 4 == 1) entry = base::IpRange{base::IpAddress::V4(first + 3), base::IpAddress::V4(first + 250)};
    server.connection_control.entries.push_back(entry);
    server.relay.list.entries.push_back(entry);
    server.local_domains.push_back({Domain(i), i % 2 == 0});
  }
  return *CompiledVirtualServer::Compile(std::move(server));
}

ClientFacts Named(std::string name) {
  ClientFacts client;
  client.address = base::IpAddress::V4(0xc0000201);
  client.name = {ClientName::State::kConfirmed, {std::move(name)}};
  return client;
}

// Addresses decide: some are in an entry, some in none.
void ConnectionByAddress(benchmark::State& state) {
  const auto server = Large();
  ClientFacts client;
  client.name.state = ClientName::State::kUnknown;
  uint32_t i = 0;
  for (auto _ : state) {
    client.address = base::IpAddress::V4(0x0a000000 + (i++ * 7919) % 0x400000);
    benchmark::DoNotOptimize(JudgeConnection(*server, client));
  }
}
BENCHMARK(ConnectionByAddress);

// The address is in no entry, the name four labels below one.
void ConnectionByName(benchmark::State& state) {
  const auto server = Large();
  const ClientFacts client = Named("a.b.c.d." + Domain(4242));
  for (auto _ : state) benchmark::DoNotOptimize(JudgeConnection(*server, client));
}
BENCHMARK(ConnectionByName);

// Neither is in any entry: everything is looked at.
void ConnectionOfStranger(benchmark::State& state) {
  const auto server = Large();
  const ClientFacts client = Named("host-192-0-2-1.dynamic.provider.test");
  for (auto _ : state) benchmark::DoNotOptimize(JudgeConnection(*server, client));
}
BENCHMARK(ConnectionOfStranger);

void LocalRecipient(benchmark::State& state) {
  const auto server = Large();
  const ClientFacts client = Named("host-192-0-2-1.dynamic.provider.test");
  for (auto _ : state) benchmark::DoNotOptimize(JudgeRecipient(*server, client, nullptr, {"bob", "mail.domain4242.example"}));
}
BENCHMARK(LocalRecipient);

// An external recipient of a client that may not relay: every list is looked through.
void RefusedRecipient(benchmark::State& state) {
  const auto server = Large();
  const ClientFacts client = Named("host-192-0-2-1.dynamic.provider.test");
  for (auto _ : state) benchmark::DoNotOptimize(JudgeRecipient(*server, client, nullptr, {"bob", "mail.far.test"}));
}
BENCHMARK(RefusedRecipient);

// The same, relayed by the name of the client.
void RelayedRecipient(benchmark::State& state) {
  const auto server = Large();
  const ClientFacts client = Named("a.b.c.d." + Domain(4242));
  for (auto _ : state) benchmark::DoNotOptimize(JudgeRecipient(*server, client, nullptr, {"bob", "mail.far.test"}));
}
BENCHMARK(RelayedRecipient);

}  // namespace
}  // namespace gatepost::policy
