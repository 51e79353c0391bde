#include "services/policy/evaluate.h"

#include <gtest/gtest.h>

#include "services/policy/limiter.h"

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
  server.connection_control.entries = {Subnet("192.0.2.7"), Subnet("198.51.100.0/24"), Range("203.0.113.5-203.0.113.9"), Subnet("2001:db8::/32")};
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
    for (const char* address : {"192.0.2.6", "192.0.2.8", "198.51.101.0", "203.0.113.4", "203.0.113.10", "2001:db9::1"}) {
      const Verdict verdict = JudgeConnection(*compiled, From(address));
      EXPECT_EQ(verdict.accepted, mode == ListMode::kAllExcept) << address;
      EXPECT_EQ(verdict.rule, "connection_control.mode");
    }
  }
}

TEST(ConnectionTest, TheNarrowestEntryIsTheOneNamed) {
  VirtualServer server = Inbound();
  server.connection_control.entries = {Subnet("10.0.0.0/8"), Subnet("10.1.0.0/16"), Subnet("10.1.2.3"), Subnet("0.0.0.0/0")};
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
  EXPECT_EQ(JudgeMail(*compiled, From("192.0.2.1"), nullptr).reason, Reason::kSecureChannelRequired);
  EXPECT_EQ(JudgeMail(*compiled, From("192.0.2.1", true), nullptr).reason, Reason::kAuthenticationRequired);
  EXPECT_TRUE(JudgeMail(*compiled, From("192.0.2.1", true), &kAlice).accepted);
  Identity reader = kAlice;
  reader.may_submit = false;
  EXPECT_EQ(JudgeMail(*compiled, From("192.0.2.1", true), &reader).reason, Reason::kMayNotSubmit);
}

// R21: a new virtual server does not relay. R24: local domains are open.
TEST(RelayTest, ANewVirtualServerTakesLocalMailAndRelaysNothing) {
  const auto server = Compiled(Inbound());
  EXPECT_TRUE(JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"bob", "example.com"}).accepted);
  EXPECT_TRUE(JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"bob", "sub.example.net"}).accepted);
  EXPECT_TRUE(JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"postmaster", ""}).accepted);
  for (const char* domain : {"sub.example.com", "notexample.com", "example.com.evil.test", "com", "[192.0.2.1]", "notexample.net"}) {
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

TEST(RelayTest, TheTraceListsTheRulesInOrder) {
  const auto server = Compiled(Inbound());
  Trace trace;
  JudgeRecipient(*server, From("192.0.2.1"), nullptr, {"x", "far.example"}, &trace);
  ASSERT_EQ(trace.size(), 2u);
  EXPECT_EQ(trace[0].rule, "local_domains");
  EXPECT_FALSE(trace[0].matched);
  EXPECT_EQ(trace[1].rule, "relay.mode");
}

// R12; threats.md T7, A10.
TEST(MechanismTest, PasswordsNeedTlsUnlessTheVirtualServerSaysOtherwise) {
  VirtualServer server = Inbound();
  const std::vector<std::string> servable = {"LOGIN", "PLAIN", "SCRAM-SHA-256"};
  TlsFacts clear;
  TlsFacts tls{.active = true};
  auto compiled = Compiled(server);
  EXPECT_TRUE(OfferedMechanisms(*compiled, clear, servable).empty());
  EXPECT_EQ(OfferedMechanisms(*compiled, tls, servable), (std::vector<std::string_view>{"PLAIN", "LOGIN"}));
  EXPECT_EQ(OfferedMechanisms(*compiled, tls, {"LOGIN"}), (std::vector<std::string_view>{"LOGIN"}));
  EXPECT_EQ(JudgeMechanism(*compiled, clear, servable, "plain"), MechanismStanding::kNeedsTls);
  EXPECT_EQ(JudgeMechanism(*compiled, tls, servable, "NTLM"), MechanismStanding::kUnknown);
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
}

// limits.md: connections per source, /32 and /64; in total.
TEST(LimiterTest, CountsBySourceAndInTotal) {
  ConnectionLimiter limiter;
  std::vector<ConnectionLimiter::Place> places;
  for (int i = 0; i < 50; ++i) {
    places.push_back(limiter.Enter(*base::IpAddress::Parse("192.0.2.1"), 50, 0));
    EXPECT_TRUE(places.back());
  }
  EXPECT_FALSE(limiter.Enter(*base::IpAddress::Parse("192.0.2.1"), 50, 0));
  EXPECT_TRUE(limiter.Enter(*base::IpAddress::Parse("192.0.2.2"), 50, 0));
  EXPECT_FALSE(limiter.Enter(*base::IpAddress::Parse("192.0.2.2"), 50, 50));
  EXPECT_TRUE(limiter.Enter(*base::IpAddress::Parse("192.0.2.2"), 50, 51));
  places.pop_back();
  EXPECT_TRUE(limiter.Enter(*base::IpAddress::Parse("192.0.2.1"), 50, 0));
  places.clear();
  EXPECT_EQ(limiter.connections(), 0u);
}

TEST(LimiterTest, AnIpv6SourceIsA64) {
  ConnectionLimiter limiter;
  const auto place = limiter.Enter(*base::IpAddress::Parse("2001:db8::1"), 1, 0);
  EXPECT_TRUE(place);
  EXPECT_FALSE(limiter.Enter(*base::IpAddress::Parse("2001:db8::ffff"), 1, 0));
  EXPECT_TRUE(limiter.Enter(*base::IpAddress::Parse("2001:db8:0:1::1"), 1, 0));
}

}  // namespace
}  // namespace gatepost::policy
