#include "services/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace gatepost::base {
namespace {

std::string Path(const std::string& name) { return testing::TempDir() + "/" + name + std::to_string(getpid()); }

TEST(FileTest, WritesAndReadsBackWithTheModeAsked) {
  const std::string path = Path("secret");
  ASSERT_TRUE(WriteFileAtomically(path, "one").ok());
  ASSERT_TRUE(WriteFileAtomically(path, std::string(100'000, 'x')).ok());
  EXPECT_EQ(ReadFile(path)->size(), 100'000u);
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(FileTest, ReadingIsBounded) {
  const std::string path = Path("bounded");
  ASSERT_TRUE(WriteFileAtomically(path, std::string(100, 'x')).ok());
  EXPECT_TRUE(ReadFile(path, 100).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(ReadFile(path, 99).status()));
}

TEST(FileTest, ErrorsNameThePath) {
  const absl::Status missing = ReadFile("/nonexistent/file").status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_NE(std::string(missing.message()).find("/nonexistent/file"), std::string::npos);
  EXPECT_FALSE(WriteFileAtomically("/nonexistent/folder/file", "x").ok());
}

}  // namespace
}  // namespace gatepost::base
