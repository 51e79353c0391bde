#include "services/smtp/capabilities.h"

#include <gtest/gtest.h>

namespace gatepost::smtp {
namespace {

TEST(Capabilities, AreReadFromAnAnswerToEhlo) {
  const Capabilities found = Capabilities::FromEhlo(
      {"PIPELINING", "size 10240000", "VRFY", "ETRN", "STARTTLS", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8",
       "CHUNKING", "BINARYMIME", "REQUIRETLS", "LIMITS MAILMAX=5 RCPTMAX=100", "XCLIENT NAME addr", ""});
  EXPECT_TRUE(found.pipelining && found.starttls && found.enhanced_status_codes && found.eight_bit_mime && found.dsn &&
              found.smtputf8 && found.chunking && found.binary_mime && found.require_tls);
  EXPECT_EQ(found.size, 10240000u);
  EXPECT_EQ(found.recipients_max, 100u);
  EXPECT_EQ(found.xclient, (std::vector<std::string>{"NAME", "ADDR"}));
  EXPECT_EQ(Capabilities::FromEhlo({}), Capabilities());
}

TEST(Capabilities, OddSizesAreNoFixedLimit) {
  EXPECT_EQ(Capabilities::FromEhlo({"SIZE"}).size, 0u);
  EXPECT_EQ(Capabilities::FromEhlo({"SIZE x"}).size, 0u);
  EXPECT_EQ(Capabilities::FromEhlo({"SIZE -1"}).size, 0u);
  EXPECT_EQ(Capabilities::FromEhlo({"SIZE 99999999999999999999"}).size, UINT64_MAX);
  EXPECT_EQ(Capabilities::FromEhlo({"PIPELININGS"}), Capabilities());
}

TEST(Capabilities, IntersectIsWhatBothCanDo) {
  Capabilities a = Capabilities::FromEhlo({"PIPELINING", "SIZE 100", "DSN", "LIMITS RCPTMAX=9", "XCLIENT NAME ADDR"});
  Capabilities b = Capabilities::FromEhlo({"SIZE 50", "DSN", "8BITMIME", "XCLIENT ADDR"});
  const Capabilities both = Capabilities::Intersect(a, b);
  EXPECT_EQ(both, Capabilities::Intersect(b, a));
  EXPECT_EQ(both, Capabilities::FromEhlo({"SIZE 50", "DSN", "LIMITS RCPTMAX=9", "XCLIENT ADDR"}));
  EXPECT_EQ(Capabilities::Intersect(a, a), a);
}

TEST(Capabilities, SizeZeroIsNoLimitInAnIntersection) {
  const Capabilities none = Capabilities::FromEhlo({"SIZE 0"});
  const Capabilities some = Capabilities::FromEhlo({"SIZE 7"});
  EXPECT_EQ(Capabilities::Intersect(none, some).size, 7u);
  EXPECT_EQ(Capabilities::Intersect(some, none).size, 7u);
  EXPECT_EQ(Capabilities::Intersect(none, none).size, 0u);
  EXPECT_EQ(Capabilities::Intersect(none, Capabilities()).size, std::nullopt);
}

TEST(Capabilities, OfANextHopNotYetSeenAreFew) {
  EXPECT_EQ(Capabilities::Unseen(), Capabilities::FromEhlo({"SIZE", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"}));
}

}  // namespace
}  // namespace gatepost::smtp
