#include "services/base/secret.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>

#include "services/base/base64.h"
#include "services/base/freed_memory.h"
#include "services/base/wipe.h"

namespace gatepost::base {
namespace {

constexpr std::string_view kShort = "sesame-09";
constexpr std::string_view kLong = "correct horse battery staple";

// The control: the search finds what nobody wiped.
TEST(FreedMemoryTest, FindsWhatIsLeft) {
  FreedMemory freed(kLong);
  { const std::string left(kLong); }
  EXPECT_EQ(freed.found(), 1);
}

TEST(WipeTest, ReachesWhatALongerTextHasLeftBehindTheEnd) {
  FreedMemory freed("battery staple");
  {
    std::string line(kLong);
    line.assign("QUIT");
    Wipe(&line);
    EXPECT_TRUE(line.empty());
  }
  EXPECT_EQ(freed.found(), 0);
}

TEST(SecretTest, MovesWithoutACopy) {
  Secret secret(kShort);
  const char* const octets = secret.view().data();
  std::deque<Secret> queue;
  queue.push_back(std::move(secret));
  EXPECT_TRUE(secret.empty());
  Secret taken = std::move(queue.front());
  EXPECT_EQ(taken.view(), kShort);
  EXPECT_EQ(taken.view().data(), octets);
  Secret& same = taken;
  taken = std::move(same);
  EXPECT_EQ(taken.view(), kShort);
}

TEST(SecretTest, IsWipedWhenItGoes) {
  for (const std::string_view octets : {kShort, kLong}) {
    FreedMemory freed(octets);
    {
      std::deque<Secret> queue;
      queue.emplace_back(octets);
      Secret other(octets);
      other = std::move(queue.front());
      queue.emplace_back(octets);
      queue.back().Wipe();
      EXPECT_TRUE(queue.back().empty());
    }
    EXPECT_EQ(freed.found(), 0) << octets;
  }
}

TEST(SecretTest, OfBase64LeavesNothingWhenTheTextIsRefused) {
  const std::string text = Base64Encode(kLong);
  FreedMemory freed(kLong);
  EXPECT_EQ(Base64DecodeSecret(text)->view(), kLong);
  EXPECT_EQ(Base64DecodeSecret("")->view(), "");
  EXPECT_FALSE(Base64DecodeSecret(text + "!AAA"));
  EXPECT_EQ(freed.found(), 0);
}

}  // namespace
}  // namespace gatepost::base
