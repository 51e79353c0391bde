// Longer than most: one function's rules, in the order in which they decide.
#include "services/policy/evaluate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace gatepost::policy {
namespace {

ClientEntry Subnet(const char* text) { return *base::IpPrefix::Parse(text); }
ClientEntry Range(const char* text) { return *base::IpRange::Parse(text); }

ClientFacts From(const char* address, bool tls = false) {
  ClientFacts client;
  client.address = *base::IpAddress::Parse(address);
  client.tls.active = tls;
  return client;
}

VirtualServer Inbound() {
  VirtualServer server;
  server.id = "inbound";
  server.fqdn = "mail.example.com";
  server.authentication.anonymous = true;
  server.local_domains = {{"example.com", false}, {"example.net", true}};
  return server;
}

std::shared_ptr<const CompiledVirtualServer> Compiled(VirtualServer server) {
  auto compiled = CompiledVirtualServer::Compile(std::move(server));
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return *compiled;
}

const Identity kAlice{.login = "alice@example.com", .user = "users/alice"};

// R6, R7: the default admits everybody.
TEST(ConnectionTest, AnEmptyAllExceptListAdmitsEverybody) {
  const auto server = Compiled(Inbound());
  const Verdict verdict = JudgeConnection(*server, From("192.0.2.1"));
  EXPECT_TRUE(verdict.accepted);
  EXPECT_EQ(verdict.rule, "connection_control.mode");
}

// R7, R8, R9: both modes; single, subnet, range, IPv6.
TEST(ConnectionTest, BothModesNameTheEntryThatDecided) {
  VirtualServer server = Inbound();
  server.connection_control.entries = {Subnet("192.0.2.7"), Subnet("198.51.100.0/24"), Range("203.0.113.5-203.0.113.9"),
                                       Subnet("2001:db8::/32")};
  for (ListMode mode : {ListMode::kAllExcept, ListMode::kOnlyList}) {
    server.connection_control.mode = mode;
    const auto compiled = Compiled(server);
    const std::pair<const char*, const char*> inside[] = {{"192.0.2.7", "connection_control.entries[0]"},
                                                          {"198.51.100.255", "connection_control.entries[1]"},
                                                          {"203.0.113.9", "connection_control.entries[2]"},
                                                          {"2001:db8::1", "connection_control.entries[3]"},
                                                          {"::ffff:192.0.2.7", "connection_control.entries[0]"}};
    for (const auto& [address, rule] : inside) {
      const Verdict verdict = JudgeConnection(*compiled, From(address));
      EXPECT_EQ(verdict.accepted, mode == ListMode::kOnlyList) << address;
      EXPECT_EQ(verdict.rule, rule);
    }
    for (const char* address :
         {"192.0.2.6", "192.0.2.8", "198.51.101.0", "203.0.113.4", "203.0.113.10", "2001:db9::1"}) {
      const Verdict verdict = JudgeConnection(*compiled, From(address));
      EXPECT_EQ(verdict.accepted, mode == ListMode::kAllExcept) << address;
      EXPECT_EQ(verdict.rule, "connection_control.mode");
    }
  }
}

TEST(ConnectionTest, TheNarrowestEntryIsTheOneNamed) {
  VirtualServer server = Inbound();
  server.connection_control.entries = {Subnet("10.0.0.0/8"), Subnet("10.1.0.0/16"), Subnet("10.1.2.3"),
                                       Subnet("0.0.0.0/0")};
  const auto compiled = Compiled(server);
  EXPECT_EQ(JudgeConnection(*compiled, From("10.1.2.3")).rule, "connection_control.entries[2]");
  EXPECT_EQ(JudgeConnection(*compiled, From("10.1.2.4")).rule, "connection_control.entries[1]");
  EXPECT_EQ(JudgeConnection(*compiled, From("10.2.0.0")).rule, "connection_control.entries[0]");
  EXPECT_EQ(JudgeConnection(*compiled, From("255.255.255.255")).rule, "connection_control.entries[3]");
  EXPECT_EQ(JudgeConnection(*compiled, From("::1")).rule, "connection_control.mode");
}

// R11, R16.
TEST(MailTest, SecureChannelComesBeforeAuthentication) {
  VirtualServer server = Inbound();
  server.authentication.anonymous = false;
  server.tls.require_secure_channel = true;
  const auto compiled = Compiled(server);
  EXPECT_EQ(JudgeMail(*compiled, From("192.0.2.1"), nullptr, {}).reason, Reason::kSecureChannelRequired);
  EXPECT_EQ(JudgeMail(*compiled, From("192.0.2.1", true), nullptr, {}).reason, Reason::kAuthenticationRequired);
  EXPECT_TRUE(JudgeMail(*compiled, From("192.0.2.1", true), &kAlice, {}).accepted);
  Identity reader = kAlice;
  reader.may_submit = false;
  EXPECT_EQ(JudgeMail(*compiled, From("192.0.2.1", true), &reader, {}).reason, Reason::kMayNotSubmit);
}

// R21: a new virtual server does not relay. R24: local domains are open.
TEST(RelayTest, ANewVirtualServerTakesLocalMailAndRelaysNothing) {
  const auto server = Compiled(Inbound());
  EXPECT_TRUE(JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"bob", "example.com"}).accepted);
  EXPECT_TRUE(JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"bob", "sub.example.net"}).accepted);
  EXPECT_TRUE(JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"postmaster", ""}).accepted);
  for (const char* domain :
       {"sub.example.com", "notexample.com", "example.com.evil.test", "com", "[192.0.2.1]", "notexample.net"}) {
    const Verdict verdict = JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"bob", domain});
    EXPECT_FALSE(verdict.accepted) << domain;
    EXPECT_EQ(verdict.reason, Reason::kRelayDenied);
    EXPECT_EQ(verdict.rule, "relay.mode");
  }
}

// R22: an OR with the list.
TEST(RelayTest, AuthenticatedMayRelayWhateverTheListSays) {
  VirtualServer server = Inbound();
  auto compiled = Compiled(server);
  Verdict verdict = JudgeRecipient(*compiled, From("192.0.2.1"), &kAlice, {"x", "far.example"});
  EXPECT_TRUE(verdict.accepted);
  EXPECT_EQ(verdict.rule, "relay.authenticated_may_relay");
  server.relay.authenticated_may_relay = false;
  compiled = Compiled(server);
  EXPECT_FALSE(JudgeRecipient(*compiled, From("192.0.2.1"), &kAlice, {"x", "far.example"}).accepted);
  server.relay.list.entries = {Subnet("192.0.2.0/24")};
  compiled = Compiled(server);
  verdict = JudgeRecipient(*compiled, From("192.0.2.1"), &kAlice, {"x", "far.example"});
  EXPECT_TRUE(verdict.accepted);
  EXPECT_EQ(verdict.rule, "relay.entries[0]");
}

// R23, both modes.
TEST(RelayTest, TheListGrantsOrExcepts) {
  VirtualServer server = Inbound();
  server.relay.list.entries = {Subnet("192.0.2.0/24"), Range("203.0.113.5-203.0.113.9")};
  auto compiled = Compiled(server);
  EXPECT_TRUE(JudgeRecipient(*compiled, From("203.0.113.5"), nullptr, {"x", "far.example"}).accepted);
  EXPECT_FALSE(JudgeRecipient(*compiled, From("203.0.113.4"), nullptr, {"x", "far.example"}).accepted);
  server.relay.list.mode = ListMode::kAllExcept;
  compiled = Compiled(server);
  EXPECT_FALSE(JudgeRecipient(*compiled, From("203.0.113.5"), nullptr, {"x", "far.example"}).accepted);
  EXPECT_TRUE(JudgeRecipient(*compiled, From("203.0.113.4"), nullptr, {"x", "far.example"}).accepted);
}

// threats.md E3.
TEST(RelayTest, ARouteInALocalPartIsRelaying) {
  const auto server = Compiled(Inbound());
  for (const char* local : {"victim%ext.example", "ext.example!victim", "victim@ext.example"}) {
    const Verdict verdict = JudgeRecipient(*server, From("192.0.2.1"), nullptr, {local, "example.com"});
    EXPECT_FALSE(verdict.accepted) << local;
    EXPECT_EQ(verdict.reason, Reason::kRoutedLocalPart);
    EXPECT_TRUE(JudgeRecipient(*server, From("192.0.2.1"), &kAlice, {local, "example.com"}).accepted);
  }
}

// The grammar yields no other path without a domain; if it ever did, it would not be ours.
TEST(RelayTest, WithoutADomainOnlyPostmasterIsLocal) {
  const auto server = Compiled(Inbound());
  EXPECT_TRUE(JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"PostMaster", ""}).accepted);
  EXPECT_EQ(JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"ext!victim", ""}).reason, Reason::kRelayDenied);
  EXPECT_EQ(JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"", ""}).reason, Reason::kRelayDenied);
}

// R22: the permission is the user's; the list stands beside it.
TEST(RelayTest, AUserWithoutThePermissionHasWhatTheListGives) {
  VirtualServer server = Inbound();
  server.relay.list.entries = {Subnet("192.0.2.0/24")};
  const auto compiled = Compiled(server);
  Identity bob = kAlice;
  bob.may_relay = false;
  EXPECT_EQ(JudgeRecipient(*compiled, From("198.51.100.1"), &bob, {"x", "far.example"}).rule, "relay.mode");
  EXPECT_TRUE(JudgeRecipient(*compiled, From("192.0.2.1"), &bob, {"x", "far.example"}).accepted);
}

// R21-R24 in one sentence, against the code: ours and no route, or one who may relay, by login or by list.
TEST(RelayTest, AgreesWithTheRuleSpelledOutOnRandomQuestions) {
  std::mt19937_64 random(5);
  const char* const domains[] = {"example.com",     "sub.example.com", "example.net",
                                 "a.b.example.net", "far.example",     "[192.0.2.1]"};
  const char* const locals[] = {"bob", "a%b", "a!b", "a@b", "x=y"};
  const char* const clients[] = {"192.0.2.1", "198.51.100.1", "2001:db8::1"};
  int accepted = 0;
  for (int round = 0; round < 4'000; ++round) {
    VirtualServer server = Inbound();
    server.relay.authenticated_may_relay = random() % 2 != 0;
    server.relay.list.mode = random() % 2 != 0 ? ListMode::kOnlyList : ListMode::kAllExcept;
    if (random() % 2 != 0) server.relay.list.entries = {Subnet("192.0.2.0/24"), Subnet("2001:db8::/32")};
    Identity identity = kAlice;
    identity.may_relay = random() % 2 != 0;
    const bool authenticated = random() % 2 != 0;
    const std::string_view domain = domains[random() % std::size(domains)];
    const std::string_view local = locals[random() % std::size(locals)];
    const std::string_view client = clients[random() % std::size(clients)];

    const bool ours = domain == "example.com" || domain == "example.net" || domain == "a.b.example.net";
    const bool route = local == "a%b" || local == "a!b" || local == "a@b";
    const bool by_login = authenticated && identity.may_relay && server.relay.authenticated_may_relay;
    const bool listed = !server.relay.list.entries.empty() && client != "198.51.100.1";
    const bool by_list = server.relay.list.mode == ListMode::kOnlyList ? listed : !listed;
    const bool expected = (ours && !route) || by_login || by_list;

    const auto compiled = Compiled(server);
    const Verdict verdict = JudgeRecipient(*compiled, From(std::string(client).c_str()),
                                           authenticated ? &identity : nullptr, {local, domain});
    ASSERT_EQ(verdict.accepted, expected) << local << "@" << domain << " from " << client << ": " << verdict.rule;
    accepted += verdict.accepted ? 1 : 0;
  }
  EXPECT_GT(accepted, 500);
  EXPECT_LT(accepted, 3'500);
}

// A verdict is the same with and without a trace, and its rule is the trace's last.
TEST(RelayTest, TheTraceEndsInTheRuleThatDecided) {
  const auto server = Compiled(Inbound());
  for (const Mailbox& recipient : {Mailbox{"bob", "example.com"}, Mailbox{"x", "far.example"},
                                   Mailbox{"a%b", "example.com"}, Mailbox{"postmaster", ""}}) {
    for (const Identity* identity : {static_cast<const Identity*>(nullptr), &kAlice}) {
      Trace trace;
      const Verdict verdict = JudgeRecipient(*server, From("192.0.2.1"), identity, recipient, &trace);
      ASSERT_FALSE(trace.empty());
      EXPECT_EQ(trace.back().rule, verdict.rule);
      EXPECT_EQ(JudgeRecipient(*server, From("192.0.2.1"), identity, recipient).rule, verdict.rule);
    }
  }
}

TEST(ReasonTest, NamesAreDistinctLabels) {
  std::vector<std::string_view> names;
  for (int i = 0; i < kReasons; ++i) {
    const std::string_view name = ReasonName(static_cast<Reason>(i));
    EXPECT_NE(name, "unknown");
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos);
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 0);
    names.push_back(name);
  }
  EXPECT_EQ(ReasonName(static_cast<Reason>(kReasons)), "unknown");
}

TEST(RelayTest, TheTraceListsTheRulesInOrder) {
  const auto server = Compiled(Inbound());
  Trace trace;
  JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"x", "far.example"}, &trace);
  ASSERT_EQ(trace.size(), 2u);
  EXPECT_EQ(trace[0].rule, "local_domains");
  EXPECT_FALSE(trace[0].matched);
  EXPECT_EQ(trace[1].rule, "relay.mode");
}

ClientFacts Called(const char* address, std::vector<std::string> names) {
  ClientFacts client = From(address);
  client.name.state = names.empty() ? ClientName::State::kUnknown : ClientName::State::kConfirmed;
  client.name.names = std::move(names);
  return client;
}

ClientFacts LookupFailed(const char* address) {
  ClientFacts client = From(address);
  client.name.state = ClientName::State::kFailed;
  return client;
}

// R10; protocol.md 6.
TEST(DomainEntryTest, MatchesAConfirmedNameAndWhatLiesBelow) {
  VirtualServer server = Inbound();
  server.connection_control.entries = {ClientDomain{"spam.example"}, Subnet("192.0.2.0/24"),
                                       ClientDomain{"very.spam.example"}};
  const auto deny = Compiled(server);
  EXPECT_EQ(JudgeConnection(*deny, Called("198.51.100.1", {"spam.example"})).rule, "connection_control.entries[0]");
  EXPECT_EQ(JudgeConnection(*deny, Called("198.51.100.1", {"a.spam.example"})).reason, Reason::kClientNotPermitted);
  // The longest domain decides, whichever name it comes by.
  EXPECT_EQ(JudgeConnection(*deny, Called("198.51.100.1", {"a.spam.example", "x.very.spam.example"})).rule,
            "connection_control.entries[2]");
  EXPECT_TRUE(JudgeConnection(*deny, Called("198.51.100.1", {"notspam.example"})).accepted);
  // No name, or none that is confirmed: in no domain entry.
  EXPECT_EQ(JudgeConnection(*deny, Called("198.51.100.1", {})).rule, "connection_control.mode");
  EXPECT_TRUE(JudgeConnection(*deny, Called("198.51.100.1", {})).accepted);
  server.connection_control.mode = ListMode::kOnlyList;
  const auto allow = Compiled(server);
  EXPECT_TRUE(JudgeConnection(*allow, Called("198.51.100.1", {"spam.example"})).accepted);
  EXPECT_EQ(JudgeConnection(*allow, Called("198.51.100.1", {})).reason, Reason::kClientNotPermitted);
}

TEST(DomainEntryTest, AnAddressDecidesWithoutALookup) {
  VirtualServer server = Inbound();
  server.connection_control.entries = {ClientDomain{"spam.example"}, Subnet("192.0.2.0/24")};
  const auto compiled = Compiled(server);
  EXPECT_EQ(LookupForConnection(*compiled, From("192.0.2.1")), Lookup::kNone);
  EXPECT_EQ(LookupForConnection(*compiled, From("198.51.100.1")), Lookup::kClientName);
  EXPECT_EQ(LookupForConnection(*compiled, Called("198.51.100.1", {})), Lookup::kNone);
  EXPECT_EQ(LookupForConnection(*Compiled(Inbound()), From("198.51.100.1")), Lookup::kNone);
  server.connection_control.entries.clear();
  server.reverse_lookup.annotate_received = true;
  EXPECT_EQ(LookupForConnection(*Compiled(server), From("198.51.100.1")), Lookup::kClientName);
}

// protocol.md 6: for both kinds of list.
TEST(DomainEntryTest, AFailedLookupIsWhatTheVirtualServerSaysOfIt) {
  const std::pair<OnLookupFailure, Reason> kCases[] = {{OnLookupFailure::kTempfail, Reason::kReverseLookupFailed},
                                                       {OnLookupFailure::kAllow, Reason::kAllowed},
                                                       {OnLookupFailure::kDeny, Reason::kClientNotPermitted}};
  for (const auto& [setting, reason] : kCases) {
    for (ListMode mode : {ListMode::kAllExcept, ListMode::kOnlyList}) {
      VirtualServer server = Inbound();
      server.connection_control = {mode, {ClientDomain{"spam.example"}}};
      server.reverse_lookup.on_lookup_failure = setting;
      const Verdict verdict = JudgeConnection(*Compiled(server), LookupFailed("198.51.100.1"));
      EXPECT_EQ(verdict.reason, reason);
      EXPECT_EQ(verdict.rule, "reverse_lookup.on_lookup_failure");
    }
  }
}

// R23. Whoever can make a lookup fail must not gain by it.
TEST(DomainEntryTest, AFailedLookupNeverGrantsRelaying) {
  const Mailbox far{"x", "far.example"};
  VirtualServer server = Inbound();
  server.relay.list.entries = {ClientDomain{"partner.example"}};
  for (ListMode mode : {ListMode::kOnlyList, ListMode::kAllExcept}) {
    server.relay.list.mode = mode;
    for (OnLookupFailure setting : {OnLookupFailure::kAllow, OnLookupFailure::kDeny}) {
      server.reverse_lookup.on_lookup_failure = setting;
      EXPECT_EQ(JudgeRecipient(*Compiled(server), LookupFailed("198.51.100.1"), nullptr, far).reason,
                Reason::kRelayDenied);
    }
  }
  server.relay.list.mode = ListMode::kOnlyList;
  server.reverse_lookup.on_lookup_failure = OnLookupFailure::kTempfail;
  const auto compiled = Compiled(server);
  EXPECT_EQ(JudgeRecipient(*compiled, LookupFailed("198.51.100.1"), nullptr, far).reason,
            Reason::kReverseLookupFailed);
  EXPECT_EQ(JudgeRecipient(*compiled, Called("198.51.100.1", {"mx.partner.example"}), nullptr, far).rule,
            "relay.entries[0]");
  // Asked only when it decides.
  EXPECT_EQ(LookupForRecipient(*compiled, From("198.51.100.1"), nullptr, far), Lookup::kClientName);
  EXPECT_EQ(LookupForRecipient(*compiled, From("198.51.100.1"), nullptr, {"x", "example.com"}), Lookup::kNone);
  EXPECT_EQ(LookupForRecipient(*compiled, From("198.51.100.1"), &kAlice, far), Lookup::kNone);
}

TEST(BlockListTest, IsAskedForAnonymousClientsWhoseRecipientIsElseAccepted) {
  VirtualServer server = Inbound();
  server.filters.block_lists = {{"a.example", {}}, {"b.example", {}}};
  const auto compiled = Compiled(server);
  const Mailbox ours{"x", "example.com"};
  const Mailbox far{"x", "far.example"};
  EXPECT_EQ(LookupForRecipient(*compiled, From("192.0.2.1"), nullptr, ours), Lookup::kBlockLists);
  EXPECT_EQ(LookupForRecipient(*compiled, From("192.0.2.1"), nullptr, far), Lookup::kNone);
  EXPECT_EQ(LookupForRecipient(*compiled, From("192.0.2.1"), &kAlice, ours), Lookup::kNone);
  ClientFacts client = From("192.0.2.1");
  client.listing = {BlockListing::State::kListed, 1};
  EXPECT_EQ(JudgeRecipient(*compiled, client, nullptr, ours).rule, "filters.block_lists[1]");
  EXPECT_TRUE(JudgeRecipient(*compiled, client, &kAlice, ours).accepted);
  client.listing = {BlockListing::State::kNotListed, 0};
  EXPECT_EQ(JudgeRecipient(*compiled, client, nullptr, ours).rule, "local_domains[0]");
  client.listing = {BlockListing::State::kFailed, 0};
  EXPECT_TRUE(JudgeRecipient(*compiled, client, nullptr, ours).accepted);
  server.filters.on_lookup_failure = OnLookupFailure::kTempfail;
  EXPECT_EQ(JudgeRecipient(*Compiled(server), client, nullptr, ours).reason, Reason::kBlockListsFailed);
  server.filters.on_lookup_failure = OnLookupFailure::kDeny;
  EXPECT_EQ(JudgeRecipient(*Compiled(server), client, nullptr, ours).reason, Reason::kBlockListsDenied);
}

TEST(PermissionTest, SubmitAndRelayAreSeparateByUserAndGroup) {
  VirtualServer server = Inbound();
  const Mailbox far{"x", "far.example"};
  const Identity bob{.login = "bob@example.com", .user = "users/bob", .groups = {"groups/sales"}};
  server.authentication.submit = {ListMode::kOnlyList, {"users/alice", "groups/sales"}};
  server.relay.authenticated = {ListMode::kAllExcept, {"groups/sales"}};
  const auto compiled = Compiled(server);
  EXPECT_EQ(JudgeMail(*compiled, From("192.0.2.1"), &bob, {}).rule, "authentication.submit.principals[1]");
  const Verdict relay = JudgeRecipient(*compiled, From("192.0.2.1"), &bob, far);
  EXPECT_EQ(relay.reason, Reason::kRelayDenied);
  EXPECT_TRUE(JudgeRecipient(*compiled, From("192.0.2.1"), &kAlice, far).accepted);
  const Identity eve{.login = "eve@example.com", .user = "users/eve"};
  EXPECT_EQ(JudgeMail(*compiled, From("192.0.2.1"), &eve, {}).reason, Reason::kMayNotSubmit);
  EXPECT_EQ(JudgeMail(*compiled, From("192.0.2.1"), &eve, {}).rule, "authentication.submit.mode");
}

TEST(SendAsTest, OwnAddressesAndTheBindingOfACredential) {
  VirtualServer server = Inbound();
  Identity alice = kAlice;
  EXPECT_TRUE(JudgeMail(*Compiled(server), From("192.0.2.1"), &alice, {"bob", "example.com"}).accepted);
  alice.senders = {"@example.net", "a.l@example.com"};
  EXPECT_TRUE(JudgeMail(*Compiled(server), From("192.0.2.1"), &alice, {"x", "example.net"}).accepted);
  EXPECT_TRUE(JudgeMail(*Compiled(server), From("192.0.2.1"), &alice, {"a.l", "example.com"}).accepted);
  EXPECT_EQ(JudgeMail(*Compiled(server), From("192.0.2.1"), &alice, {"alice", "example.com"}).rule, "credential.senders");
  alice.senders.clear();
  server.authentication.send_as = SendAs::kOwnAddresses;
  const auto own = Compiled(server);
  EXPECT_TRUE(JudgeMail(*own, From("192.0.2.1"), &alice, {"alice", "example.com"}).accepted);
  EXPECT_TRUE(JudgeMail(*own, From("192.0.2.1"), &alice, {}).accepted);
  EXPECT_EQ(JudgeMail(*own, From("192.0.2.1"), &alice, {"bob", "example.com"}).reason, Reason::kMayNotSendAs);
  alice.addresses = {"bob@example.com"};
  EXPECT_TRUE(JudgeMail(*own, From("192.0.2.1"), &alice, {"bob", "example.com"}).accepted);
}

// R17.
TEST(EncryptionTest, TheFloorIsJudgedByVersionAndBits) {
  VirtualServer server = Inbound();
  TlsFacts tls{.active = true, .version = TlsVersion::kTls12, .cipher_bits = 128};
  EXPECT_TRUE(JudgeEncryption(*Compiled(server), tls).accepted);
  server.tls.min_cipher_bits = 256;
  EXPECT_EQ(JudgeEncryption(*Compiled(server), tls).rule, "tls.min_cipher_bits");
  tls.cipher_bits = 256;
  EXPECT_TRUE(JudgeEncryption(*Compiled(server), tls).accepted);
  server.tls.min_version = TlsVersion::kTls13;
  EXPECT_EQ(JudgeEncryption(*Compiled(server), tls).rule, "tls.min_version");
}

// R12; threats.md T7, A10.
TEST(MechanismTest, PasswordsNeedTlsUnlessTheVirtualServerSaysOtherwise) {
  VirtualServer server = Inbound();
  const std::vector<std::string> servable = {"LOGIN", "PLAIN"};
  TlsFacts clear;
  TlsFacts tls{.active = true};
  auto compiled = Compiled(server);
  EXPECT_TRUE(OfferedMechanisms(*compiled, clear, servable).empty());
  EXPECT_EQ(OfferedMechanisms(*compiled, tls, servable), (std::vector<std::string_view>{"PLAIN", "LOGIN"}));
  EXPECT_EQ(OfferedMechanisms(*compiled, tls, {"LOGIN"}), (std::vector<std::string_view>{"LOGIN"}));
  EXPECT_EQ(JudgeMechanism(*compiled, clear, "plain").reason, Reason::kMechanismNeedsTls);
  EXPECT_EQ(JudgeMechanism(*compiled, clear, "plain").rule, "authentication.basic.allow_clear_text_credentials");
  EXPECT_EQ(JudgeMechanism(*compiled, tls, "CRAM-MD5").reason, Reason::kMechanismUnknown);
  server.authentication.allow_clear_text_credentials = true;
  EXPECT_EQ(OfferedMechanisms(*Compiled(server), clear, servable).size(), 2u);
  server.authentication.basic = false;
  EXPECT_TRUE(OfferedMechanisms(*Compiled(server), tls, servable).empty());
}

TEST(CompileTest, RefusesWhatCannotBeServed) {
  VirtualServer server = Inbound();
  server.fqdn.clear();
  EXPECT_FALSE(CompiledVirtualServer::Compile(server).ok());
  server = Inbound();
  server.limits.recipients = 99;
  EXPECT_FALSE(CompiledVirtualServer::Compile(server).ok());
  server.limits.recipients = 100;
  EXPECT_TRUE(CompiledVirtualServer::Compile(server).ok());
  server = Inbound();
  server.banner_text = "a\r\n250 b";
  EXPECT_FALSE(CompiledVirtualServer::Compile(server).ok());
  server = Inbound();
  server.listeners.resize(33);
  EXPECT_FALSE(CompiledVirtualServer::Compile(server).ok());
  server.listeners.resize(32);
  EXPECT_TRUE(CompiledVirtualServer::Compile(server).ok());
}

// limits.md: 10,000 entries, 10,000 local domains.
TEST(CompileTest, BoundsListsAtTenThousandEntries) {
  for (auto list : {+[](VirtualServer* s) { return &s->connection_control.entries; },
                    +[](VirtualServer* s) { return &s->relay.list.entries; }}) {
    VirtualServer server = Inbound();
    list(&server)->resize(10'000, Subnet("192.0.2.1"));
    EXPECT_TRUE(CompiledVirtualServer::Compile(server).ok());
    list(&server)->push_back(Subnet("192.0.2.1"));
    EXPECT_FALSE(CompiledVirtualServer::Compile(server).ok());
  }
  VirtualServer server = Inbound();
  server.local_domains.resize(10'000, {"example.com", false});
  EXPECT_TRUE(CompiledVirtualServer::Compile(server).ok());
  server.local_domains.push_back({"example.com", false});
  EXPECT_FALSE(CompiledVirtualServer::Compile(server).ok());
}

// What no parser makes would be misread by the compiled lists, so it is refused rather than trusted.
TEST(CompileTest, RefusesEntriesThatAreNeitherSubnetNorRange) {
  const base::IpAddress low = *base::IpAddress::Parse("192.0.2.1");
  const base::IpAddress high = *base::IpAddress::Parse("192.0.2.9");
  const base::IpAddress six = *base::IpAddress::Parse("2001:db8::1");
  const ClientEntry bad[] = {base::IpPrefix{low, 24}, base::IpPrefix{low, 33}, base::IpPrefix{low, -1},
                             base::IpRange{high, low}, base::IpRange{low, six}};
  for (const ClientEntry& entry : bad) {
    VirtualServer server = Inbound();
    server.relay.list.entries = {Subnet("10.0.0.0/8"), entry};
    const absl::Status status = CompiledVirtualServer::Compile(server).status();
    EXPECT_NE(std::string(status.message()).find("relay.entries[1]"), std::string::npos) << status;
  }
}

TEST(CompileTest, RefusesDomainsThatCouldNeverMatch) {
  for (const char* domain : {"", "Example.com", "example.com.", "[192.0.2.1]", "ex\xc3\xa4mple.com"}) {
    VirtualServer server = Inbound();
    server.local_domains.push_back({domain, true});
    const absl::Status status = CompiledVirtualServer::Compile(server).status();
    EXPECT_NE(std::string(status.message()).find("local_domains[2].domain"), std::string::npos) << domain;
  }
}

// limits.md, the column "Default": what a new virtual server has.
TEST(DefaultsTest, AreThoseOfTheTableOfLimits) {
  const Limits limits;
  EXPECT_EQ(limits.message_size, 36u * 1024 * 1024);
  EXPECT_EQ(limits.session_size, 0u);
  EXPECT_EQ(limits.recipients, 1'000);
  EXPECT_EQ(limits.messages, 0u);
  EXPECT_EQ(limits.hops, 100);
  EXPECT_EQ(limits.protocol_errors, 20);
  EXPECT_EQ(limits.refused_recipients, 100);
  EXPECT_EQ(limits.auth_failures, 3);
  EXPECT_EQ(limits.auth_failure_delay, std::chrono::seconds(1));
  EXPECT_EQ(limits.max_auth_failure_delay, std::chrono::seconds(5));
  EXPECT_EQ(limits.idle_timeout, std::chrono::minutes(10));
  EXPECT_EQ(limits.data_timeout, std::chrono::minutes(5));
  EXPECT_EQ(limits.min_data_rate, 100u);
  EXPECT_EQ(limits.session_duration, std::chrono::hours(24));
  EXPECT_EQ(limits.connections_per_source, 50u);
  EXPECT_EQ(limits.connections, 0u);
  const VirtualServer server;
  EXPECT_FALSE(server.authentication.anonymous);
  EXPECT_TRUE(server.authentication.basic);
  EXPECT_FALSE(server.authentication.allow_clear_text_credentials);
  EXPECT_FALSE(server.tls.require_secure_channel);
  EXPECT_EQ(server.tls.min_version, TlsVersion::kTls12);
  EXPECT_EQ(server.connection_control.mode, ListMode::kAllExcept);
  EXPECT_EQ(server.relay.list.mode, ListMode::kOnlyList);
  EXPECT_TRUE(server.relay.authenticated_may_relay);
}

}  // namespace
}  // namespace gatepost::policy
