#include "services/base/bell.h"

#include <gtest/gtest.h>

#include <thread>

namespace gatepost::base {
namespace {

TEST(BellTest, ARingEndsOneWaitWhetherItBeganOrNot) {
  Bell bell;
  bell.Ring();
  bell.Ring();
  EXPECT_TRUE(bell.Wait(std::chrono::hours(1)));
  EXPECT_FALSE(bell.Wait(Duration::zero()));

  std::thread ringer([&] { bell.Ring(); });
  EXPECT_TRUE(bell.Wait(std::chrono::hours(1)));
  ringer.join();
}

TEST(BellTest, WithoutARingTheTimePasses) {
  Bell bell;
  const auto began = std::chrono::steady_clock::now();
  EXPECT_FALSE(bell.Wait(std::chrono::milliseconds(20)));
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(20));
}

}  // namespace
}  // namespace gatepost::base
