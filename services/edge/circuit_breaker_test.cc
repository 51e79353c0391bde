// Row 12 of the failures: a service that has stopped answering is not asked by everybody.
#include "services/edge/circuit_breaker.h"

#include <set>

#include "gtest/gtest.h"
#include "services/base/fake_random.h"

namespace gatepost::edge {
namespace {

using namespace std::chrono_literals;

class CircuitBreakerTest : public testing::Test {
 protected:
  void Open() {
    for (int i = 0; i < 3; ++i) breaker_.Failed(now_);
    ASSERT_TRUE(breaker_.open());
  }

  base::FakeRandom random_;
  base::MonotonicTime now_{1h};
  CircuitBreaker breaker_{{.failures = 3, .open_least = 1s, .open_most = 2s}, random_};
};

TEST_F(CircuitBreakerTest, ItOpensAtTheFigureAndSaysSoOnce) {
  EXPECT_FALSE(breaker_.Failed(now_));
  EXPECT_FALSE(breaker_.Failed(now_));
  EXPECT_TRUE(breaker_.Allows(now_));
  EXPECT_TRUE(breaker_.Failed(now_));
  EXPECT_FALSE(breaker_.Allows(now_));
  EXPECT_FALSE(breaker_.Failed(now_)) << "it was open";
}

TEST_F(CircuitBreakerTest, AnAnswerBetweenStartsTheCountAgain) {
  breaker_.Failed(now_);
  breaker_.Failed(now_);
  EXPECT_FALSE(breaker_.Answered()) << "it was not open";
  EXPECT_FALSE(breaker_.Failed(now_));
  EXPECT_FALSE(breaker_.Failed(now_));
  EXPECT_TRUE(breaker_.Failed(now_));
}

TEST_F(CircuitBreakerTest, ItIsOpenForATimeBetweenTheTwo) {
  std::set<base::Duration> times;
  for (int i = 0; i < 50; ++i) {
    Open();
    base::Duration waited = 0ms;
    while (!breaker_.Allows(now_ + waited)) waited += 1ms;
    EXPECT_GE(waited, 1s);
    EXPECT_LE(waited, 2s);
    times.insert(waited);
    breaker_.Answered();
  }
  EXPECT_GT(times.size(), 40u) << "no jitter: edges would come back at once";
}

TEST_F(CircuitBreakerTest, HalfOpenOneMayTryAndTheOthersWait) {
  Open();
  now_ += 2s;
  ASSERT_TRUE(breaker_.Allows(now_));
  breaker_.Begin(now_);
  EXPECT_FALSE(breaker_.Allows(now_));
  EXPECT_FALSE(breaker_.Allows(now_ + 1s - 1ns));
  EXPECT_TRUE(breaker_.Allows(now_ + 2s)) << "an attempt that nobody reported";
}

TEST_F(CircuitBreakerTest, AnAnswerToTheAttemptClosesIt) {
  Open();
  now_ += 2s;
  breaker_.Begin(now_);
  EXPECT_TRUE(breaker_.Answered());
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(breaker_.Allows(now_));
    breaker_.Begin(now_);
  }
}

}  // namespace
}  // namespace gatepost::edge
