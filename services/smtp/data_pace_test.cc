// limits.md, "Message data": no octet for 5 min; an average of 100 octets/s over any 5 min; counted only while reading.
#include "services/smtp/data_pace.h"

#include <gtest/gtest.h>

namespace gatepost::smtp {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

class DataPaceTest : public testing::Test {
 protected:
  bool Read(base::Duration time, uint64_t octets) {
    deadline_ = pace_.BeginRead(now_);
    now_ += time;
    return pace_.EndRead(now_, octets);
  }

  DataPace pace_{5min, 5min, 100};
  base::MonotonicTime now_{60min};
  base::MonotonicTime deadline_{};
};

TEST_F(DataPaceTest, FiveMinutesOfSilenceAreTooLong) {
  EXPECT_TRUE(Read(5min - 1ms, 1000000));
  EXPECT_FALSE(Read(5min, 1));
}

TEST_F(DataPaceTest, TheDeadlineOfTheFirstReadIsTheSilence) {
  Read(1s, 1);
  EXPECT_EQ(deadline_, base::MonotonicTime(60min) + 5min);
}

TEST_F(DataPaceTest, AHundredOctetsASecondAreEnoughForEver) {
  for (int second = 0; second < 3600; ++second) ASSERT_TRUE(Read(1s, 100)) << second;
}

TEST_F(DataPaceTest, NinetyNineOctetsASecondEndAtTheWindow) {
  int second = 0;
  while (second < 3600 && Read(1s, 99)) ++second;
  EXPECT_EQ(second, 299);
}

TEST_F(DataPaceTest, ABurstDoesNotPayForAnotherWindow) {
  ASSERT_TRUE(Read(1s, 1000000));
  int seconds = 1;
  while (seconds < 3600 && Read(1s, 1)) ++seconds;
  EXPECT_GE(seconds, 5 * 60);
  EXPECT_LE(seconds, 5 * 60 + 30);
}

TEST_F(DataPaceTest, TimeOutsideReadsDoesNotCount) {
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Read(1s, 100));
    now_ += 10min;
  }
}

TEST_F(DataPaceTest, ZeroRateAsksForNoAverage) {
  DataPace pace(5min, 5min, 0);
  base::MonotonicTime now{};
  for (int i = 0; i < 100; ++i) {
    pace.BeginRead(now);
    now += 4min;
    ASSERT_TRUE(pace.EndRead(now, 1));
  }
}

}  // namespace
}  // namespace gatepost::smtp
