// What is done at each level, with a control group made of files. Row 26 of the failures.
#include "services/edge/overload_guard.h"

#include <fcntl.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "services/base/random.h"
#include "services/base/strings.h"

namespace gatepost::edge {
namespace {

using namespace std::chrono_literals;

class OverloadGuardTest : public testing::Test {
 protected:
  OverloadGuardTest()
      : root_(std::filesystem::path(testing::TempDir()) / base::StrCat("guard-", ::getpid())),
        null_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
        log_(clock_, {.fd = null_}) {
    std::filesystem::remove_all(root_);
    Write("/proc/self/statm", "900 900 2 1 0 1 0\n");
    Write("/proc/self/cgroup", "0::/\n");
    Write("/proc/self/mountinfo", "30 23 0:26 / /group rw - cgroup2 cgroup2 rw\n");
    Write("/group/memory.stat", "inactive_file 0\nactive_file 0\n");
    Write("/group/memory.max", "1000000\n");
    Use(0);
  }
  ~OverloadGuardTest() override {
    std::filesystem::remove_all(root_);
    ::close(null_);
  }

  void Write(const std::string& path, std::string_view text) {
    const std::filesystem::path file = root_.string() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::trunc) << text;
  }
  void Use(int octets) { Write("/group/memory.current", base::StrCat(octets, "\n")); }
  OverloadGuard::Parts Parts(const MemoryReader& memory) {
    return {.control = context_.get_executor(),
            .workers = {},
            .memory = memory,
            .client_budget = budget_,
            .metrics = metrics_,
            .log = log_,
            .clock = clock_,
            .on_level = [this](OverloadLevel level) { levels_.push_back(level); }};
  }
  // Until the guard has said so many changes.
  void RunUntil(size_t changes) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (levels_.size() < changes && std::chrono::steady_clock::now() < deadline) context_.run_one_for(1s);
    ASSERT_EQ(levels_.size(), changes);
  }

  const std::filesystem::path root_;
  const int null_;
  base::SystemClock clock_;
  base::Log log_;
  metrics::Registry registry_;
  const EdgeMetrics metrics_{registry_};
  Budget budget_{10};
  asio::io_context context_{1};
  std::vector<OverloadLevel> levels_;
};

TEST_F(OverloadGuardTest, BudgetIsClosedWhileThereIsALevelAndOpenedAfterIt) {
  const MemoryReader memory({.limit = 0, .root = root_.string()});
  OverloadGuard guard(Parts(memory));
  guard.Start();
  EXPECT_TRUE(budget_.TryAcquire());
  Use(900000);
  RunUntil(1);
  EXPECT_EQ(levels_.back(), OverloadLevel::kRefusing);
  EXPECT_EQ(metrics_.overload_level.Value(), 1);
  EXPECT_EQ(metrics_.memory_used.Value(), 900000);
  EXPECT_EQ(metrics_.memory_limit.Value(), 1000000);
  EXPECT_FALSE(budget_.TryAcquire());
  Use(950000);
  RunUntil(2);
  EXPECT_EQ(levels_.back(), OverloadLevel::kShedding);
  EXPECT_FALSE(budget_.TryAcquire());
  Use(849999);
  RunUntil(3);
  EXPECT_EQ(levels_.back(), OverloadLevel::kNone);
  EXPECT_EQ(metrics_.overload_level.Value(), 0);
  EXPECT_TRUE(budget_.TryAcquire());
  guard.Stop();
  context_.run();  // nothing is left to be done
}

TEST_F(OverloadGuardTest, WithoutALimitNothingIsLookedAt) {
  Write("/group/memory.max", "max\n");
  Use(1 << 30);
  const MemoryReader memory({.limit = 0, .root = root_.string()});
  OverloadGuard guard(Parts(memory));
  guard.Start();
  EXPECT_EQ(context_.run(), 0u);
  EXPECT_TRUE(budget_.TryAcquire());
  EXPECT_EQ(metrics_.memory_limit.Value(), 0);
}

}  // namespace
}  // namespace gatepost::edge
