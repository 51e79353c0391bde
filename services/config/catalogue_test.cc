// Changes of resources: masks, etags, request ids, references between resources. Shows limits.md "Virtual servers,
// certificates"; threats.md "Secrets at rest" (a key is never returned).
#include "services/config/catalogue.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "services/config/limits.h"
#include "services/config/test_world.h"
#include "services/tls/certificate.h"

namespace gatepost::config {
namespace {

using google::protobuf::TextFormat;
using google::protobuf::util::MessageDifferencer;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

class CatalogueTest : public testing::Test {
 protected:
  absl::StatusOr<v1::VirtualServer> Create(const std::string& id, const std::string& fields = "",
                                           const std::string& request_id = "") {
    v1::CreateVirtualServerRequest request;
    request.set_virtual_server_id(id);
    *request.mutable_virtual_server() = Parse<v1::VirtualServer>(fields);
    if (request.virtual_server().fqdn().empty()) request.mutable_virtual_server()->set_fqdn(id + ".example");
    request.set_request_id(request_id);
    call_ = Call{"spiffe://t/gatepost/operator/o", {}, {}, 0, 0};
    return catalogue_.Create(request, &call_);
  }
  absl::StatusOr<v1::VirtualServer> Update(const std::string& text) {
    call_ = Call{"caller", {}, {}, 0, 0};
    return catalogue_.Update(Parse<v1::UpdateVirtualServerRequest>(text), &call_);
  }
  absl::StatusOr<v1::VirtualServer> Get(const std::string& id) {
    v1::GetVirtualServerRequest request;
    request.set_name("virtualServers/" + id);
    call_ = Call{"caller", {}, {}, 0, 0};
    return catalogue_.Get(request, &call_);
  }
  absl::StatusOr<v1::Certificate> CreateCertificate(const std::string& id, const std::string& fields) {
    v1::CreateCertificateRequest request;
    request.set_certificate_id(id);
    *request.mutable_certificate() = Parse<v1::Certificate>(fields);
    call_ = Call{"caller", {}, {}, 0, 0};
    return catalogue_.Create(request, &call_);
  }
  absl::StatusOr<v1::Certificate> UpdateCertificate(v1::UpdateCertificateRequest request) {
    call_ = Call{"caller", {}, {}, 0, 0};
    return catalogue_.Update(request, &call_);
  }
  std::string StoredKey(const std::string& id) {
    const store::Record record = *(*world_.store.Read())->Get("certificateKeys/" + id);
    return world_.repository.CertificateKeyOf(record)->private_key_pem();
  }
  std::string Violations() {
    std::string fields;
    for (const Violation& violation : call_.violations.list()) fields += violation.field + " ";
    return fields;
  }

  TestWorld world_;
  CertificateMaker maker_{world_.clock};
  Catalogue catalogue_{world_.repository, maker_, world_.hosts, world_.clock, world_.random};
  Call call_;
};

TEST_F(CatalogueTest, WhatIsCreatedIsReturnedStartedWithItsDefaultsAndCanBeRead) {
  const auto created = Create("a", "state: STOPPED revision: 99 etag: 'x' open_relay: true name: 'virtualServers/other'");
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->name(), "virtualServers/a");
  EXPECT_EQ(created->state(), v1::VirtualServer::STARTED);
  EXPECT_EQ(created->revision(), 1);
  EXPECT_FALSE(created->etag().empty());
  EXPECT_FALSE(created->open_relay());
  EXPECT_TRUE(created->has_create_time());
  EXPECT_EQ(created->message_limits().max_recipients(), 1'000u);
  EXPECT_EQ(call_.resource, "virtualServers/a");
  EXPECT_EQ(call_.old_revision, 0);
  EXPECT_EQ(call_.new_revision, 1);
  EXPECT_TRUE(MessageDifferencer::Equals(*Get("a"), *created));
}

TEST_F(CatalogueTest, AnIdThatIsTakenOrMalformedIsRefused) {
  ASSERT_TRUE(Create("a").ok());
  EXPECT_EQ(Create("a").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Create("A").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Violations(), "virtual_server_id ");
  EXPECT_EQ(Get("nobody").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Get("B").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CatalogueTest, ARepeatedCreateIsAnsweredWithTheFirstOnesAnswer) {
  const auto first = Create("a", "", "request-1");
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(Update("virtual_server { name: 'virtualServers/a' display_name: 'changed' }").ok());
  const auto second = Create("a", "", "request-1");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*first, *second));
  EXPECT_EQ(call_.new_revision, 0) << "it changed nothing";
  EXPECT_EQ(Create("a", "display_name: 'another'", "request-1").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Create("a", "", std::string(65, 'r')).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Violations(), "request_id ");
}

TEST_F(CatalogueTest, ValidateOnlyStoresNothing) {
  call_ = Call{};
  v1::CreateVirtualServerRequest request =
      Parse<v1::CreateVirtualServerRequest>("virtual_server_id: 'a' validate_only: true virtual_server { fqdn: 'a.example' }");
  const auto answer = catalogue_.Create(request, &call_);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->revision(), 0);
  EXPECT_EQ(Get("a").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Create("a").ok());
  ASSERT_TRUE(Update("validate_only: true virtual_server { name: 'virtualServers/a' display_name: 'x' }").ok());
  EXPECT_EQ(Get("a")->display_name(), "a");
}

TEST_F(CatalogueTest, AMaskChangesWhatItNamesAndAnAbsentFieldReturnsToItsDefault) {
  ASSERT_TRUE(Create("a", "display_name: 'x' message_limits { max_recipients: 200 max_hops: 10 }"
                          "local_domains { domain: 'one.example' } local_domains { domain: 'two.example' }")
                  .ok());
  const auto updated = Update(R"(virtual_server { name: "virtualServers/a" fqdn: "ignored.example"
                                   local_domains { domain: "three.example" } }
                                 update_mask { paths: "message_limits.max_recipients" paths: "local_domains" })");
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->message_limits().max_recipients(), 1'000u);
  EXPECT_EQ(updated->message_limits().max_hops(), 10u);
  EXPECT_EQ(updated->fqdn(), "a.example");
  EXPECT_EQ(updated->display_name(), "x");
  ASSERT_EQ(updated->local_domains_size(), 1);
  EXPECT_EQ(updated->local_domains(0).domain(), "three.example");
  EXPECT_EQ(call_.old_revision, 1);
  EXPECT_EQ(call_.new_revision, 2);
}

TEST_F(CatalogueTest, WithoutAMaskWhatIsPopulatedIsReplacedAsAWhole) {
  ASSERT_TRUE(Create("a", "display_name: 'x' message_limits { max_recipients: 200 max_hops: 10 }").ok());
  const auto updated =
      Update("virtual_server { name: 'virtualServers/a' message_limits { max_hops: 20 } authentication { anonymous: true } }");
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->message_limits().max_recipients(), 1'000u);
  EXPECT_EQ(updated->message_limits().max_hops(), 20u);
  EXPECT_EQ(updated->display_name(), "x");
  EXPECT_TRUE(updated->authentication().anonymous());
}

TEST_F(CatalogueTest, AStarReplacesEverything) {
  ASSERT_TRUE(Create("a", "display_name: 'x' message_limits { max_recipients: 200 }").ok());
  const auto updated = Update("virtual_server { name: 'virtualServers/a' fqdn: 'b.example' } update_mask { paths: '*' }");
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->display_name(), "a");
  EXPECT_EQ(updated->message_limits().max_recipients(), 1'000u);
  EXPECT_EQ(updated->fqdn(), "b.example");
  EXPECT_EQ(updated->state(), v1::VirtualServer::STARTED);
}

TEST_F(CatalogueTest, UnknownPathsAreRefusedAndOutputsIgnored) {
  ASSERT_TRUE(Create("a").ok());
  EXPECT_EQ(Update("virtual_server { name: 'virtualServers/a' } update_mask { paths: 'nothing' paths: 'tls.nothing'"
                   "paths: 'listeners.port' paths: 'fqdn.x' }")
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Violations(), "update_mask update_mask update_mask update_mask ");
  EXPECT_FALSE(
      Update("virtual_server { name: 'virtualServers/a' fqdn: '-' } update_mask { paths: 'nothing' paths: 'fqdn' }")
          .ok());
  EXPECT_EQ(Violations(), "update_mask virtual_server.fqdn ") << "all at once";
  const auto updated = Update("virtual_server { name: 'virtualServers/a' state: STOPPED revision: 7 } update_mask { paths: 'state' "
                              "paths: 'revision' paths: 'name' paths: 'etag' paths: 'create_time.seconds' }");
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->state(), v1::VirtualServer::STARTED);
  EXPECT_EQ(updated->revision(), 1);
}

TEST_F(CatalogueTest, AnUpdateThatChangesNothingTakesNoRevision) {
  const auto created = Create("a");
  const auto updated = Update("virtual_server { name: 'virtualServers/a' fqdn: 'A.Example' }");
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*created, *updated));
  EXPECT_EQ((*world_.store.Read())->revision(), 1);
}

TEST_F(CatalogueTest, AnEtagThatIsNotCurrentIsAborted) {
  const std::string etag = Create("a")->etag();
  ASSERT_TRUE(Update("virtual_server { name: 'virtualServers/a' display_name: 'x' etag: '" + etag + "' }").ok());
  EXPECT_EQ(Update("virtual_server { name: 'virtualServers/a' display_name: 'y' etag: '" + etag + "' }").status().code(),
            absl::StatusCode::kAborted);
  v1::DeleteVirtualServerRequest remove;
  remove.set_name("virtualServers/a");
  remove.set_etag(etag);
  EXPECT_EQ(catalogue_.Delete(remove, &call_).code(), absl::StatusCode::kAborted);
  remove.set_etag(Get("a")->etag());
  EXPECT_TRUE(catalogue_.Delete(remove, &call_).ok());
  EXPECT_EQ(catalogue_.Delete(remove, &call_).code(), absl::StatusCode::kNotFound);
  bool more = false;
  EXPECT_TRUE((*world_.store.Read())->List("", "", 10, 1'000, &more)->empty()) << "its ticket keys are gone too";
}

TEST_F(CatalogueTest, UpdateMayCreateWhatIsMissing) {
  EXPECT_EQ(Update("virtual_server { name: 'virtualServers/a' fqdn: 'a.example' }").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Update("allow_missing: true virtual_server { name: 'virtualServers/a' fqdn: 'a.example' etag: 'x' }")
                .status()
                .code(),
            absl::StatusCode::kAborted)
      << "it was there when its etag was read";
  v1::UpdateCertificateRequest certificate = Parse<v1::UpdateCertificateRequest>(
      "allow_missing: true certificate { name: 'certificates/c' self_signed { dns_names: 'a.example' } etag: 'x' }");
  EXPECT_EQ(UpdateCertificate(certificate).status().code(), absl::StatusCode::kAborted);
  const auto created = Update("allow_missing: true virtual_server { name: 'virtualServers/a' fqdn: 'a.example' }");
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->revision(), 1);
  EXPECT_EQ(created->state(), v1::VirtualServer::STARTED);
}

TEST_F(CatalogueTest, UnknownFieldsOfAnUpdateAreRefused) {
  ASSERT_TRUE(Create("a").ok());
  v1::UpdateVirtualServerRequest request = Parse<v1::UpdateVirtualServerRequest>(
      "virtual_server { name: 'virtualServers/a' } update_mask { paths: 'display_name' }");
  request.mutable_virtual_server()->GetReflection()->MutableUnknownFields(request.mutable_virtual_server())->AddVarint(999, 1);
  EXPECT_EQ(catalogue_.Update(request, &call_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CatalogueTest, ListenersOverlapWithinAPoolOnly) {
  const std::string listener = "listeners { address: '127.0.0.1' port: 25 tls_mode: NONE }";
  const std::string wildcard = "listeners { address: '0.0.0.0' port: 25 tls_mode: NONE }";
  ASSERT_TRUE(Create("a", listener + "pools: 'east'").ok());
  EXPECT_TRUE(Create("b", listener + "pools: 'west'").ok());
  EXPECT_EQ(Create("c", listener + "pools: 'east'").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Violations(), "virtual_server.listeners[0] ");
  EXPECT_FALSE(Create("c", listener).ok()) << "no pools: all of them";
  EXPECT_FALSE(Create("c", wildcard + "pools: 'east'").ok());
  EXPECT_TRUE(Create("c", wildcard + "pools: 'south'").ok());
  EXPECT_TRUE(Create("d", "listeners { address: '::' port: 25 tls_mode: NONE }").ok()) << "another family";
  // A change counts against others, not against itself.
  EXPECT_TRUE(Update("virtual_server { name: 'virtualServers/a' display_name: 'x' }").ok());
  EXPECT_FALSE(Update("virtual_server { name: 'virtualServers/b' pools: 'west' pools: 'east' }").ok());
}

TEST_F(CatalogueTest, StatesChangeByTheirMethodsAlone) {
  ASSERT_TRUE(Create("a").ok());
  call_ = Call{};
  const auto stopped = catalogue_.SetState("virtualServers/a", "", v1::VirtualServer::STOPPED, &call_);
  ASSERT_TRUE(stopped.ok());
  EXPECT_EQ(stopped->state(), v1::VirtualServer::STOPPED);
  EXPECT_EQ(stopped->revision(), 2);
  EXPECT_EQ(catalogue_.SetState("virtualServers/a", "", v1::VirtualServer::STOPPED, &call_)->revision(), 2) << "no effect";
  EXPECT_EQ(catalogue_.SetState("virtualServers/a", "old", v1::VirtualServer::PAUSED, &call_).status().code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(Update("virtual_server { name: 'virtualServers/a' display_name: 'x' }")->state(), v1::VirtualServer::STOPPED);
}

TEST_F(CatalogueTest, ConcurrentChangesAllHappenOrAreRefused) {
  ASSERT_TRUE(Create("a").ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        Call call;
        v1::CreateVirtualServerRequest request;
        request.set_virtual_server_id("s" + std::to_string(t) + "-" + std::to_string(i));
        request.mutable_virtual_server()->set_fqdn("a.example");
        v1::Listener* listener = request.mutable_virtual_server()->add_listeners();
        listener->set_address("127.0.0.1");
        listener->set_port(static_cast<uint32_t>(1'000 + i));
        listener->set_tls_mode(v1::Listener::NONE);
        const auto created = catalogue_.Create(request, &call);
        EXPECT_TRUE(created.ok() || !call.violations.empty()) << created.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(catalogue_.Count()->virtual_servers, 21u) << "one for each port, and the first";
}

TEST_F(CatalogueTest, ASelfSignedCertificateIsMadeAndItsKeyIsNeverReturned) {
  const auto created = CreateCertificate("c", "self_signed { dns_names: 'Mail.example.com' dns_names: 'b.example' }");
  ASSERT_TRUE(created.ok()) << created.status() << Violations();
  EXPECT_EQ(created->private_key_pem(), "");
  EXPECT_EQ(created->facts().dns_names(0), "mail.example.com");
  EXPECT_EQ(created->facts().key_type(), v1::Certificate::ECDSA_P256);
  EXPECT_EQ(created->facts().sha256_fingerprint().size(), 64u);
  EXPECT_EQ(created->facts().not_after().seconds() - created->facts().not_before().seconds() >= 397 * 86'400, true);
  EXPECT_TRUE(tls::KeyMatches(created->certificate_chain_pem(), StoredKey("c")).ok());
  // The same again changes nothing; another specification makes another one.
  v1::UpdateCertificateRequest request = Parse<v1::UpdateCertificateRequest>(
      "certificate { name: 'certificates/c' self_signed { dns_names: 'mail.example.com' dns_names: 'b.example' } }");
  EXPECT_EQ(UpdateCertificate(request)->revision(), 1);
  request.mutable_certificate()->mutable_self_signed()->set_valid_days(30);
  const auto updated = UpdateCertificate(request);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->revision(), 2);
  EXPECT_NE(updated->certificate_chain_pem(), created->certificate_chain_pem());
  EXPECT_TRUE(tls::KeyMatches(updated->certificate_chain_pem(), StoredKey("c")).ok());
}

TEST_F(CatalogueTest, AnImportMustHaveItsKey) {
  const std::string key = *tls::GenerateKey(tls::KeyType::kEcdsaP256);
  const std::string other = *tls::GenerateKey(tls::KeyType::kEcdsaP256);
  tls::SelfSignedOptions options;
  options.common_name = "a.example";
  options.dns_names = {"a.example"};
  options.now = world_.clock.WallNow();
  v1::CreateCertificateRequest request;
  request.set_certificate_id("c");
  request.mutable_certificate()->set_certificate_chain_pem(*tls::SelfSign(key, options));
  request.mutable_certificate()->set_private_key_pem(other);
  call_ = Call{};
  EXPECT_EQ(catalogue_.Create(request, &call_).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Violations(), "certificate.private_key_pem ");
  request.mutable_certificate()->set_private_key_pem("junk");
  request.mutable_certificate()->set_certificate_chain_pem("junk");
  call_ = Call{};
  EXPECT_EQ(catalogue_.Create(request, &call_).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Violations(), "certificate.certificate_chain_pem certificate.private_key_pem ");
  request.mutable_certificate()->set_certificate_chain_pem(*tls::SelfSign(key, options));
  request.mutable_certificate()->set_private_key_pem(key);
  call_ = Call{};
  const auto created = catalogue_.Create(request, &call_);
  ASSERT_TRUE(created.ok()) << created.status() << Violations();
  EXPECT_EQ(created->private_key_pem(), "");
  EXPECT_EQ(StoredKey("c"), key);
  // Imported again as it is: no change. A renewal with the same key needs no key; with another one it does.
  v1::UpdateCertificateRequest update;
  *update.mutable_certificate() = request.certificate();
  update.mutable_certificate()->set_name("certificates/c");
  EXPECT_EQ(UpdateCertificate(update)->revision(), 1);
  update.mutable_certificate()->clear_private_key_pem();
  options.days = 10;
  update.mutable_certificate()->set_certificate_chain_pem(*tls::SelfSign(key, options));
  EXPECT_EQ(UpdateCertificate(update)->revision(), 2);
  update.mutable_certificate()->set_certificate_chain_pem(*tls::SelfSign(other, options));
  EXPECT_EQ(UpdateCertificate(update).status().code(), absl::StatusCode::kInvalidArgument);
  update.mutable_certificate()->set_private_key_pem(other);
  EXPECT_EQ(UpdateCertificate(update)->revision(), 3);
  EXPECT_EQ(StoredKey("c"), other);
}

TEST_F(CatalogueTest, AnExpiredCertificateIsNotImported) {
  const std::string key = *tls::GenerateKey(tls::KeyType::kEcdsaP256);
  tls::SelfSignedOptions options;
  options.common_name = "a.example";
  options.dns_names = {"a.example"};
  options.days = 1;
  options.now = world_.clock.WallNow() - std::chrono::hours(72);
  v1::CreateCertificateRequest request;
  request.set_certificate_id("c");
  request.mutable_certificate()->set_certificate_chain_pem(*tls::SelfSign(key, options));
  request.mutable_certificate()->set_private_key_pem(key);
  call_ = Call{};
  EXPECT_EQ(catalogue_.Create(request, &call_).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Violations(), "certificate.certificate_chain_pem ");
}

TEST_F(CatalogueTest, VirtualServersNameCertificatesThatExistAndHoldThem) {
  EXPECT_FALSE(Create("a", "certificates: 'certificates/c'").ok());
  EXPECT_EQ(Violations(), "virtual_server.certificates[0] ");
  ASSERT_TRUE(CreateCertificate("c", "self_signed { dns_names: 'a.example' }").ok());
  ASSERT_TRUE(CreateCertificate("d", "self_signed { dns_names: 'a.example' }").ok());
  EXPECT_TRUE(Create("a", "certificates: 'certificates/c'").ok());
  EXPECT_FALSE(Create("b", "certificates: 'certificates/c' certificates: 'certificates/d'").ok()) << "two of one kind";
  EXPECT_EQ(Violations(), "virtual_server.certificates[1] ");
  v1::DeleteCertificateRequest remove;
  remove.set_name("certificates/c");
  const absl::Status status = catalogue_.Delete(remove, &call_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("virtualServers/a"), absl::string_view::npos);
  ASSERT_TRUE(Update("virtual_server { name: 'virtualServers/a' } update_mask { paths: 'certificates' }").ok());
  EXPECT_TRUE(catalogue_.Delete(remove, &call_).ok());
}

// limits.md, Control plane: 10,000 virtual servers, 10,000 certificates.
TEST_F(CatalogueTest, ThereAreAtMostTenThousandOfEach) {
  store::Transaction transaction;
  for (int64_t i = 0; i < kMaxVirtualServers - 1; ++i) {
    const std::string id = "x" + std::to_string(i);
    transaction.writes.push_back({"virtualServers/" + id, "", {}});
    transaction.writes.push_back({"certificates/" + id, "", {}});
  }
  world_.Commit(transaction);
  EXPECT_TRUE(Create("a").ok());
  EXPECT_EQ(Create("b").status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(CreateCertificate("a", "self_signed { dns_names: 'a.example' }").ok());
  EXPECT_EQ(CreateCertificate("b", "self_signed { dns_names: 'a.example' }").status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(CatalogueTest, ACaBundleMustHoldCertificates) {
  EXPECT_FALSE(Create("a", "delivery { default_route { tls { mode: REQUIRED ca_bundle_pem: '-----BEGIN CERTIFICATE-----' } } }").ok());
  EXPECT_EQ(Violations(), "virtual_server.delivery.default_route.tls.ca_bundle_pem ");
  EXPECT_FALSE(Create("a", "tls { client_certificates { mode: MANDATORY ca_bundle_pem: '-----BEGIN CERTIFICATE-----' } }").ok());
  EXPECT_EQ(Violations(), "virtual_server.tls.client_certificates.ca_bundle_pem ");
}

}  // namespace
}  // namespace gatepost::config
