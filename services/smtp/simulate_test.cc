// What Simulate says is what the wire says. The replies' texts are protocol.md's; R24, R25, R30 among them.
#include "services/smtp/simulate.h"

#include <gtest/gtest.h>

#include "services/base/strings.h"
#include "services/smtp/testing/session_harness.h"

namespace gatepost::smtp {
namespace {

using Kind = SimulatedStep::Kind;

policy::VirtualServer Settings() { return SessionSetup().settings; }

SimulatedSession Facts() {
  SimulatedSession facts;
  facts.client = *base::IpAddress::Parse("192.0.2.7");
  facts.sender = "a@far.example";
  facts.recipients = {"b@in.example"};
  return facts;
}

policy::TlsFacts Tls(policy::TlsVersion version = policy::TlsVersion::kTls13, int bits = 128) {
  policy::TlsFacts tls;
  tls.version = version;
  tls.cipher_bits = bits;
  return tls;
}

policy::Identity Alice() {
  policy::Identity identity;
  identity.login = "alice@in.example";
  identity.user = "users/alice";
  return identity;
}

SimulatedResult Simulated(const policy::VirtualServer& settings, const SimulatedSession& facts) {
  auto compiled = policy::CompiledVirtualServer::Compile(settings);
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return Simulate(**compiled, facts);
}

// "connect 220, ehlo 250, ...": of each step its last reply's code, or "ok" and "refused" without one.
std::string Outline(const SimulatedResult& result) {
  std::string outline;
  for (const SimulatedStep& step : result.steps) {
    base::StrAppend(&outline, outline.empty() ? "" : ", ", StepName(step.kind), ' ');
    outline += step.replies.empty() ? (step.accepted ? "ok" : "refused") : step.replies.back().substr(0, 3);
  }
  return outline;
}

std::string Rules(const policy::Trace& trace) {
  std::string rules;
  for (const policy::TraceStep& rule : trace)
    base::StrAppend(&rules, rules.empty() ? "" : ", ", rule.rule, rule.matched ? " yes" : " no");
  return rules;
}

TEST(SimulateTest, AClientInClearDeliversToALocalDomain) {
  const SimulatedResult result = Simulated(Settings(), Facts());
  EXPECT_EQ(Outline(result), "connect 220, ehlo 250, mail 250, rcpt 250");
  EXPECT_EQ(result.steps[0].command, "");
  EXPECT_EQ(result.steps[0].replies, std::vector<std::string>{"220 mx.example ESMTP Gatepost"});
  EXPECT_EQ(result.steps[1].command, "EHLO [192.0.2.7]");
  EXPECT_EQ(result.steps[1].replies.front(), "250-mx.example Hello [192.0.2.7]");
  EXPECT_EQ(result.steps[2].command, "MAIL FROM:<a@far.example>");
  EXPECT_EQ(result.steps[2].verdict->rule, "authentication.anonymous");
  EXPECT_EQ(result.steps[3].command, "RCPT TO:<b@in.example>");
  EXPECT_EQ(result.steps[3].replies, std::vector<std::string>{"250 2.1.5 Recipient OK"});
  EXPECT_EQ(result.steps[3].verdict->reason, policy::Reason::kLocalDomain);
  EXPECT_EQ(result.steps[3].verdict->rule, "local_domains[0]");
  EXPECT_EQ(Rules(result.steps[3].trace), "local_domains[0] yes");
}

// R25.
TEST(SimulateTest, ARefusedConnectionEndsIt) {
  policy::VirtualServer settings = Settings();
  settings.connection_control.entries = {*base::IpPrefix::Parse("192.0.2.0/24")};
  const SimulatedResult result = Simulated(settings, Facts());
  ASSERT_EQ(Outline(result), "connect 554");
  EXPECT_EQ(result.steps[0].replies[0], "554 mx.example Connection refused: 192.0.2.7 is not permitted");
  EXPECT_FALSE(result.steps[0].accepted);
  EXPECT_EQ(result.steps[0].verdict->rule, "connection_control.entries[0]");
  EXPECT_EQ(Rules(result.steps[0].trace), "connection_control.entries[0] yes");
}

// R24, R30.
TEST(SimulateTest, ARefusedRecipientDoesNotEndIt) {
  SimulatedSession facts = Facts();
  facts.recipients = {"x@far.example", "b@in.example", "c%far.example@in.example"};
  const SimulatedResult result = Simulated(Settings(), facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, mail 250, rcpt 550, rcpt 250, rcpt 550");
  EXPECT_EQ(result.steps[3].replies[0], "550 5.7.1 Unable to relay for x@far.example");
  EXPECT_EQ(result.steps[3].verdict->rule, "relay.mode");
  EXPECT_EQ(Rules(result.steps[3].trace), "local_domains no, relay.mode yes");
  EXPECT_EQ(result.steps[5].verdict->reason, policy::Reason::kRoutedLocalPart);
}

TEST(SimulateTest, StartTlsComesBeforeAuthentication) {
  SimulatedSession facts = Facts();
  facts.tls = Tls();
  facts.identity = Alice();
  facts.recipients = {"x@far.example"};
  const SimulatedResult result = Simulated(Settings(), facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, starttls 220, tls ok, ehlo 250, auth 235, mail 250, rcpt 250");
  EXPECT_EQ(result.steps[2].replies[0], "220 2.0.0 Ready to start TLS");
  EXPECT_EQ(Rules(result.steps[3].trace), "tls.min_version no, tls.min_cipher_bits no");
  EXPECT_EQ(result.steps[5].command, "AUTH PLAIN");
  EXPECT_EQ(Rules(result.steps[5].trace), "authentication.basic.enabled yes");
  EXPECT_EQ(result.steps[7].verdict->rule, "relay.authenticated_may_relay");
}

TEST(SimulateTest, WithImplicitTlsTheHandshakeComesFirst) {
  SimulatedSession facts = Facts();
  facts.tls_mode = policy::TlsMode::kImplicit;
  facts.tls = Tls();
  EXPECT_EQ(Outline(Simulated(Settings(), facts)), "tls ok, connect 220, ehlo 250, mail 250, rcpt 250");
}

TEST(SimulateTest, EncryptionBelowTheFloorIsToldToTheNextCommand) {
  policy::VirtualServer settings = Settings();
  settings.tls.min_version = policy::TlsVersion::kTls13;
  SimulatedSession facts = Facts();
  facts.tls = Tls(policy::TlsVersion::kTls12);
  SimulatedResult result = Simulated(settings, facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, starttls 220, tls refused, ehlo 554");
  EXPECT_EQ(result.steps[3].verdict->rule, "tls.min_version");
  EXPECT_EQ(result.steps[4].replies[0], "554 5.7.0 Command refused due to lack of security");
  facts.tls_mode = policy::TlsMode::kImplicit;
  EXPECT_EQ(Outline(Simulated(settings, facts)), "tls refused, connect 220, ehlo 554");
}

// R16: the rule is told of whatever is refused for it.
TEST(SimulateTest, ARequiredSecureChannelIsTheRule) {
  policy::VirtualServer settings = Settings();
  settings.tls.require_secure_channel = true;
  SimulatedSession facts = Facts();
  SimulatedResult result = Simulated(settings, facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, mail 530");
  EXPECT_EQ(result.steps[2].replies[0], "530 5.7.0 Must issue a STARTTLS command first");
  EXPECT_EQ(result.steps[2].verdict->rule, "tls.require_secure_channel");
  EXPECT_EQ(Rules(result.steps[2].trace), "tls.require_secure_channel yes");
  facts.identity = Alice();
  result = Simulated(settings, facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, auth 530");
  EXPECT_EQ(result.steps[2].verdict->rule, "tls.require_secure_channel");
}

TEST(SimulateTest, AMechanismIsRefusedByItsField) {
  SimulatedSession facts = Facts();
  facts.identity = Alice();
  SimulatedResult result = Simulated(Settings(), facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, auth 538");
  EXPECT_EQ(result.steps[2].verdict->rule, "authentication.basic.allow_clear_text_credentials");
  facts.mechanism = "FOO";
  result = Simulated(Settings(), facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, auth 504");
  EXPECT_EQ(result.steps[2].verdict->rule, "authentication");
  for (const char* mechanism : {"login", "SCRAM-SHA-256", "NTLM", "GSSAPI"}) {
    facts.mechanism = mechanism;
    facts.tls = Tls();
    EXPECT_EQ(Simulated(Settings(), facts).steps.back().verdict->rule, "local_domains[0]") << mechanism;
  }
}

TEST(SimulateTest, LookupsAreAnsweredByTheFacts) {
  policy::VirtualServer settings = Settings();
  settings.connection_control.entries = {policy::ClientDomain{"bad.example"}};
  settings.filters.block_lists = {{"a.example", {}}, {"b.example", {}}};
  SimulatedSession facts = Facts();
  facts.name = {policy::ClientName::State::kConfirmed, {"x.bad.example"}};
  EXPECT_EQ(Outline(Simulated(settings, facts)), "connect 554");
  facts.name = {policy::ClientName::State::kFailed, {}};
  SimulatedResult result = Simulated(settings, facts);
  EXPECT_EQ(Outline(result), "connect 421");
  EXPECT_EQ(result.steps[0].replies[0], "421 mx.example Reverse lookup failed, try again later");
  EXPECT_EQ(result.steps[0].verdict->rule, "reverse_lookup.on_lookup_failure");
  facts.name = {policy::ClientName::State::kConfirmed, {"good.example"}};
  facts.listing = {policy::BlockListing::State::kListed, 1};
  result = Simulated(settings, facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, mail 250, rcpt 550");
  EXPECT_EQ(result.steps[1].command, "EHLO good.example");
  EXPECT_EQ(result.steps[3].replies[0], "550 5.7.1 192.0.2.7 is listed by b.example");
  EXPECT_EQ(Rules(result.steps[3].trace), "local_domains[0] yes, filters.block_lists[1] yes");
}

// The reply of a limit names the limit; the session is over.
TEST(SimulateTest, ALimitIsTheLastVerdict) {
  policy::VirtualServer settings = Settings();
  settings.limits.refused_recipients = 1;
  SimulatedSession facts = Facts();
  facts.recipients = {"x@far.example", "y@far.example", "b@in.example"};
  const SimulatedResult result = Simulated(settings, facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, mail 250, rcpt 550, rcpt 421");
  EXPECT_EQ(result.steps[4].verdict->reason, policy::Reason::kLimitReached);
  EXPECT_EQ(result.steps[4].verdict->rule, "session_limits.max_refused_recipients");
}

TEST(SimulateTest, TheProtocolsOwnRefusalsHaveNoRule) {
  SimulatedSession facts = Facts();
  facts.recipients = {"b@in.example>", ""};
  SimulatedResult result = Simulated(Settings(), facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, mail 250, rcpt 501, rcpt 501");
  EXPECT_FALSE(result.steps[3].verdict.has_value());
  facts = Facts();
  facts.sender = "";
  facts.recipients = {"b@in.example", "c@in.example"};
  result = Simulated(Settings(), facts);
  ASSERT_EQ(Outline(result), "connect 220, ehlo 250, mail 250, rcpt 250, rcpt 550");
  EXPECT_EQ(result.steps[4].replies[0], "550 5.5.3 Only one recipient for the null sender");
}

TEST(SimulateTest, ASilentBannerDelayIsWaitedFor) {
  policy::VirtualServer settings = Settings();
  settings.limits.banner_delay = std::chrono::seconds(10);
  EXPECT_EQ(Outline(Simulated(settings, Facts())), "connect 220, ehlo 250, mail 250, rcpt 250");
}

}  // namespace
}  // namespace gatepost::smtp
