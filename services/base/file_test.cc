#include "services/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace gatepost::base {
namespace {

std::string Path(const std::string& name) { return testing::TempDir() + "/" + name + std::to_string(getpid()); }

TEST(FileTest, WritesAndReadsBackWithTheModeAsked) {
  const std::string path = Path("secret");
  ASSERT_TRUE(WriteFileAtomically(path, "one").ok());
  ASSERT_TRUE(WriteFileAtomically(path, std::string(100'000, 'x')).ok());
  EXPECT_EQ(ReadFile(path)->size(), 100'000u);
  struct stat info{};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(FileTest, ReadingIsBounded) {
  const std::string path = Path("bounded");
  ASSERT_TRUE(WriteFileAtomically(path, std::string(100, 'x')).ok());
  EXPECT_TRUE(ReadFile(path, 100).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(ReadFile(path, 99).status()));
}

TEST(FileTest, LeavesNothingElseBehind) {
  const std::string folder = Path("folder");
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  const std::string path = folder + "/a";
  ASSERT_TRUE(WriteFileAtomically(path, "one").ok());
  ASSERT_TRUE(WriteFileAtomically(path, "two").ok());
  // A folder stands where the file should: nothing is written, and no temporary file stays.
  const std::string taken = folder + "/b";
  ASSERT_EQ(mkdir(taken.c_str(), 0700), 0);
  EXPECT_FALSE(WriteFileAtomically(taken, "x").ok());
  size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    EXPECT_TRUE(entry.path() == path || entry.path() == taken) << entry.path();
    ++entries;
  }
  EXPECT_EQ(entries, 2u);
  EXPECT_EQ(*ReadFile(path), "two");
}

TEST(FileTest, ASecretThatOthersMayReadIsRefused) {
  const std::string path = Path("password");
  ASSERT_TRUE(WriteFileAtomically(path, "secret", 0600).ok());
  EXPECT_EQ(*ReadSecretFile(path, 6), "secret");
  EXPECT_TRUE(absl::IsResourceExhausted(ReadSecretFile(path, 5).status()));
  ASSERT_EQ(chmod(path.c_str(), 0604), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(ReadSecretFile(path, 6).status()));
  EXPECT_TRUE(absl::IsNotFound(ReadSecretFile(path + "-missing", 6).status()));
}

TEST(FileTest, ErrorsNameThePath) {
  const absl::Status missing = ReadFile("/nonexistent/file").status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_NE(std::string(missing.message()).find("/nonexistent/file"), std::string::npos);
  EXPECT_FALSE(WriteFileAtomically("/nonexistent/folder/file", "x").ok());
}

}  // namespace
}  // namespace gatepost::base
