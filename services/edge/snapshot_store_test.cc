// Row 5 of the failures: a snapshot that is not exactly what was written is never used.
#include "services/edge/snapshot_store.h"

#include <fstream>

#include "gtest/gtest.h"
#include "services/base/fake_random.h"
#include "services/base/file.h"

namespace gatepost::edge {
namespace {

class SnapshotStoreTest : public testing::Test {
 protected:
  static store::SealingKey Key(char octet) { return *store::SealingKey::FromBytes(std::string(32, octet)); }

  static config::v1::Unit MakeUnit() {
    config::v1::Unit unit;
    unit.set_epoch("e1");
    unit.set_revision(7);
    unit.set_reset(true);
    unit.add_virtual_servers()->set_name("virtualServers/a");
    unit.add_secrets()->mutable_certificate_key()->set_private_key_pem("the key itself");
    return unit;
  }

  void SetUp() override {
    path_ = testing::TempDir() + "/snapshot-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::remove(path_.c_str());
  }

  std::string path_;
  base::FakeRandom random_;
};

TEST_F(SnapshotStoreTest, WhatWasSavedIsLoaded) {
  SnapshotStore store(path_, Key('k'), "node-1", random_);
  EXPECT_EQ(store.Load().status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(store.Save(MakeUnit()).ok());
  const auto loaded = store.Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->SerializeAsString(), MakeUnit().SerializeAsString());
}

TEST_F(SnapshotStoreTest, KeysAreNotReadableInTheFile) {
  SnapshotStore store(path_, Key('k'), "node-1", random_);
  ASSERT_TRUE(store.Save(MakeUnit()).ok());
  const auto octets = base::ReadFile(path_);
  ASSERT_TRUE(octets.ok());
  EXPECT_EQ(octets->find("the key itself"), std::string::npos);
}

TEST_F(SnapshotStoreTest, AnotherKeyOrNodeIsRefused) {
  ASSERT_TRUE(SnapshotStore(path_, Key('k'), "node-1", random_).Save(MakeUnit()).ok());
  EXPECT_EQ(SnapshotStore(path_, Key('l'), "node-1", random_).Load().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(SnapshotStore(path_, Key('k'), "node-2", random_).Load().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SnapshotStoreTest, NoBitFlipAndNoTruncationIsAccepted) {
  SnapshotStore store(path_, Key('k'), "node-1", random_);
  ASSERT_TRUE(store.Save(MakeUnit()).ok());
  const std::string good = *base::ReadFile(path_);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bad;
    EXPECT_EQ(store.Load().status().code(), absl::StatusCode::kDataLoss) << "octet " << i;
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << good.substr(0, i);
    EXPECT_EQ(store.Load().status().code(), absl::StatusCode::kDataLoss) << "length " << i;
  }
}

TEST_F(SnapshotStoreTest, APartOfAConfigurationIsNoSnapshot) {
  SnapshotStore store(path_, Key('k'), "node-1", random_);
  config::v1::Unit unit = MakeUnit();
  unit.set_reset(false);
  ASSERT_TRUE(store.Save(unit).ok());
  EXPECT_EQ(store.Load().status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace gatepost::edge
