// Whose limit is found, and what counts as used, in folders that look like /proc and the control groups of each
// version.
#include "services/edge/memory_reader.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"
#include "services/base/strings.h"

namespace gatepost::edge {
namespace {

constexpr char kStat[] = "anon 5\ninactive_anon 7\nactive_file 100\ninactive_file 1000\n";
constexpr char kStat1[] =
    "inactive_file 1\nactive_file 2\nhierarchical_memory_limit 9\ntotal_inactive_file 1000\ntotal_active_file 100\n";

class MemoryReaderTest : public testing::Test {
 protected:
  MemoryReaderTest() : root_(std::filesystem::path(testing::TempDir()) / base::StrCat("memory-", ::getpid())) {
    std::filesystem::remove_all(root_);
    Write("/proc/self/statm", "900 3 2 1 0 1 0\n");
  }
  ~MemoryReaderTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, std::string_view text) {
    const std::filesystem::path file = root_.string() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::trunc) << text;
  }
  // Version 2: a group below /sys/fs/cgroup.
  void Group(const std::string& folder, std::string_view limit, std::string_view used) {
    Write("/sys/fs/cgroup" + folder + "/memory.max", base::StrCat(limit, "\n"));
    Write("/sys/fs/cgroup" + folder + "/memory.current", base::StrCat(used, "\n"));
    Write("/sys/fs/cgroup" + folder + "/memory.stat", kStat);
  }
  void Unified(std::string_view path, std::string_view shown = "/") {
    Write("/proc/self/cgroup", base::StrCat("0::", path, "\n"));
    Write("/proc/self/mountinfo", base::StrCat("22 1 0:20 / /proc rw - proc proc rw\n30 23 0:26 ", shown,
                                               " /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"));
  }
  MemoryReader Reader(uint64_t limit = 0) { return MemoryReader({.limit = limit, .root = root_.string()}); }

  const std::filesystem::path root_;
};

TEST_F(MemoryReaderTest, UnifiedGroupWithoutItsFileCache) {
  Unified("/pod/edge");
  Group("/pod/edge", "134217728", "50000");
  const MemoryReader reader = Reader();
  const MemoryUse use = reader.Read();
  EXPECT_EQ(use.limit, 134217728u);
  EXPECT_EQ(use.used, 50000u - 1100u);
  EXPECT_EQ(use.own, 3u * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  EXPECT_EQ(reader.source(), root_.string() + "/sys/fs/cgroup/pod/edge");
}

TEST_F(MemoryReaderTest, LeastLimitOfTheGroupsAboveCounts) {
  Unified("/pod/edge");
  Group("/pod/edge", "max", "50000");
  Group("/pod", "200000", "70000");
  Group("", "300000", "80000");
  EXPECT_EQ(Reader().Read().limit, 200000u);
  EXPECT_EQ(Reader().Read().used, 70000u - 1100u);
}

TEST_F(MemoryReaderTest, ContainerSeesItsOwnGroupAtTheMount) {
  Unified("/");
  Group("", "200000", "70000");
  EXPECT_EQ(Reader().Read().limit, 200000u);
  Unified("/../other/edge");  // a namespace that does not have our group
  EXPECT_EQ(Reader().Read().limit, 200000u);
}

TEST_F(MemoryReaderTest, MountOfAPartOfTheHierarchy) {
  Unified("/docker/1234/inner", "/docker/1234");
  Group("/inner", "200000", "70000");
  EXPECT_EQ(Reader().Read().limit, 200000u);
}

TEST_F(MemoryReaderTest, FirstVersionGoesBeforeTheSecondWhereBothAre) {
  Unified("/");
  Group("", "200000", "70000");
  Write("/proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/\n");
  Write("/proc/self/mountinfo",
        "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "32 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  Write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "100000\n");
  Write("/sys/fs/cgroup/memory/a/memory.usage_in_bytes", "60000\n");
  Write("/sys/fs/cgroup/memory/a/memory.stat", kStat1);
  Write("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");  // none
  const MemoryUse use = Reader().Read();
  EXPECT_EQ(use.limit, 100000u);
  EXPECT_EQ(use.used, 60000u - 1100u);
}

TEST_F(MemoryReaderTest, MoreCacheThanUseIsNoUse) {
  Unified("/");
  Group("", "200000", "500");
  EXPECT_EQ(Reader().Read().used, 0u);
}

TEST_F(MemoryReaderTest, LimitAndUseAreReadAnewEachTime) {
  Unified("/");
  Group("", "200000", "70000");
  const MemoryReader reader = Reader();
  reader.Read();
  Group("", "400000", "9000");
  EXPECT_EQ(reader.Read().limit, 400000u);
  EXPECT_EQ(reader.Read().used, 9000u - 1100u);
}

TEST_F(MemoryReaderTest, OwnLimitIsOfTheResidentMemory) {
  Unified("/");
  Group("", "200000", "70000");
  const MemoryReader reader = Reader(5000);
  const MemoryUse use = reader.Read();
  EXPECT_EQ(use.limit, 5000u);
  EXPECT_EQ(use.used, use.own);
  EXPECT_EQ(reader.source(), "--memory-limit");
}

TEST_F(MemoryReaderTest, WithoutALimitThereIsNone) {
  EXPECT_EQ(Reader().Read().limit, 0u) << "no control groups at all";
  Unified("/pod");
  EXPECT_EQ(Reader().Read().limit, 0u) << "no such folder";
  Group("/pod", "max", "70000");
  EXPECT_EQ(Reader().Read().limit, 0u);
  Write("/proc/self/cgroup", "rubbish\n::\n");
  EXPECT_EQ(Reader().Read().limit, 0u);
  EXPECT_EQ(Reader().source(), "");
}

TEST_F(MemoryReaderTest, RealMachineIsRead) {
  const MemoryReader reader(MemoryReader::Options{});
  EXPECT_GT(reader.Read().own, 0u);
}

}  // namespace
}  // namespace gatepost::edge
