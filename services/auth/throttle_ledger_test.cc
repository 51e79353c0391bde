// The brute-force defence over replicas that share a store: threats A7.
#include "services/auth/throttle_ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

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

// A store that can be away, and says how large the transactions are.
class DistantStore : public store::MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  absl::StatusOr<store::Committed> Commit(const store::Transaction& transaction) override {
    ++commits;
    most_writes = std::max(most_writes, transaction.writes.size());
    if (away) return absl::UnavailableError("away");
    return MemoryStore::Commit(transaction);
  }

  bool away = false;
  int commits = 0;
  size_t most_writes = 0;
};

class DistantLedgerTest : public LedgerTest {
 protected:
  void LogIn(uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; ++i) ledger_.Succeeded("alice", Address(i));
  }
  int64_t Known() { return *(*distant_.Read())->Count("known/"); }

  DistantStore distant_{clock_, random_};
  metrics::Registry registry_;
  const ThrottleMetrics counted_{registry_};
  ThrottleLedger ledger_{distant_, clock_, random_, log_, counted_,
                         ThrottleLedger::Options{{}, std::string(32, 'k')}};
};

TEST_F(DistantLedgerTest, KnownPairsAreWrittenByTransactionsOfABoundedSize) {
  distant_.away = true;
  LogIn(0, 1'200);
  ledger_.Failed("bob", home_, std::nullopt);
  EXPECT_FALSE(ledger_.Exchange().ok());
  distant_.away = false;
  clock_.Advance(std::chrono::seconds(1));
  for (const int64_t known : {500, 1'000, 1'200}) {
    ASSERT_TRUE(ledger_.Exchange().ok());
    EXPECT_EQ(Known(), known);
  }
  EXPECT_EQ(*(*distant_.Read())->Count("failures/"), 1);
  EXPECT_EQ(distant_.most_writes, 500u);
}

TEST_F(DistantLedgerTest, PairsThatCannotBeWrittenAreTriedAgainAfterPausesThatGrow) {
  distant_.away = true;
  LogIn(0, 1);
  for (int i = 0; i < 600 * 4; ++i) {
    ledger_.Exchange().IgnoreError();
    clock_.Advance(std::chrono::milliseconds(250));
  }
  EXPECT_LT(distant_.commits, 200) << "of 2,400 rounds in ten minutes";
  EXPECT_GT(distant_.commits, 10);
  distant_.away = false;
  clock_.Advance(std::chrono::seconds(30));
  ASSERT_TRUE(ledger_.Exchange().ok());
  EXPECT_EQ(Known(), 1);
}

TEST_F(DistantLedgerTest, SoManyKnownPairsWaitAndTheRestIsCountedAndTriedAgainAtTheirNextLogin) {
  distant_.away = true;
  LogIn(0, kMostPendingKnown);
  EXPECT_EQ(counted_.known_dropped.Value(), 0);
  LogIn(kMostPendingKnown, kMostPendingKnown + 1);
  EXPECT_EQ(counted_.known_dropped.Value(), 1);
  distant_.away = false;
  ASSERT_TRUE(ledger_.Exchange().ok());
  LogIn(kMostPendingKnown, kMostPendingKnown + 1);
  EXPECT_EQ(counted_.known_dropped.Value(), 1);
}

TEST_F(DistantLedgerTest, OldPairsAreDeletedByTransactionsOfABoundedSize) {
  LogIn(0, 1'100);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(ledger_.Exchange().ok());
  ASSERT_EQ(Known(), 1'100);
  clock_.Advance(std::chrono::hours(30 * 24) + std::chrono::seconds(1));
  ledger_.Succeeded("bob", home_);
  ASSERT_TRUE(ledger_.Exchange().ok());
  distant_.most_writes = 0;
  ASSERT_TRUE(ledger_.Clean().ok());
  EXPECT_EQ(Known(), 1) << "the one that is not old";
  EXPECT_EQ(distant_.most_writes, 200u);
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
