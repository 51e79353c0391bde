// A store with resources as the services would have put them there, for tests of what reads it.
#pragma once

#include <string>

#include "gatepost/config/v1/virtual_server.pb.h"
#include "gtest/gtest.h"
#include "services/base/fake_clock.h"
#include "services/base/fake_random.h"
#include "services/config/fake_dns.h"
#include "services/config/host_lookup.h"
#include "services/config/repository.h"
#include "services/config/ticket_keys.h"
#include "services/config/validate.h"
#include "services/store/memory_store.h"

namespace gatepost::config {

struct TestWorld {
  base::FakeClock clock;
  base::FakeRandom random;
  store::MemoryStore store;
  store::SealingKey key = *store::SealingKey::FromBytes(std::string(32, 'k'));
  Repository repository{store, key, random};
  FakeDns dns;
  DnsHostLookup hosts{dns, clock};

  explicit TestWorld(size_t max_changes = 1'000) : store(clock, random, {max_changes}) {}

  int64_t Commit(store::Transaction transaction) {
    const auto committed = store.Commit(transaction);
    EXPECT_TRUE(committed.ok()) << committed.status();
    return committed.ok() ? committed->revision : 0;
  }

  // Ids and names without their collections. Ticket keys are made with a virtual server that is new.
  int64_t PutServer(const std::string& id, std::initializer_list<const char*> pools = {},
                    std::initializer_list<const char*> certificates = {}, size_t padding = 0) {
    v1::VirtualServer server;
    server.set_fqdn(id + ".example");
    for (const char* pool : pools) server.add_pools(pool);
    for (const char* certificate : certificates) server.add_certificates(std::string(kCertificates) + certificate);
    server.set_banner_text(std::string(padding, 'x'));
    v1::TicketKeys keys;
    *keys.add_keys() = NewTicketKey(random);
    store::Transaction transaction;
    transaction.writes.push_back({std::string(kVirtualServers) + id, Repository::Stored(server), {}});
    if (!(*store.Read())->Get(std::string(kTicketKeys) + id).ok())
      transaction.writes.push_back({std::string(kTicketKeys) + id, repository.SealTicketKeys(id, keys), {}});
    return Commit(transaction);
  }
  int64_t DeleteServer(const std::string& id) {
    return Commit({{{std::string(kVirtualServers) + id, std::nullopt, {}}, {std::string(kTicketKeys) + id, std::nullopt, {}}},
                   {},
                   {}});
  }
  int64_t PutCertificate(const std::string& id, const std::string& pem = "secret key") {
    v1::Certificate certificate;
    certificate.set_certificate_chain_pem("chain of " + id);
    certificate.mutable_facts()->set_key_type(v1::Certificate::ECDSA_P256);
    return Commit({{{std::string(kCertificates) + id, Repository::Stored(certificate), {}},
                    {std::string(kCertificateKeys) + id, repository.SealCertificateKey(id, pem), {}}},
                   {},
                   {}});
  }
};

}  // namespace gatepost::config
