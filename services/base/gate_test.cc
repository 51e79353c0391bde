#include "services/base/gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace gatepost::base {
namespace {

TEST(GateTest, LetsNobodyInOnceClosed) {
  Gate gate;
  {
    EXPECT_TRUE(gate.Enter());
  }
  gate.Close();
  EXPECT_FALSE(gate.Enter());
}

TEST(GateTest, CloseWaitsForWhoIsInside) {
  Gate gate;
  std::atomic<int> working{0};
  std::atomic<bool> closed{false};
  std::vector<std::thread> threads;
  std::atomic<int> entered{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 1000; ++k) {
        Gate::Pass pass = gate.Enter();
        if (!pass) return;
        ++entered;
        ++working;
        EXPECT_FALSE(closed);
        --working;
      }
    });
  }
  while (entered < 10) std::this_thread::yield();
  gate.Close();
  closed = true;
  EXPECT_EQ(working, 0);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace gatepost::base
