// Threats A7; limits.md: AUTH failures in 5 minutes per (user, network), per network, per user.
#include "services/auth/throttle.h"

#include <gtest/gtest.h>

#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

base::IpAddress Address(const std::string& text) { return *base::IpAddress::Parse(text); }

class ThrottleTest : public testing::Test {
 protected:
  std::optional<ThrottleKind> Judge(std::string_view login, const base::IpAddress& client, bool known = false) {
    return throttle_.Judge(
        login, client,
        [&] {
          ++asked_;
          return known;
        },
        now_);
  }
  void Fail(std::string_view login, const base::IpAddress& client, FailureTag tag) {
    throttle_.CountFailure(login, client, tag, now_);
  }

  Throttle throttle_;
  base::WallTime now_{std::chrono::hours(1'000'000)};
  int asked_ = 0;
  const base::IpAddress home_ = Address("192.0.2.1");
};

TEST_F(ThrottleTest, TenDifferentPasswordsOfAPairAreEnough) {
  for (FailureTag tag = 0; tag < 9; ++tag) Fail("alice", home_, tag);
  EXPECT_EQ(Judge("alice", home_), std::nullopt);
  Fail("alice", home_, 9);
  EXPECT_EQ(Judge("alice", home_), ThrottleKind::kPair);
  // Even where it is known: the password is being guessed at home.
  EXPECT_EQ(Judge("alice", home_, true), ThrottleKind::kPair);
  EXPECT_EQ(Judge("alice", Address("192.0.2.2")), std::nullopt);
  EXPECT_EQ(Judge("bob", home_), std::nullopt);
}

TEST_F(ThrottleTest, ThePasswordThatComesAgainCountsOnce) {
  for (int i = 0; i < 1'000; ++i) Fail("alice", home_, 7);
  EXPECT_EQ(Judge("alice", home_), std::nullopt);
}

TEST_F(ThrottleTest, TheWindowSlides) {
  for (FailureTag tag = 0; tag < 10; ++tag) {
    Fail("alice", home_, tag);
    now_ += seconds(1);
  }
  EXPECT_EQ(Judge("alice", home_), ThrottleKind::kPair);
  now_ += minutes(5) - seconds(11);
  EXPECT_EQ(Judge("alice", home_), ThrottleKind::kPair);
  now_ += seconds(1);
  EXPECT_EQ(Judge("alice", home_), std::nullopt);
}

// One login, many networks: a botnet. The owner logs in all the same, from where he always does.
TEST_F(ThrottleTest, FiftyOfALoginFromAnywhereSpareOnlyKnownPairs) {
  for (FailureTag tag = 0; tag < 49; ++tag) Fail("alice", base::IpAddress::V4(0x0A000000 + uint32_t(tag)), tag);
  EXPECT_EQ(Judge("alice", home_), std::nullopt);
  EXPECT_EQ(asked_, 0);
  Fail("alice", Address("10.1.0.0"), 49);
  EXPECT_EQ(Judge("alice", home_), ThrottleKind::kLogin);
  EXPECT_EQ(Judge("alice", home_, true), std::nullopt);
  EXPECT_EQ(Judge("bob", home_), std::nullopt);
}

// One network, many logins: spraying.
TEST_F(ThrottleTest, AHundredOfANetworkSpareOnlyKnownPairs) {
  for (FailureTag i = 0; i < 99; ++i) Fail(base::StrCat("user", i), home_, i);
  EXPECT_EQ(Judge("alice", home_), std::nullopt);
  Fail("user99", home_, 99);
  EXPECT_EQ(Judge("alice", home_), ThrottleKind::kNetwork);
  EXPECT_EQ(Judge("alice", home_, true), std::nullopt);
  EXPECT_EQ(Judge("alice", Address("192.0.2.2")), std::nullopt);
}

TEST_F(ThrottleTest, AnIpv6NetworkIsA64AndA48CountsTenfold) {
  for (FailureTag tag = 0; tag < 10; ++tag) Fail("alice", Address(base::StrCat("2001:db8:1:1::", tag + 1)), tag);
  EXPECT_EQ(Judge("alice", Address("2001:db8:1:1:ffff::1")), ThrottleKind::kPair);
  EXPECT_EQ(Judge("alice", Address("2001:db8:1:2::1")), std::nullopt);
  Throttle wide;
  for (FailureTag i = 0; i < 999; ++i) {
    wide.CountFailure(base::StrCat("user", i), Address(base::StrCat("2001:db8:1:", i + 1, "::1")), i, now_);
  }
  const auto never = [] { return false; };
  const base::IpAddress fresh = Address("2001:db8:1:fff0::1");
  EXPECT_EQ(wide.Judge("alice", fresh, never, now_), std::nullopt);
  wide.CountFailure("user999", fresh, 999, now_);
  EXPECT_EQ(wide.Judge("alice", Address("2001:db8:1:fff1::1"), never, now_), ThrottleKind::kNetwork);
  EXPECT_EQ(wide.Judge("alice", Address("2001:db8:2::1"), never, now_), std::nullopt);
}

TEST_F(ThrottleTest, ClearedCountersLetGoAtOnceAndOnlyThose) {
  for (FailureTag tag = 0; tag < 10; ++tag) Fail("alice", home_, tag);
  throttle_.Clear(ThrottleKind::kPair, "bob", "192.0.2.1", now_);
  EXPECT_EQ(Judge("alice", home_), ThrottleKind::kPair);
  throttle_.Clear(ThrottleKind::kPair, "alice", "192.0.2.1", now_ - seconds(1));
  EXPECT_EQ(Judge("alice", home_), ThrottleKind::kPair);
  throttle_.Clear(ThrottleKind::kPair, "alice", "192.0.2.1", now_);
  EXPECT_EQ(Judge("alice", home_), std::nullopt);
}

TEST_F(ThrottleTest, WhatIsInForceIsListedWithItsEnd) {
  for (FailureTag tag = 0; tag < 60; ++tag) Fail("alice", home_, tag);
  const std::vector<Throttle::Entry> entries = throttle_.InForce(now_);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].kind, ThrottleKind::kPair);
  EXPECT_EQ(entries[0].network, "192.0.2.1");
  EXPECT_EQ(entries[1].kind, ThrottleKind::kLogin);
  EXPECT_EQ(entries[1].failures, 50u);
  EXPECT_EQ(entries[1].until, now_ + minutes(5));
  EXPECT_TRUE(throttle_.InForce(now_ + minutes(5)).empty());
}

TEST(ThrottleNamesTest, ANetworkIsNamedAsItIsListed) {
  for (const char* good : {"192.0.2.1", "2001:db8:1:1::/64", "2001:db8:1::/48"}) EXPECT_TRUE(Throttle::IsNetwork(good));
  for (const char* bad : {"", "x", "192.0.2.1/32", "192.0.2.0/24", "2001:db8::1", "2001:db8::1/64", "2001:DB8::/64",
                          "192.0.2.1\nF"}) {
    EXPECT_FALSE(Throttle::IsNetwork(bad)) << bad;
  }
}

// limits.md: 100,000 counters, the least recently used go first, and are counted.
TEST(ThrottleMemoryTest, CountersAreBounded) {
  Throttle throttle({.counters = 3'000});
  const base::WallTime now{std::chrono::hours(1'000'000)};
  const base::IpAddress home = Address("192.0.2.1");
  for (FailureTag tag = 0; tag < 10; ++tag) throttle.CountFailure("alice", home, tag, now);
  for (uint32_t i = 0; i < 900; ++i) throttle.CountFailure(base::StrCat("x", i), base::IpAddress::V4(i), i, now);
  EXPECT_LE(throttle.counters(), 3'000u);
  EXPECT_EQ(throttle.evicted(), 0u);
  // In use, so it stays.
  const auto never = [] { return false; };
  EXPECT_EQ(throttle.Judge("alice", home, never, now), ThrottleKind::kPair);
  for (uint32_t i = 900; i < 1'890; ++i) throttle.CountFailure(base::StrCat("x", i), base::IpAddress::V4(i), i, now);
  EXPECT_EQ(throttle.counters(), 3'000u);
  EXPECT_GT(throttle.evicted(), 0u);
  EXPECT_EQ(throttle.Judge("alice", home, never, now), ThrottleKind::kPair);
}

}  // namespace
}  // namespace gatepost::auth
