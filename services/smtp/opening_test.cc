// The start of a session: reverse lookups and block lists that policy needs (R10, R32; protocol.md 6), the silence
// before the greeting (threats P1), and what a limit's refusal tells the observer.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/smtp/testing/session_harness.h"

namespace gatepost::smtp {
namespace {

using Name = policy::ClientName;

constexpr char kGreeting[] = "220 mx.example ESMTP Gatepost\r\n";

SessionSetup WithDomainEntry() {
  SessionSetup setup;
  setup.settings.connection_control.entries = {policy::ClientDomain{"spam.example"}};
  return setup;
}

TEST(OpeningTest, ANameIsLookedUpOnlyWhereADomainEntryNeedsIt) {
  SessionHarness plain;
  EXPECT_EQ(plain.Begin(), kGreeting);
  EXPECT_EQ(plain.name_lookups(), 0);
  SessionHarness asked(WithDomainEntry());
  EXPECT_EQ(asked.Begin(), kGreeting);
  EXPECT_EQ(asked.name_lookups(), 1);
}

TEST(OpeningTest, AConfirmedNameInADenyListIsRefusedInTheGreeting) {
  SessionSetup setup = WithDomainEntry();
  setup.name = {Name::State::kConfirmed, {"host.spam.example"}};
  SessionHarness session(setup);
  EXPECT_EQ(session.Begin(), "554 mx.example Connection refused: 192.0.2.7 is not permitted\r\n");
  EXPECT_EQ(session.Send("EHLO x\r\n").substr(0, 9), "503 5.5.1");
  EXPECT_EQ(session.Send("QUIT\r\n"), "221 2.0.0 mx.example Closing\r\n");
}

TEST(OpeningTest, AFailedLookupIsTemporaryAndEndsTheSession) {
  SessionSetup setup = WithDomainEntry();
  setup.name = {Name::State::kFailed, {}};
  SessionHarness session(setup);
  EXPECT_EQ(session.Begin(), "421 mx.example Reverse lookup failed, try again later\r\n");
  EXPECT_TRUE(session.closed());
}

TEST(OpeningTest, OnImplicitTlsTheHandshakeComesBeforeAFailedLookup) {
  SessionSetup setup = WithDomainEntry();
  setup.name = {Name::State::kFailed, {}};
  setup.start.implicit_tls = true;
  SessionHarness session(setup);
  EXPECT_EQ(session.Begin(), "421 mx.example Reverse lookup failed, try again later\r\n");
  EXPECT_EQ(session.handshakes(), 1);
}

TEST(OpeningTest, RelayByNameIsLookedUpOnceAndOnlyWhenItDecides) {
  SessionSetup setup;
  setup.settings.relay.list.entries = {policy::ClientDomain{"partner.example"}};
  setup.name = {Name::State::kConfirmed, {"mx.partner.example"}};
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(session.Send("RCPT TO:<c@in.example>\r\n").substr(0, 3), "250");
  EXPECT_EQ(session.name_lookups(), 0);
  EXPECT_EQ(session.Send("RCPT TO:<c@far.example>\r\nRCPT TO:<d@far.example>\r\n").substr(0, 3), "250");
  EXPECT_EQ(session.name_lookups(), 1);
}

TEST(OpeningTest, RelayByNameIsTemporarilyRefusedWhileTheNameCannotBeSaid) {
  SessionSetup setup;
  setup.settings.relay.list.entries = {policy::ClientDomain{"partner.example"}};
  setup.name = {Name::State::kFailed, {}};
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(session.Send("RCPT TO:<c@far.example>\r\n"), "451 4.4.3 Reverse lookup failed, try again later\r\n");
}

// A client that keeps its connection and tries again, as it was told to, is not refused for ever.
TEST(OpeningTest, AFailedLookupIsAskedAgainInTheNextTransaction) {
  SessionSetup setup;
  setup.settings.filters.block_lists = {{"bl.example", {}}};
  setup.settings.filters.on_lookup_failure = policy::OnLookupFailure::kTempfail;
  setup.listing = {policy::BlockListing::State::kFailed, 0};
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\nRCPT TO:<d@in.example>\r\nRSET\r\n");
  EXPECT_EQ(session.block_list_lookups(), 1);
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\n");
  EXPECT_EQ(session.block_list_lookups(), 2);
}

TEST(OpeningTest, ABlockListIsAskedOnceForAnonymousSendersAndAnsweredAtRcpt) {
  SessionSetup setup;
  setup.settings.filters.block_lists = {{"bl.example", {}}, {"other.example", {}}};
  setup.listing = {policy::BlockListing::State::kListed, 1};
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(session.Send("RCPT TO:<c@far.example>\r\n"), "550 5.7.1 Unable to relay for c@far.example\r\n");
  EXPECT_EQ(session.block_list_lookups(), 0);
  EXPECT_EQ(session.Send("RCPT TO:<c@in.example>\r\n"), "550 5.7.1 192.0.2.7 is listed by other.example\r\n");
  EXPECT_EQ(session.Send("RCPT TO:<d@in.example>\r\n"), "550 5.7.1 192.0.2.7 is listed by other.example\r\n");
  EXPECT_EQ(session.block_list_lookups(), 1);
}

TEST(OpeningTest, BlockListsThatCannotBeAskedAreWhatTheVirtualServerSays) {
  const std::pair<policy::OnLookupFailure, const char*> kCases[] = {
      {policy::OnLookupFailure::kAllow, "250 2.1.5 Recipient OK\r\n"},
      {policy::OnLookupFailure::kTempfail, "451 4.4.3 Block list lookup failed, try again later\r\n"},
      {policy::OnLookupFailure::kDeny, "550 5.7.1 Block list lookup failed\r\n"}};
  for (const auto& [failure, reply] : kCases) {
    SessionSetup setup;
    setup.settings.filters.block_lists = {{"bl.example", {}}};
    setup.settings.filters.on_lookup_failure = failure;
    setup.listing = {policy::BlockListing::State::kFailed, 0};
    SessionHarness session(setup);
    session.Greet();
    session.Send("MAIL FROM:<a@b.example>\r\n");
    EXPECT_EQ(session.Send("RCPT TO:<c@in.example>\r\n"), reply);
  }
}

// limits.md: banner delay.
TEST(OpeningTest, TheGreetingWaitsForTheSilenceThatIsAskedFor) {
  SessionSetup setup;
  setup.settings.limits.banner_delay = std::chrono::milliseconds(500);
  SessionHarness session(setup);
  const base::MonotonicTime start = session.clock().Now();
  EXPECT_EQ(session.Begin(), "");
  EXPECT_EQ(session.reading().deadline, start + std::chrono::milliseconds(500));
  EXPECT_EQ(session.TimeOut(), kGreeting);
  EXPECT_EQ(session.Send("EHLO x\r\n").substr(0, 3), "250");
}

// P1
TEST(OpeningTest, WhoTalksInTheSilenceIsRefused) {
  SessionSetup setup;
  setup.settings.limits.banner_delay = std::chrono::milliseconds(500);
  SessionHarness session(setup);
  session.Begin();
  EXPECT_EQ(session.Send("EHLO x\r\n"), "554 mx.example Protocol error\r\n");
  EXPECT_TRUE(session.closed());
}

// P1, protocol.md 1: always, also while a lookup takes its time.
TEST(OpeningTest, WhoTalksBeforeTheGreetingIsRefusedWithoutADelayToo) {
  SessionSetup setup = WithDomainEntry();
  setup.early = "EHLO x\r\n";
  SessionHarness session(setup);
  EXPECT_EQ(session.Begin(), "554 mx.example Protocol error\r\n");
  EXPECT_TRUE(session.closed());
}

TEST(OpeningTest, TheSilenceEndsWithTheClientOrWithTheServer) {
  SessionSetup setup;
  setup.settings.limits.banner_delay = std::chrono::seconds(5);
  SessionHarness gone(setup);
  gone.Begin();
  EXPECT_EQ(gone.HangUp(), "");
  EXPECT_TRUE(gone.closed());
  SessionHarness closing(setup);
  closing.Begin();
  EXPECT_EQ(closing.InterruptWith(Interrupt::Reason::kClosing), "421 mx.example Not accepting connections\r\n");
  EXPECT_TRUE(closing.closed());
}

class Verdicts : public SessionObserver {
 public:
  void OnVerdict(const policy::Verdict& verdict) override {
    if (!verdict.accepted) rules.push_back(verdict.rule);
  }
  std::vector<std::string> rules;
};

// "Why was I refused?" has an answer for figures, too.
TEST(OpeningTest, EveryLimitNamesItsField) {
  Verdicts verdicts;
  SessionSetup setup;
  setup.observer = &verdicts;
  setup.settings.limits.recipients = 100;
  setup.settings.limits.message_size = 1000;
  setup.settings.limits.protocol_errors = 1;
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<a@b.example> SIZE=1001\r\n");
  session.Send("MAIL FROM:<a@b.example>\r\n");
  for (int i = 0; i < 101; ++i) session.Send("RCPT TO:<c@in.example>\r\n");
  session.Send("RCPT TO:<c@far.example>\r\n");
  session.Send("AUTH CRAM-MD5\r\n");
  session.Send("NONSENSE\r\nNONSENSE\r\n");
  EXPECT_EQ(verdicts.rules,
            (std::vector<std::string>{"message_limits.max_message_octets", "message_limits.max_recipients",
                                      "message_limits.max_recipients", "session_limits.max_protocol_errors"}));
}

}  // namespace
}  // namespace gatepost::smtp
