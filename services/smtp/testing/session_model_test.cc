// Threats P7: session and model agree over random sequences of commands. GATEPOST_MODEL_SEQUENCES sets how many
// (100,000), GATEPOST_MODEL_SEED the first seed (1); a failure names its own.
#include "services/smtp/testing/session_model.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "services/smtp/testing/session_runs.h"
#include "services/smtp/testing/upstream_check.h"

namespace gatepost::smtp {
namespace {

using std::string_literals::operator""s;

#ifdef GATEPOST_SANITIZER
constexpr uint64_t kSequences = 10'000;
#else
constexpr uint64_t kSequences = 100'000;
#endif
constexpr int kSteps = 40;

uint64_t Number(const char* variable, uint64_t otherwise) {
  const char* value = std::getenv(variable);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

TEST(SessionModelTest, SessionAndModelAgree) {
  uint64_t first = Number("GATEPOST_MODEL_SEED", 1);
  uint64_t last = first + Number("GATEPOST_MODEL_SEQUENCES", kSequences);
  for (uint64_t seed = first; seed < last; ++seed) {
    std::minstd_rand random(static_cast<uint32_t>(seed * 2654435761u % 2147483646u + 1));
    std::string difference =
        RunAgainstModel([&random](uint32_t bound) { return static_cast<uint32_t>((random() >> 7) % bound); }, kSteps);
    ASSERT_EQ(difference, "") << "seed " << seed;
  }
}

// The checks can fail.
TEST(UpstreamCheckTest, SeesWhatIsWrong) {
  const std::string envelope = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
  EXPECT_EQ(ReadUpstream(envelope + "Received: from x\r\n..\r\n.\r\n").fault, "");
  EXPECT_EQ(ReadUpstream(envelope + "Received: from x\r\n..\r\n.\r\n").messages.at(0).octets,
            "Received: from x\r\n.\r\n");
  EXPECT_NE(ReadUpstream(envelope + "Received: from x\r\n.\n.\r\n").fault, "");
  EXPECT_NE(ReadUpstream(envelope + "Received: from x\r\n.a\r\n.\r\n").fault, "");
  EXPECT_NE(ReadUpstream(envelope + "Received: from x\r\n.\r\nEHLO y\r\n").fault, "");
  EXPECT_NE(ReadUpstream("RCPT TO:<c@d>\r\n").fault, "");
  EXPECT_NE(ReadUpstream("MAIL FROM:<a@b>\r\nDATA\r\n").fault, "");
  EXPECT_NE(ReadUpstream("RSET").fault, "");
  EXPECT_NE(ReadUpstream(envelope + "Received: from x\r\na\0\r\n.\r\n"s).fault, "");
  const std::string binary = "MAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d> NOTIFY=NEVER\r\n";
  EXPECT_EQ(ReadUpstream(binary + "BDAT 18\r\nReceived: from x\r\nBDAT 3 LAST\r\n\0\r."s).messages.at(0).octets,
            "Received: from x\r\n\0\r."s);
  EXPECT_NE(ReadUpstream(binary + "DATA\r\n").fault, "");
  EXPECT_NE(ReadUpstream(envelope + "BDAT 3 LAST\r\nabc").fault, "");
  EXPECT_NE(ReadUpstream(binary + "BDAT 3 LAST\r\nabc").fault, "");
  EXPECT_NE(ReadUpstream("MAIL FROM:<a@b> XYZZY\r\n").fault, "");
  EXPECT_NE(ReadUpstream("MAIL FROM:<a@b>\r\nXCLIENT ADDR=1.2.3.4\r\n").fault, "");
  EXPECT_TRUE(ReadUpstream(envelope + "Received: from x\r\nab").in_message);
}

}  // namespace
}  // namespace gatepost::smtp
