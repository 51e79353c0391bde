#include "services/base/random.h"

#include <gtest/gtest.h>

#include <set>

#include "services/base/fake_random.h"

namespace gatepost::base {
namespace {

TEST(RandomTest, BelowReachesEveryValueAndNoOther) {
  FakeRandom random(3);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.Below(7));
  EXPECT_EQ(seen.size(), 7u);
  EXPECT_EQ(*seen.rbegin(), 6u);
  EXPECT_EQ(random.Below(1), 0u);
  EXPECT_EQ(random.Below(0), 0u);
}

TEST(RandomTest, AnIdIsLowerCaseBase32OfTheLengthAsked) {
  SystemRandom random;
  const std::string id = RandomId(random, 4096);
  EXPECT_EQ(id.size(), 4096u);
  EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos);
  // All 32 occur: each is missing with a probability of e^-130.
  EXPECT_EQ(std::set<char>(id.begin(), id.end()).size(), 32u);
}

TEST(RandomTest, TheSystemDoesNotRepeatItself) {
  SystemRandom random;
  EXPECT_NE(RandomId(random, 32), RandomId(random, 32));
}

}  // namespace
}  // namespace gatepost::base
