#include "services/store/sealed.h"

#include <sys/stat.h>

#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "services/base/fake_random.h"
#include "services/base/file.h"
#include "services/base/strings.h"
#include "services/store/sealed_file.h"
#include "services/store/test_folder.h"

namespace gatepost::store {
namespace {

SealingKey Key(char fill) { return *SealingKey::FromBytes(std::string(32, fill)); }

// A Random that gives the same octet always.
class FixedRandom final : public base::Random {
 public:
  void Fill(std::span<uint8_t> octets) override {
    for (uint8_t& octet : octets) octet = 0;
  }
};

// AES-256-GCM with a key and a nonce of zeros; the first 16 octets are those of NIST's test case 14, whose associated
// data does not enter the ciphertext.
TEST(SealedTest, IsAes256Gcm) {
  FixedRandom random;
  const std::string sealed = Key('\0').Seal("", std::string(16, '\0'), random);
  EXPECT_EQ(base::HexEncode(sealed.substr(0, 13)), "01" + std::string(24, '0'));
  EXPECT_EQ(base::HexEncode(sealed.substr(13, 16)), "cea7403d4d606b6e074ec5d3baf39d18");
  EXPECT_EQ(sealed.size(), 1u + 12 + 16 + 16);
}

TEST(SealedTest, OpensWhatItSealedOfEverySize) {
  base::FakeRandom random;
  const SealingKey key = Key('k');
  for (size_t size : {0, 1, 15, 16, 17, 1'000, 100'000}) {
    const std::string plain(size, 'p');
    const std::string sealed = key.Seal("context", plain, random);
    EXPECT_EQ(key.Open("context", sealed).value_or("-"), plain) << size;
  }
}

TEST(SealedTest, TheSamePlainTextIsSealedDifferentlyEachTime) {
  base::FakeRandom random;
  EXPECT_NE(Key('k').Seal("c", "plain", random), Key('k').Seal("c", "plain", random));
}

TEST(SealedTest, DoesNotOpenWithAnotherKeyOrContext) {
  base::FakeRandom random;
  const std::string sealed = Key('k').Seal("certificateKeys/a", "secret", random);
  EXPECT_EQ(Key('l').Open("certificateKeys/a", sealed).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Key('k').Open("certificateKeys/b", sealed).status().code(), absl::StatusCode::kDataLoss);
}

TEST(SealedTest, EveryFlippedBitAndEveryTruncationIsNoticed) {
  base::FakeRandom random;
  const SealingKey key = Key('k');
  const std::string sealed = key.Seal("c", "a secret of some octets", random);
  for (size_t i = 0; i < sealed.size() * 8; ++i) {
    std::string changed = sealed;
    changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << (i % 8)));
    EXPECT_FALSE(key.Open("c", changed).ok()) << "bit " << i;
  }
  for (size_t size = 0; size < sealed.size(); ++size) EXPECT_FALSE(key.Open("c", sealed.substr(0, size)).ok()) << size;
  EXPECT_FALSE(key.Open("c", sealed + "x").ok());
}

TEST(SealingKeyTest, HasThirtyTwoOctets) {
  EXPECT_TRUE(SealingKey::FromBytes(std::string(32, 'k')).ok());
  EXPECT_FALSE(SealingKey::FromBytes(std::string(31, 'k')).ok());
  EXPECT_FALSE(SealingKey::FromBytes(std::string(33, 'k')).ok());
}

TEST(SealingKeyTest, AFileThatOthersMayReadIsRefused) {
  const TestFolder folder;
  const std::string path = folder.path() + "/key";
  std::ofstream(path) << std::string(32, 'k');
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  EXPECT_TRUE(SealingKey::FromFile(path).ok());
  for (mode_t mode : {0604, 0620, 0644}) {
    // A group may read what is root's alone: the test does not run as root everywhere, so 0640 is not judged here.
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    EXPECT_EQ(SealingKey::FromFile(path).status().code(), absl::StatusCode::kFailedPrecondition) << std::oct << mode;
  }
  EXPECT_EQ(SealingKey::FromFile(path + "-missing").status().code(), absl::StatusCode::kUnavailable);
}

TEST(SealingKeyTest, AFileOfAnotherLengthIsRefused) {
  const TestFolder folder;
  for (size_t size : {0, 31, 33}) {
    const std::string path = folder.path() + "/key";
    std::ofstream(path) << std::string(size, 'k');
    ASSERT_EQ(chmod(path.c_str(), 0600), 0);
    EXPECT_EQ(SealingKey::FromFile(path).status().code(), absl::StatusCode::kFailedPrecondition) << size;
  }
}

class SealedFileTest : public testing::Test {
 protected:
  const TestFolder folder_;
  const std::string path_ = folder_.path() + "/snapshot";
  base::FakeRandom random_;
  const SealingKey key_ = Key('k');
};

TEST_F(SealedFileTest, ReadsWhatWasWrittenLast) {
  ASSERT_TRUE(WriteSealedFile(path_, key_, "snapshot", "one", random_).ok());
  ASSERT_TRUE(WriteSealedFile(path_, key_, "snapshot", "two", random_).ok());
  EXPECT_EQ(ReadSealedFile(path_, key_, "snapshot", 100).value_or("-"), "two");
  struct stat facts{};
  ASSERT_EQ(stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
}

TEST_F(SealedFileTest, AMissingFileIsNotFound) {
  EXPECT_EQ(ReadSealedFile(path_, key_, "snapshot", 100).status().code(), absl::StatusCode::kNotFound);
}

// failures.md row 5: a damaged snapshot is never taken for one.
TEST_F(SealedFileTest, WhateverIsWrongWithAFileIsDataLoss) {
  ASSERT_TRUE(WriteSealedFile(path_, key_, "snapshot", "the snapshot", random_).ok());
  const std::string good = *base::ReadFile(path_, 1'000);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    std::ofstream(path_, std::ios::binary) << bad;
    EXPECT_EQ(ReadSealedFile(path_, key_, "snapshot", 100).status().code(), absl::StatusCode::kDataLoss) << i;
    std::ofstream(path_, std::ios::binary) << good.substr(0, i);
    EXPECT_EQ(ReadSealedFile(path_, key_, "snapshot", 100).status().code(), absl::StatusCode::kDataLoss) << i;
  }
  std::ofstream(path_, std::ios::binary) << good;
  EXPECT_EQ(ReadSealedFile(path_, key_, "another", 100).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(ReadSealedFile(path_, key_, "snapshot", 100).ok());
}

}  // namespace
}  // namespace gatepost::store
