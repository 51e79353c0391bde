// threats: U3, and the mapping of a next hop's refusals.
#include "services/smtp/upstream_outcome.h"

#include <gtest/gtest.h>

#include <string>

namespace gatepost::smtp {
namespace {

using Kind = UpstreamOutcome::Kind;

UpstreamReply Said(const std::string& octets) {
  UpstreamReply reply;
  EXPECT_EQ(ParseReply(octets + "\r\n", &reply).status, ReplyResult::Status::kReply) << octets;
  return reply;
}

std::string Told(const UpstreamOutcome& outcome, policy::Dialect dialect = policy::Dialect::kRfc) {
  std::string line = ReplyToClient(outcome, dialect).ToString();
  line.resize(line.size() - 2);
  return line;
}

std::string ToldOfRefusal(const std::string& octets) { return Told(UpstreamOutcome::Refused(Said(octets))); }

TEST(UpstreamOutcome, RefusalsKeepTheirCodeAndText) {
  EXPECT_EQ(ToldOfRefusal("550 5.1.1 <x@y>: no such user"), "550 5.1.1 <x@y>: no such user");
  EXPECT_EQ(ToldOfRefusal("450-4.2.0 Greylisted,\r\n450 4.2.0 try later"), "450 4.2.0 Greylisted, try later");
  EXPECT_EQ(ToldOfRefusal("554 5.7.1 spam"), "554 5.7.1 spam");
  EXPECT_EQ(ToldOfRefusal("452 4.3.1 full"), "452 4.3.1 full");
}

TEST(UpstreamOutcome, ALackingOrForeignEnhancedCodeIsReplaced) {
  EXPECT_EQ(ToldOfRefusal("550 no"), "550 5.0.0 no");
  EXPECT_EQ(ToldOfRefusal("450 5.1.1 no"), "450 4.0.0 5.1.1 no");
}

TEST(UpstreamOutcome, UnprintableOrLongTextsAreReplaced) {
  EXPECT_EQ(ToldOfRefusal("550 5.1.1 caf\xc3\xa9"), "550 5.1.1 Refused by the next hop");
  EXPECT_EQ(ToldOfRefusal("550 5.1.1"), "550 5.1.1 Refused by the next hop");
  EXPECT_EQ(ToldOfRefusal("550 5.1.1 " + std::string(400, 'x')), "550 5.1.1 " + std::string(400, 'x'));
  EXPECT_EQ(ToldOfRefusal("550 5.1.1 " + std::string(401, 'x')), "550 5.1.1 Refused by the next hop");
}

TEST(UpstreamOutcome, Its421IsOurs451) {
  const UpstreamOutcome outcome = UpstreamOutcome::Refused(Said("421 4.3.2 shutting down"));
  EXPECT_EQ(Told(outcome), "451 4.3.2 shutting down");
  EXPECT_TRUE(outcome.connection_lost());
  EXPECT_TRUE(outcome.whole_transaction);
}

TEST(UpstreamOutcome, OurFaultsAreNotTheClients) {
  for (int code = 400; code < 560; ++code) {
    if (code % 100 >= 60) continue;  // no reply code
    const UpstreamOutcome outcome = UpstreamOutcome::Refused(Said(std::to_string(code) + " x"));
    const bool ours = code == 500 || code == 501 || code == 502 || code == 503 || code == 504 || code == 530 ||
                      code == 534 || code == 535 || code == 538 || code == 555;
    EXPECT_EQ(outcome.misconfigured(), ours) << code;
    EXPECT_EQ(Told(outcome) == "451 4.3.5 Next hop misconfigured", ours) << code;
    EXPECT_EQ(outcome.connection_lost(), code == 421) << code;
  }
}

TEST(UpstreamOutcome, FailuresOfTheConnection) {
  const auto codes = [](Kind kind, policy::Dialect dialect) {
    return Told(UpstreamOutcome::Failed(kind), dialect).substr(0, 9);
  };
  const struct {
    Kind kind;
    const char* rfc;
    const char* exchange;
  } kCases[] = {
      {Kind::kUnreachable, "451 4.4.1", "451 4.7.0"},    {Kind::kLost, "451 4.4.1", "451 4.7.0"},
      {Kind::kOutOfStep, "451 4.4.2", "451 4.7.0"},      {Kind::kInDoubt, "451 4.4.2", "451 4.7.0"},
      {Kind::kRefusedUs, "451 4.3.5", "451 4.3.5"},      {Kind::kTlsNotOffered, "451 4.7.4", "451 4.7.4"},
      {Kind::kTlsFailed, "451 4.7.5", "451 4.7.5"},      {Kind::kNoConnection, "451 4.3.2", "451 4.3.2"},
      {Kind::kCannotCarry, "554 5.6.3", "554 5.6.3"},    {Kind::kNotInternational, "553 5.6.7", "553 5.6.7"},
      {Kind::kLacksExtension, "451 4.3.5", "451 4.3.5"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(codes(test.kind, policy::Dialect::kRfc), test.rfc);
    EXPECT_EQ(codes(test.kind, policy::Dialect::kExchange), test.exchange);
    EXPECT_TRUE(UpstreamOutcome::Failed(test.kind).whole_transaction);
    EXPECT_EQ(UpstreamOutcome::Failed(test.kind).connection_lost(), test.kind < Kind::kCannotCarry);
  }
  EXPECT_TRUE(UpstreamOutcome::Failed(Kind::kInDoubt).in_doubt());
}

TEST(UpstreamOutcome, OnlyAcceptedIsAccepted) {
  EXPECT_TRUE(UpstreamOutcome::Accepted().accepted());
  EXPECT_FALSE(UpstreamOutcome::Refused(Said("450 x")).accepted());
  EXPECT_FALSE(UpstreamOutcome::Failed(Kind::kLost).accepted());
  EXPECT_FALSE(UpstreamOutcome::Refused(Said("450 x")).whole_transaction);
  EXPECT_TRUE(UpstreamOutcome::Refused(Said("450 x"), true).whole_transaction);
  EXPECT_EQ(ReplyToClient(UpstreamOutcome::Accepted(), policy::Dialect::kRfc).reply_class(), 4) << "never a false 250";
}

}  // namespace
}  // namespace gatepost::smtp
