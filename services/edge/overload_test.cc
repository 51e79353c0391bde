// The levels at each limit and one octet beyond. Row 26 of the failures.
#include "services/edge/overload.h"

#include "gtest/gtest.h"

namespace gatepost::edge {
namespace {

constexpr OverloadLevel kNone = OverloadLevel::kNone;
constexpr OverloadLevel kRefusing = OverloadLevel::kRefusing;
constexpr OverloadLevel kShedding = OverloadLevel::kShedding;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kLimit = 100 * kMiB;

OverloadLevel At(OverloadLevel before, uint64_t used) {
  return Judge(before, {.used = used, .limit = kLimit, .own = kLimit / 2});
}

TEST(OverloadTest, RefusesFromNinetyPercent) {
  EXPECT_EQ(At(kNone, 0), kNone);
  EXPECT_EQ(At(kNone, 90 * kMiB - 1), kNone);
  EXPECT_EQ(At(kNone, 90 * kMiB), kRefusing);
}

TEST(OverloadTest, ShedsFromNinetyFivePercent) {
  for (const OverloadLevel before : {kNone, kRefusing}) {
    EXPECT_EQ(At(before, 95 * kMiB - 1), kRefusing);
    EXPECT_EQ(At(before, 95 * kMiB), kShedding);
    EXPECT_EQ(At(before, kLimit), kShedding);
    EXPECT_EQ(At(before, 2 * kLimit), kShedding);
  }
}

TEST(OverloadTest, ShedsUntilBelowNinetyThreePercent) {
  EXPECT_EQ(At(kShedding, 93 * kMiB), kShedding);
  EXPECT_EQ(At(kShedding, 93 * kMiB - 1), kRefusing);
}

TEST(OverloadTest, RefusesUntilBelowEightyFivePercent) {
  for (const OverloadLevel before : {kRefusing, kShedding}) {
    EXPECT_EQ(At(before, 85 * kMiB), kRefusing);
    EXPECT_EQ(At(before, 85 * kMiB - 1), kNone);
  }
}

TEST(OverloadTest, WithoutALimitThereIsNoLevel) {
  EXPECT_EQ(Judge(kShedding, {.used = kLimit, .limit = 0, .own = kLimit}), kNone);
}

TEST(OverloadTest, WhatOthersUseUpIsNotOurs) {
  const MemoryUse theirs{.used = kLimit, .limit = kLimit, .own = kLimit / 8 - 1};
  EXPECT_EQ(Judge(kNone, theirs), kNone);
  EXPECT_EQ(Judge(kShedding, theirs), kNone);
  EXPECT_EQ(Judge(kNone, {.used = kLimit, .limit = kLimit, .own = kLimit / 8}), kShedding);
}

TEST(OverloadTest, LargestAndSmallestFiguresAreJudgedWithoutOverflow) {
  constexpr uint64_t kMost = UINT64_MAX;
  EXPECT_EQ(Judge(kNone, {.used = kMost / 2, .limit = kMost, .own = kMost / 2}), kNone);
  EXPECT_EQ(Judge(kNone, {.used = kMost, .limit = kMost, .own = kMost}), kShedding);
  EXPECT_EQ(Judge(kNone, {.used = 8, .limit = 10, .own = 8}), kNone);
  EXPECT_EQ(Judge(kNone, {.used = 9, .limit = 10, .own = 9}), kShedding);  // 95 % of 10 octets are 9
}

TEST(OverloadTest, EveryLevelHasAName) {
  EXPECT_EQ(LevelName(kNone), "none");
  EXPECT_EQ(LevelName(kRefusing), "refusing");
  EXPECT_EQ(LevelName(kShedding), "shedding");
}

}  // namespace
}  // namespace gatepost::edge
