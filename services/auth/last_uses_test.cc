// Last use, as it is kept: seldom, later, and for those who are there.
#include "services/auth/last_uses.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/auth/limits.h"
#include "services/auth/user_records.h"
#include "services/base/fake_clock.h"
#include "services/base/random.h"
#include "services/store/memory_store.h"

namespace gatepost::auth {
namespace {

class LastUsesTest : public testing::Test {
 protected:
  void SetUp() override { Put({"users/alice", "verifiers/alice", "credentials/alice/phone"}); }
  void Put(const std::vector<std::string>& keys) {
    store::Transaction transaction;
    for (const std::string& key : keys) transaction.writes.push_back({key, "", {}});
    ASSERT_TRUE(store_.Commit(transaction).ok());
  }
  int64_t Revision() { return (*store_.Read())->revision(); }
  bool Has(const std::string& key) { return (*store_.Read())->Get(key).ok(); }
  v1::Credential Phone() {
    v1::Credential credential;
    credential.set_name("users/alice/credentials/phone");
    EXPECT_TRUE(ReadLastUse(**store_.Read(), &credential).ok());
    return credential;
  }

  static inline const base::IpAddress kClient = base::IpAddress::V4(0xc0000201);
  base::FakeClock clock_;
  base::SystemRandom random_;
  metrics::Registry registry_;
  const Metrics metrics_{registry_};
  base::Log log_{clock_, {.fd = -1}};
  store::MemoryStore store_{clock_, random_};
  LastUses uses_{store_, clock_, log_, metrics_};
};

TEST_F(LastUsesTest, ACredentialIsWrittenOnceAMinuteHoweverOftenItIsUsed) {
  const auto use = [&] {
    for (int i = 0; i < 100; ++i) uses_.Note("users/alice", "users/alice/credentials/phone", kClient);
    const int64_t before = Revision();
    EXPECT_TRUE(uses_.Flush().ok());
    return Revision() - before;
  };
  EXPECT_EQ(use(), 1);
  const int64_t first = Phone().last_use_time().seconds();
  clock_.Advance(kLastUseInterval - std::chrono::milliseconds(1));
  EXPECT_EQ(use(), 0);
  EXPECT_EQ(Phone().last_use_time().seconds(), first);
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(use(), 1);
  EXPECT_EQ(Phone().last_use_time().seconds(), first + 60);
  EXPECT_EQ(Phone().last_use_network(), "192.0.2.1");
}

TEST_F(LastUsesTest, WhoIsGoneLeavesNothingBehind) {
  uses_.Note("users/bob", "users/bob/credentials/password", kClient);
  uses_.Note("users/alice", "users/alice/credentials/scram", kClient);
  uses_.Note("directories/ldap/users/alice", "", kClient);
  uses_.Note("users/alice", "users/alice/credentials/password", kClient);
  ASSERT_TRUE(uses_.Flush().ok());
  EXPECT_FALSE(Has("lastLogins/bob"));
  EXPECT_FALSE(Has("lastUses/bob/password"));
  EXPECT_FALSE(Has("lastUses/alice/scram"));
  EXPECT_TRUE(Has("lastUses/alice/password"));
  EXPECT_TRUE(Has("lastLogins/alice"));
}

TEST_F(LastUsesTest, ALaterUseThatAnotherReplicaSawStays) {
  LastUses replica(store_, clock_, log_, metrics_);
  uses_.Note("users/alice", "users/alice/credentials/phone", kClient);
  clock_.Advance(std::chrono::seconds(10));
  replica.Note("users/alice", "users/alice/credentials/phone", kClient);
  ASSERT_TRUE(replica.Flush().ok());
  const int64_t later = Phone().last_use_time().seconds();
  ASSERT_TRUE(uses_.Flush().ok());
  EXPECT_EQ(Phone().last_use_time().seconds(), later);
}

// A store that refuses commits as often as it is told.
class UnwillingStore : public store::RecordStore {
 public:
  explicit UnwillingStore(store::RecordStore& store) : store_(store) {}
  const std::string& epoch() const override { return store_.epoch(); }
  absl::StatusOr<std::unique_ptr<store::View>> Read() override { return store_.Read(); }
  absl::StatusOr<store::Committed> Commit(const store::Transaction& transaction) override {
    ++commits;
    most_writes = std::max(most_writes, transaction.writes.size());
    if (before_commit) std::exchange(before_commit, {})();
    if (refusals > 0) {
      --refusals;
      return refusal;
    }
    return store_.Commit(transaction);
  }
  void SetListener(Listener listener) override { store_.SetListener(std::move(listener)); }

  int refusals = 0;
  absl::Status refusal;
  std::function<void()> before_commit;  // Once.
  size_t most_writes = 0;
  int commits = 0;

 private:
  store::RecordStore& store_;
};

class UnwillingStoreTest : public LastUsesTest {
 protected:
  // Of so many users, who logged in before.
  void Login(int users) {
    for (int i = 0; i < users; ++i) {
      const std::string id = "u" + std::to_string(i);
      Put({"users/" + id, "lastLogins/" + id});
      patient_.Note("users/" + id, "", kClient);
    }
  }
  // Of all logins, how many are written.
  int Written() {
    bool more = false;
    int written = 0;
    const auto records = (*store_.Read())->List("lastLogins/", "", 1'000, 1 << 20, &more);
    for (const store::Record& record : *records) written += record.value.empty() ? 0 : 1;
    return written;
  }

  UnwillingStore unwilling_{store_};
  LastUses patient_{unwilling_, clock_, log_, metrics_};
};

TEST_F(UnwillingStoreTest, ABatchThatOthersChangeEachTimeDoesNotKeepTheRestFromTheStore) {
  Login(120);
  unwilling_.refusals = 5;
  unwilling_.refusal = absl::AbortedError("the record has changed");
  EXPECT_FALSE(patient_.Flush().ok());
  EXPECT_EQ(Written(), 70);
  EXPECT_EQ(metrics_.last_uses_dropped.Value(), 50);
  EXPECT_EQ(unwilling_.most_writes, 50u);
}

TEST_F(UnwillingStoreTest, WhatTheStoreCannotTakeNowIsWrittenLater) {
  Login(120);
  unwilling_.refusals = 1;
  unwilling_.refusal = absl::UnavailableError("away");
  EXPECT_FALSE(patient_.Flush().ok());
  EXPECT_EQ(Written(), 0);
  ASSERT_TRUE(patient_.Flush().ok());
  EXPECT_EQ(Written(), 120);
  EXPECT_EQ(metrics_.last_uses_dropped.Value(), 0);
}

TEST_F(UnwillingStoreTest, CommitsOfOthersAreNoConflictForOneWhoWasSeenBefore) {
  Login(1);
  unwilling_.before_commit = [this] { Put({"other"}); };
  ASSERT_TRUE(patient_.Flush().ok());
  EXPECT_EQ(Written(), 1);
  EXPECT_EQ(unwilling_.commits, 1) << "not tried again";
}

TEST_F(UnwillingStoreTest, WhoIsDeletedMeanwhileLeavesNothingBehind) {
  Login(1);
  patient_.Note("users/alice", "", kClient);
  unwilling_.before_commit = [this] {
    store::Transaction deletion;
    for (const std::string id : {"u0", "alice"}) {
      deletion.writes.push_back({"users/" + id, std::nullopt, {}});
      ForgetLastLogin(id, &deletion);
    }
    ASSERT_TRUE(store_.Commit(deletion).ok());
  };
  ASSERT_TRUE(patient_.Flush().ok());
  EXPECT_FALSE(Has("lastLogins/u0"));
  EXPECT_FALSE(Has("lastLogins/alice"));
}

// limits.h: 10,000 that wait.
TEST_F(LastUsesTest, WhatWaitsToBeWrittenIsBoundedAndTheRestIsCounted) {
  for (size_t i = 0; i < kMostLastUsesPending; ++i) uses_.Note("users/u" + std::to_string(i), "", kClient);
  EXPECT_EQ(metrics_.last_uses_dropped.Value(), 0);
  uses_.Note("users/alice", "", kClient);
  EXPECT_EQ(metrics_.last_uses_dropped.Value(), 1);
  ASSERT_TRUE(uses_.Flush().ok());
  uses_.Note("users/alice", "", kClient);
  ASSERT_TRUE(uses_.Flush().ok());
  EXPECT_TRUE(Has("lastLogins/alice"));
}

}  // namespace
}  // namespace gatepost::auth
