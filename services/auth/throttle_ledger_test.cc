// The brute-force defence over replicas that share a store: threats A7.
#include "services/auth/throttle_ledger.h"

#include <gtest/gtest.h>

#include "services/base/fake_clock.h"
#include "services/base/fake_random.h"
#include "services/base/strings.h"
#include "services/store/memory_store.h"

namespace gatepost::auth {
namespace {

class LedgerTest : public testing::Test {
 protected:
  // Replicas are told apart by random names.
  std::unique_ptr<ThrottleLedger> Replica() {
    return std::make_unique<ThrottleLedger>(store_, clock_, random_, log_, metrics_,
                                            ThrottleLedger::Options{{}, std::string(32, 'k')});
  }
  static base::IpAddress Address(uint32_t number) { return base::IpAddress::V4(0x0A000000 + number); }

  base::FakeClock clock_;
  base::SystemRandom random_;
  base::Log log_{clock_};
  ThrottleMetrics metrics_;
  store::MemoryStore store_{clock_, random_};
  const base::IpAddress home_ = *base::IpAddress::Parse("192.0.2.1");
};

TEST_F(LedgerTest, FailuresOfAllReplicasCountTogether) {
  const auto a = Replica();
  const auto b = Replica();
  for (int i = 0; i < 5; ++i) a->Failed("alice", home_, a->TagOf("alice", base::StrCat("wrong", i)));
  for (int i = 5; i < 10; ++i) b->Failed("alice", home_, b->TagOf("alice", base::StrCat("wrong", i)));
  EXPECT_TRUE(a->Admit("alice", home_));
  EXPECT_TRUE(b->Admit("alice", home_));
  ASSERT_TRUE(a->Exchange().ok());
  ASSERT_TRUE(b->Exchange().ok());
  ASSERT_TRUE(a->Exchange().ok());
  EXPECT_FALSE(a->Admit("alice", home_));
  EXPECT_FALSE(b->Admit("alice", home_));
}

TEST_F(LedgerTest, ThePasswordThatIsTriedAtTwoReplicasCountsOnce) {
  const auto a = Replica();
  const auto b = Replica();
  for (int i = 0; i < 50; ++i) {
    a->Failed("alice", home_, a->TagOf("alice", "old password"));
    b->Failed("alice", home_, b->TagOf("alice", "old password"));
    ASSERT_TRUE(a->Exchange().ok());
    ASSERT_TRUE(b->Exchange().ok());
  }
  EXPECT_TRUE(a->Admit("alice", home_));
  EXPECT_TRUE(b->Admit("alice", home_));
  // Without a password each failure counts.
  for (int i = 0; i < 9; ++i) a->Failed("alice", home_, std::nullopt);
  EXPECT_FALSE(a->Admit("alice", home_));
}

TEST_F(LedgerTest, TheOwnerIsNotLockedOutOfWhereHeLoggedIn) {
  const auto a = Replica();
  a->Succeeded("alice", home_);
  ASSERT_TRUE(a->Exchange().ok());
  for (uint32_t i = 0; i < 50; ++i) a->Failed("alice", Address(i), a->TagOf("alice", base::StrCat("guess", i)));
  EXPECT_FALSE(a->Admit("alice", *base::IpAddress::Parse("198.51.100.1")));
  EXPECT_TRUE(a->Admit("alice", home_));
  // A replica that starts now knows both.
  ASSERT_TRUE(a->Exchange().ok());
  const auto b = Replica();
  ASSERT_TRUE(b->Exchange().ok());
  EXPECT_FALSE(b->Admit("alice", *base::IpAddress::Parse("198.51.100.1")));
  EXPECT_TRUE(b->Admit("alice", home_));
}

TEST_F(LedgerTest, APairIsKnownForThirtyDays) {
  const auto a = Replica();
  a->Succeeded("alice", home_);
  ASSERT_TRUE(a->Exchange().ok());
  const auto attack = [&] {
    for (uint32_t i = 0; i < 50; ++i) a->Failed("alice", Address(i), a->TagOf("alice", base::StrCat("guess", i)));
  };
  clock_.Advance(std::chrono::hours(30 * 24));
  ASSERT_TRUE(a->Clean().ok());
  attack();
  EXPECT_TRUE(a->Admit("alice", home_));
  clock_.Advance(std::chrono::seconds(1));
  attack();
  EXPECT_FALSE(a->Admit("alice", home_));
  ASSERT_TRUE(a->Clean().ok());
  EXPECT_EQ(*(*store_.Read())->Count("known/"), 0);
}

TEST_F(LedgerTest, ClearingIsInForceOnEveryReplica) {
  const auto a = Replica();
  const auto b = Replica();
  for (int i = 0; i < 10; ++i) a->Failed("alice", home_, a->TagOf("alice", base::StrCat("wrong", i)));
  ASSERT_TRUE(a->Exchange().ok());
  ASSERT_TRUE(b->Exchange().ok());
  ASSERT_EQ(b->InForce().size(), 1u);
  EXPECT_TRUE(b->Clear(ThrottleKind::kPair, "alice", "192.0.2.1"));
  EXPECT_FALSE(b->Clear(ThrottleKind::kPair, "alice", "192.0.2.1"));
  EXPECT_TRUE(b->Admit("alice", home_));
  ASSERT_TRUE(b->Exchange().ok());
  ASSERT_TRUE(a->Exchange().ok());
  EXPECT_TRUE(a->Admit("alice", home_));
  // And for one that reads all of it anew.
  const auto c = Replica();
  ASSERT_TRUE(c->Exchange().ok());
  EXPECT_TRUE(c->Admit("alice", home_));
}

TEST_F(LedgerTest, BatchesAreDeletedWhenTheirWindowIsOver) {
  const auto a = Replica();
  a->Failed("alice", home_, a->TagOf("alice", "wrong"));
  ASSERT_TRUE(a->Exchange().ok());
  EXPECT_EQ(*(*store_.Read())->Count("failures/"), 1);
  clock_.Advance(std::chrono::minutes(5));
  ASSERT_TRUE(a->Exchange().ok());
  EXPECT_EQ(*(*store_.Read())->Count("failures/"), 0);
  // Those of a replica that is gone, by another.
  {
    const auto gone = Replica();
    gone->Failed("alice", home_, gone->TagOf("alice", "wrong"));
    ASSERT_TRUE(gone->Exchange().ok());
  }
  clock_.Advance(std::chrono::minutes(6));
  ASSERT_TRUE(a->Clean().ok());
  EXPECT_EQ(*(*store_.Read())->Count("failures/"), 0);
}

TEST_F(LedgerTest, NoPasswordIsInTheStore) {
  const auto a = Replica();
  a->Failed("alice", home_, a->TagOf("alice", "correct horse battery staple"));
  ASSERT_TRUE(a->Exchange().ok());
  bool more = false;
  const auto view = *store_.Read();
  const auto records = view->List("", "", 100, 1 << 20, &more);
  ASSERT_TRUE(records.ok());
  for (const store::Record& record : *records) EXPECT_EQ(record.value.find("horse"), std::string::npos);
}

}  // namespace
}  // namespace gatepost::auth
