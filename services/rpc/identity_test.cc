// What a leaf proves, who may call what, who is refused by the deny list.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <set>

#include "gatepost/auth/v1/credential.pb.h"
#include "gatepost/auth/v1/group.pb.h"
#include "gatepost/auth/v1/sasl_service.pb.h"
#include "gatepost/auth/v1/throttle.pb.h"
#include "gatepost/auth/v1/user.pb.h"
#include "gatepost/config/v1/certificate.pb.h"
#include "gatepost/config/v1/dns_service.pb.h"
#include "gatepost/config/v1/edge.pb.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "gatepost/config/v1/watch_service.pb.h"
#include "services/base/fake_clock.h"
#include "services/rpc/authorization.h"
#include "services/rpc/deny_list.h"
#include "services/rpc/identity_files.h"
#include "services/rpc/leaf_certificate.h"
#include "services/rpc/peer_identity.h"
#include "services/rpc/test_pki.h"

namespace gatepost::rpc {
namespace {

TEST(PeerIdentityTest, OnlyTheFullFormIsAnIdentity) {
  const absl::StatusOr<PeerIdentity> identity = ParsePeerIdentity("spiffe://example.org/gatepost/edge/pool-1");
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(identity->trust_domain, "example.org");
  EXPECT_EQ(identity->role, Role::kEdge);
  EXPECT_EQ(identity->name, "pool-1");
  for (const char* bad : {"", "spiffe://", "spiffe://example.org/gatepost/edge", "spiffe://example.org/gatepost/edge/",
                          "spiffe://example.org/gatepost/edge/a/b", "spiffe://example.org/other/edge/a",
                          "spiffe://example.org/gatepost/root/a", "spiffe:///gatepost/edge/a",
                          "https://example.org/gatepost/edge/a", "spiffe://Example.org/gatepost/edge/a",
                          "spiffe://example.org/gatepost/edge/A", "spiffe://example.org/gatepost/edge/a ",
                          "spiffe://example.org/gatepost/Edge/a", "spiffe://example.org:1/gatepost/edge/a",
                          "spiffe://u@example.org/gatepost/edge/a", "spiffe://example.org/gatepost/edge/..",
                          "spiffe://example.org/gatepost/edge/a?b", "spiffe://example.org/gatepost/edge/%61"}) {
    EXPECT_FALSE(ParsePeerIdentity(bad).ok()) << bad;
  }
}

TEST(LeafCertificateTest, FactsAreWhatWasIssued) {
  TestPki pki;
  tls::LeafOptions options = TestPki::Leaf("edge/a");
  options.uris.push_back("https://example.org/second");
  options.days = 30;
  std::string key;
  const std::string pem = pki.IssuePem(options, &key);
  const absl::StatusOr<LeafFacts> facts = ReadLeaf(pem);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->uris, (std::vector<std::string>{"spiffe://test/gatepost/edge/a", "https://example.org/second"}));
  EXPECT_FALSE(facts->is_ca);
  EXPECT_EQ(std::chrono::floor<std::chrono::seconds>(facts->not_after),
            std::chrono::floor<std::chrono::seconds>(tls::ParseChain(pem)->front().not_after));
  EXPECT_TRUE(ReadLeaf(pki.ca())->is_ca);
}

TEST(LeafCertificateTest, EveryTruncationAndEveryFlippedOctetIsReadSafely) {
  TestPki pki;
  std::string key;
  const std::string pem = pki.IssuePem(TestPki::Leaf("edge/a"), &key);
  const absl::StatusOr<LeafFacts> whole = ReadLeaf(pem);
  ASSERT_TRUE(whole.ok());
  const size_t end = pem.find("-----END");
  for (size_t length = 0; length < end - 1; length += 3)
    EXPECT_FALSE(ReadLeaf(pem.substr(0, length) + pem.substr(end)).ok()) << length;
  for (size_t at = 28; at + 30 < pem.size(); ++at) {
    std::string changed = pem;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    ReadLeaf(changed).IgnoreError();  // Under the sanitizers: no crash, no read beyond.
  }
  EXPECT_FALSE(ReadLeaf("").ok());
  EXPECT_FALSE(ReadLeaf("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").ok());
}

TEST(PeerIdentityTest, ALeafWithTwoUrisOrOfACaOrOfAnotherTrustDomainProvesNothing) {
  TestPki pki;
  const auto judge = [&](const tls::LeafOptions& leaf) {
    std::string key;
    return JudgeLeaf(pki.IssuePem(leaf, &key), leaf.uris, "test");
  };
  EXPECT_TRUE(judge(TestPki::Leaf("edge/a")).ok());
  tls::LeafOptions two = TestPki::Leaf("edge/a");
  two.uris.push_back("spiffe://test/gatepost/admin/a");
  tls::LeafOptions none = TestPki::Leaf("edge/a");
  none.uris.clear();
  tls::LeafOptions ca = TestPki::Leaf("edge/a");
  ca.is_ca = true;
  tls::LeafOptions foreign = TestPki::Leaf("edge/a");
  foreign.uris = {"spiffe://other/gatepost/edge/a"};
  for (const tls::LeafOptions& bad : {two, none, ca, foreign})
    EXPECT_TRUE(absl::IsUnauthenticated(judge(bad).status())) << judge(bad).status();
  // What another reader found in it must be the same.
  std::string key;
  const std::string pem = pki.IssuePem(TestPki::Leaf("edge/a"), &key);
  EXPECT_FALSE(JudgeLeaf(pem, {"spiffe://test/gatepost/admin/a"}, "test").ok());
}

TEST(IdentityFilesTest, WhatIsWrongIsSaidByFile) {
  TestPki pki;
  const IdentityFiles good = pki.Issue("auth/a");
  const absl::StatusOr<OwnIdentity> own = ReadOwnIdentity(good);
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(own->identity.role, Role::kAuth);
  EXPECT_GT(OwnExpirySeconds(good), 1.7e9);

  IdentityFiles bad = good;
  bad.key = pki.folder() + "/absent";
  EXPECT_NE(ReadOwnIdentity(bad).status().message().find("absent"), absl::string_view::npos);
  bad = good;
  bad.cert = good.key;
  EXPECT_FALSE(ReadOwnIdentity(bad).ok());
  bad = good;
  bad.ca = "";
  EXPECT_FALSE(ReadOwnIdentity(bad).ok());
  tls::LeafOptions ca = TestPki::Leaf("auth/a");
  ca.is_ca = true;
  EXPECT_FALSE(ReadOwnIdentity(pki.Issue(ca)).ok());
  EXPECT_EQ(OwnExpirySeconds(bad = IdentityFiles{}), 0);
}

// The matrix of the design: a method that is added without an entry, or an entry without a method, fails here.
TEST(AuthorizationTest, TheTableIsExactlyTheMethodsOfTheDescriptors) {
  std::set<std::string> methods;
  for (const google::protobuf::FileDescriptor* file :
       {auth::v1::User::descriptor()->file(), auth::v1::Group::descriptor()->file(),
        auth::v1::Credential::descriptor()->file(), auth::v1::Start::descriptor()->file(),
        auth::v1::Throttle::descriptor()->file(), config::v1::CheckDnsRequest::descriptor()->file(),
        config::v1::VirtualServer::descriptor()->file(), config::v1::Certificate::descriptor()->file(),
        config::v1::Edge::descriptor()->file(), config::v1::Unit::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m)
        methods.insert(file->service(s)->method(m)->full_name());
    }
  }
  std::set<std::string> entries;
  for (const MethodRule& rule : AllRules()) entries.emplace(rule.method);
  EXPECT_EQ(entries, methods);
  EXPECT_EQ(entries.size(), AllRules().size());
}

TEST(AuthorizationTest, RolesAreAsTheDesignSays) {
  for (const MethodRule& rule : AllRules()) {
    const std::string_view method = rule.method.substr(rule.method.rfind('.') + 1);
    const std::string_view service = rule.method.substr(0, rule.method.rfind('.'));
    const bool reads = method.starts_with("Get") || method.starts_with("List") || method == "CheckDns" ||
                       method == "SimulateSession";
    const bool streams = method == "Watch" || method == "Authenticate";
    const bool of_persons = service.ends_with(".UserService") || service.ends_with(".GroupService") ||
                            service.ends_with(".CredentialService");
    EXPECT_EQ(rule.roles.Has(Role::kEdge), streams) << rule.method;
    EXPECT_EQ(rule.roles.Has(Role::kAdmin), !streams) << rule.method;
    EXPECT_EQ(rule.roles.Has(Role::kViewer), reads) << rule.method;
    EXPECT_EQ(rule.roles.Has(Role::kOperator), !streams && (reads || !of_persons)) << rule.method;
    EXPECT_FALSE(rule.roles.Has(Role::kConfig) || rule.roles.Has(Role::kAuth)) << rule.method;
    EXPECT_EQ(rule.mutates, !reads && !streams) << rule.method;
  }
  EXPECT_EQ(FindRule("gatepost.auth.v1.UserService.Nothing"), nullptr);
  EXPECT_EQ(FindRule(""), nullptr);
}

TEST(DenyListTest, AChangedFileIsInForceAndABrokenOneLeavesTheLastList) {
  TestPki pki;
  base::FakeClock clock;
  const std::string path = pki.folder() + "/denied";
  EXPECT_FALSE(DenyList::Open(path, clock).ok()) << "a file that is not there";
  TestPki::Write(path, "# nobody\n");
  auto list = DenyList::Open(path, clock);
  ASSERT_TRUE(list.ok()) << list.status();
  const std::string edge = "spiffe://test/gatepost/edge/a";
  EXPECT_FALSE((*list)->Denies(edge));

  TestPki::Write(path, "  " + edge + "  # stolen\r\n\n");
  EXPECT_FALSE((*list)->Denies(edge)) << "looked at once a second";
  clock.Advance(std::chrono::seconds(1));
  EXPECT_TRUE((*list)->Denies(edge));
  EXPECT_FALSE((*list)->Denies("spiffe://test/gatepost/edge/b"));

  TestPki::Write(path, "no id\n");
  clock.Advance(std::chrono::seconds(1));
  EXPECT_TRUE((*list)->Denies(edge));
  std::filesystem::remove(path);
  clock.Advance(std::chrono::seconds(1));
  EXPECT_TRUE((*list)->Denies(edge));
  EXPECT_FALSE((*list)->Reload().ok());

  TestPki::Write(path, "");
  EXPECT_TRUE((*list)->Reload().ok());
  EXPECT_FALSE((*list)->Denies(edge));

  base::FakeClock other;
  EXPECT_FALSE((*DenyList::Open("", other))->Denies(edge));
}

TEST(AuthorizationTest, ADeniedIdentityIsUnauthenticatedEvenWhereItsRoleMay) {
  TestPki pki;
  base::FakeClock clock;
  TestPki::Write(pki.folder() + "/denied", "spiffe://test/gatepost/admin/eve\n");
  const auto denied = DenyList::Open(pki.folder() + "/denied", clock);
  ASSERT_TRUE(denied.ok());
  const Authorizer authorizer("test", denied->get());
  const std::string_view method = "gatepost.auth.v1.UserService.GetUser";
  EXPECT_TRUE(
      absl::IsUnauthenticated(authorizer.Judge(*ParsePeerIdentity("spiffe://test/gatepost/admin/eve"), method)));
  EXPECT_TRUE(authorizer.Judge(*ParsePeerIdentity("spiffe://test/gatepost/admin/bob"), method).ok());
  EXPECT_TRUE(
      absl::IsPermissionDenied(authorizer.Judge(*ParsePeerIdentity("spiffe://test/gatepost/edge/bob"), method)));
}

}  // namespace
}  // namespace gatepost::rpc
