#include "services/policy/limiter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace gatepost::policy {
namespace {

// limits.md: 50 connections per source; threats.md D3: the 51st.
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
  // The bits beside the border: the 65th is the host's, the 64th the network's.
  EXPECT_FALSE(limiter.Enter(*base::IpAddress::Parse("2001:db8::8000:0:0:1"), 1, 0));
  EXPECT_TRUE(limiter.Enter(*base::IpAddress::Parse("2001:db8:0:1::1"), 1, 0));
}

TEST(LimiterTest, AMovedPlaceIsGivenBackOnce) {
  ConnectionLimiter limiter;
  auto first = limiter.Enter(*base::IpAddress::Parse("192.0.2.1"), 0, 0);
  auto second = limiter.Enter(*base::IpAddress::Parse("192.0.2.2"), 0, 0);
  EXPECT_EQ(limiter.connections(), 2u);
  first = std::move(second);
  EXPECT_EQ(limiter.connections(), 1u);
  EXPECT_TRUE(first);
  {
    const ConnectionLimiter::Place moved = std::move(first);
  }
  EXPECT_EQ(limiter.connections(), 0u);
}

TEST(LimiterTest, ARefusalTakesNoPlace) {
  ConnectionLimiter limiter;
  const auto held = limiter.Enter(*base::IpAddress::Parse("192.0.2.1"), 1, 0);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(limiter.Enter(*base::IpAddress::Parse("192.0.2.1"), 1, 0));
  EXPECT_EQ(limiter.connections(), 1u);
}

// All workers together: never more than the limit at once, and nothing is left over.
TEST(LimiterTest, HoldsAcrossThreads) {
  ConnectionLimiter limiter;
  constexpr int kLimit = 5;
  std::atomic<int> inside{0};
  std::atomic<int> entered{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2'000; ++i) {
        const auto place = limiter.Enter(*base::IpAddress::Parse("192.0.2.1"), kLimit, 0);
        if (!place) continue;
        ++entered;
        EXPECT_LE(++inside, kLimit);
        --inside;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(entered, 0);
  EXPECT_EQ(limiter.connections(), 0u);
  // Each place came back: the limit can be reached again, and not passed.
  std::vector<ConnectionLimiter::Place> places;
  for (int i = 0; i < kLimit; ++i) places.push_back(limiter.Enter(*base::IpAddress::Parse("192.0.2.1"), kLimit, 0));
  EXPECT_TRUE(places.back());
  EXPECT_FALSE(limiter.Enter(*base::IpAddress::Parse("192.0.2.1"), kLimit, 0));
}

// limits.md: new connections of a source within a minute.
TEST(LimiterTest, NewConnectionsAreCountedByTheMinute) {
  ConnectionLimiter limiter;
  const base::IpAddress source = *base::IpAddress::Parse("192.0.2.1");
  const base::MonotonicTime start{};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.CountNew(source, 3, start + std::chrono::seconds(i)));
  EXPECT_FALSE(limiter.CountNew(source, 3, start + std::chrono::milliseconds(59'999)));
  EXPECT_TRUE(limiter.CountNew(*base::IpAddress::Parse("192.0.2.2"), 3, start));
  EXPECT_TRUE(limiter.CountNew(source, 3, start + std::chrono::minutes(1)));
  EXPECT_TRUE(limiter.CountNew(source, 0, start));
}

TEST(LimiterTest, SourcesOfTheLastMinuteAreBounded) {
  ConnectionLimiter limiter;
  const base::MonotonicTime start{};
  for (uint32_t i = 0; i < 2 * ConnectionLimiter::kRecentSources; ++i) {
    EXPECT_TRUE(limiter.CountNew(base::IpAddress::V4(i), 1, start));
  }
  EXPECT_LE(limiter.recent_sources(), ConnectionLimiter::kRecentSources);
  // Those whose minute is over make room first.
  EXPECT_TRUE(limiter.CountNew(base::IpAddress::V4(0xffffffff), 1, start + std::chrono::minutes(1)));
  EXPECT_FALSE(limiter.CountNew(base::IpAddress::V4(0xffffffff), 1, start + std::chrono::minutes(1)));
}

}  // namespace
}  // namespace gatepost::policy
