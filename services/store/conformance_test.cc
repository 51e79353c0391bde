// What every RecordStore does, run on each implementation. What only SQLite or PostgreSQL can show is in
// sqlite_store_test.cc and postgres_store_test.cc.
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "services/base/fake_clock.h"
#include "services/base/fake_random.h"
#include "services/store/memory_store.h"
#include "services/store/postgres_store.h"
#include "services/store/sqlite_store.h"
#include "services/store/test_folder.h"
#include "services/store/test_postgres.h"

namespace gatepost::store {
namespace {

// One server for all cases, started by the first that wants it.
TestPostgres& Server() {
  static TestPostgres server;
  return server;
}

struct Maker {
  std::string name;
  std::function<std::unique_ptr<RecordStore>(const std::string& folder, const base::Clock&, base::Random&,
                                             size_t max_changes)>
      make;
  std::function<std::string()> why_not = [] { return std::string(); };  // What is missing here; empty: nothing.
};

class RecordStoreTest : public testing::TestWithParam<Maker> {
 protected:
  void SetUp() override {
    if (const std::string why_not = GetParam().why_not(); !why_not.empty()) GTEST_SKIP() << why_not;
    Make(1'000);
  }
  void Make(size_t max_changes) {
    store_.reset();
    store_ = GetParam().make(folder_.path() + "/" + std::to_string(max_changes), clock_, random_, max_changes);
    ASSERT_NE(store_, nullptr);
  }

  absl::StatusOr<Committed> Put(const std::string& key, const std::string& value, Condition condition = {}) {
    return store_->Commit({{{key, value, condition}}, {}, {}});
  }
  absl::StatusOr<Committed> Delete(const std::string& key, Condition condition = {}) {
    return store_->Commit({{{key, std::nullopt, condition}}, {}, {}});
  }
  absl::StatusOr<Record> Get(const std::string& key) { return (*store_->Read())->Get(key); }
  int64_t Revision() { return (*store_->Read())->revision(); }

  TestFolder folder_;
  base::FakeClock clock_;
  base::FakeRandom random_;
  std::unique_ptr<RecordStore> store_;
};

TEST_P(RecordStoreTest, StartsEmptyAtRevisionZeroWithAnEpoch) {
  EXPECT_EQ(Revision(), 0);
  EXPECT_EQ(store_->epoch().size(), 26u);
  EXPECT_EQ(Get("a").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(RecordStoreTest, RevisionsAreGaplessAndARecordKeepsThatOfItsLastWrite) {
  EXPECT_EQ(Put("a", "1")->revision, 1);
  EXPECT_EQ(Put("b", std::string("\0\xff\n", 3))->revision, 2);
  EXPECT_EQ(Put("a", "2")->revision, 3);
  EXPECT_EQ(Get("a")->value, "2");
  EXPECT_EQ(Get("a")->revision, 3);
  EXPECT_EQ(Get("b")->value, std::string("\0\xff\n", 3));
  EXPECT_EQ(Get("b")->revision, 2);
}

TEST_P(RecordStoreTest, AnEmptyValueIsAValue) {
  ASSERT_TRUE(Put("a", "").ok());
  EXPECT_EQ(Get("a")->value, "");
}

TEST_P(RecordStoreTest, CompareAndSetJudgesTheRecord) {
  ASSERT_TRUE(Put("a", "1", Condition::Absent()).ok());
  EXPECT_EQ(Put("a", "2", Condition::Absent()).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Put("b", "2", Condition::Present()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Put("b", "2", Condition::At(1)).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Put("a", "2", Condition::At(7)).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Delete("a", Condition::At(7)).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Get("a")->value, "1");
  EXPECT_EQ(Revision(), 1) << "what failed took no revision";
  EXPECT_TRUE(Put("a", "2", Condition::At(1)).ok());
  EXPECT_TRUE(Delete("a", Condition::At(2)).ok());
  EXPECT_EQ(Get("a").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(RecordStoreTest, ATransactionHappensAsAWholeOrNotAtAll) {
  ASSERT_TRUE(Put("a", "1").ok());
  Transaction transaction;
  transaction.writes = {{"b", "1", {}}, {"a", std::nullopt, {}}, {"c", "1", Condition::Present()}};
  EXPECT_FALSE(store_->Commit(transaction).ok());
  EXPECT_EQ(Get("b").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Get("a")->value, "1");
  transaction.writes.pop_back();
  EXPECT_EQ(store_->Commit(transaction)->revision, 2);
  EXPECT_EQ(Get("b")->revision, 2);
  EXPECT_FALSE(Get("a").ok());
}

// Stores may make many writes at once.
TEST_P(RecordStoreTest, OfManyConditionsTheFirstThatFailsIsTheAnswer) {
  ASSERT_TRUE(Put("a", "1").ok());
  Transaction transaction;
  for (int i = 0; i < 100; ++i) transaction.writes.push_back({"n/" + std::to_string(i), "1", Condition::Absent()});
  transaction.writes.push_back({"a", "2", Condition::At(7)});
  transaction.writes.push_back({"missing", "2", Condition::Present()});
  EXPECT_EQ(store_->Commit(transaction).status().code(), absl::StatusCode::kAborted);
  std::swap(transaction.writes[100], transaction.writes[101]);
  EXPECT_EQ(store_->Commit(transaction).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*(*store_->Read())->Count("n/"), 0);
  EXPECT_EQ(Revision(), 1);
}

TEST_P(RecordStoreTest, OfTwoWritesOfARecordTheLastHolds) {
  ASSERT_TRUE(Put("a", "1").ok());
  ASSERT_TRUE(Put("b", "1").ok());
  Transaction transaction;
  transaction.writes = {{"a", "2", {}}, {"b", std::nullopt, {}}, {"a", std::nullopt, {}}, {"b", "", {}}, {"b", "3", {}}};
  ASSERT_TRUE(store_->Commit(transaction).ok());
  EXPECT_EQ(Get("a").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Get("b")->value, "3");
  EXPECT_EQ(Get("b")->revision, 3);
}

TEST_P(RecordStoreTest, LargeValuesAreWrittenTogether) {
  Transaction transaction;
  for (const char* key : {"a", "b", "c", "d"}) transaction.writes.push_back({key, std::string(3 << 20, *key), {}});
  ASSERT_TRUE(store_->Commit(transaction).ok());
  for (const char* key : {"a", "b", "c", "d"}) EXPECT_EQ(Get(key)->value, std::string(3 << 20, *key));
}

TEST_P(RecordStoreTest, TheStoresRevisionCanBeACondition) {
  ASSERT_TRUE(Put("a", "1").ok());
  EXPECT_EQ(store_->Commit({{{"b", "1", {}}}, {}, 0}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(store_->Commit({{{"b", "1", {}}}, {}, 1}).ok());
}

TEST_P(RecordStoreTest, OfManyConcurrentCompareAndSetsExactlyOneWins) {
  ASSERT_TRUE(Put("counter", "").ok());
  constexpr int kThreads = 4;
  constexpr int kRounds = 25;
  std::atomic<int> won = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int done = 0; done < kRounds;) {
        const absl::StatusOr<Record> record = Get("counter");
        ASSERT_TRUE(record.ok());
        const auto committed = Put("counter", record->value + "x", Condition::At(record->revision));
        if (committed.ok()) {
          ++done;
          ++won;
        } else {
          ASSERT_EQ(committed.status().code(), absl::StatusCode::kAborted) << committed.status();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, kThreads * kRounds);
  EXPECT_EQ(Get("counter")->value.size(), static_cast<size_t>(kThreads * kRounds));
  EXPECT_EQ(Revision(), kThreads * kRounds + 1);
}

TEST_P(RecordStoreTest, ListIsInTheOrderOfKeysAndStaysWithinItsPrefix) {
  for (const char* key : {"b/2", "b/10", "a/1", "b", "c/1", "b/", "b0"}) ASSERT_TRUE(Put(key, "v").ok());
  bool more = true;
  const auto records = (*store_->Read())->List("b/", "", 10, 1'000, &more);
  ASSERT_TRUE(records.ok());
  std::string keys;
  for (const Record& record : *records) keys += record.key + " ";
  EXPECT_EQ(keys, "b/ b/10 b/2 ");
  EXPECT_FALSE(more);
  EXPECT_EQ(*(*store_->Read())->Count("b/"), 3);
  EXPECT_EQ(*(*store_->Read())->Count(""), 7);
}

TEST_P(RecordStoreTest, ListPagesByCountAndByOctets) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Put("k" + std::to_string(i), std::string(100, 'x')).ok());
  bool more = false;
  auto view = *store_->Read();
  EXPECT_EQ(view->List("k", "", 2, 10'000, &more)->size(), 2u);
  EXPECT_TRUE(more);
  EXPECT_EQ(view->List("k", "k1", 3, 10'000, &more)->front().key, "k2");
  EXPECT_FALSE(more);
  EXPECT_EQ(view->List("k", "", 5, 204, &more)->size(), 2u);
  EXPECT_TRUE(more);
  EXPECT_EQ(view->List("k", "", 5, 203, &more)->size(), 1u);
  EXPECT_EQ(view->List("k", "k3", 5, 1, &more)->size(), 1u) << "the first one in any case";
  EXPECT_FALSE(more);
}

TEST_P(RecordStoreTest, AViewDoesNotChange) {
  ASSERT_TRUE(Put("a", "1").ok());
  auto view = *store_->Read();
  ASSERT_TRUE(Put("a", "2").ok());
  ASSERT_TRUE(Put("b", "1").ok());
  EXPECT_EQ(view->revision(), 1);
  EXPECT_EQ(view->Get("a")->value, "1");
  EXPECT_FALSE(view->Get("b").ok());
  EXPECT_TRUE(view->ChangesSince(1)->empty());
}

TEST_P(RecordStoreTest, ChangesSinceARevisionIncludeDeletionsAndNoFailures) {
  ASSERT_TRUE(Put("a", "1").ok());
  ASSERT_TRUE(Put("b", "1").ok());
  ASSERT_FALSE(Put("b", "1", Condition::Absent()).ok());
  ASSERT_TRUE(Delete("a").ok());
  ASSERT_TRUE(Delete("nothing").ok());
  const auto changes = (*store_->Read())->ChangesSince(1);
  ASSERT_TRUE(changes.ok());
  ASSERT_EQ(changes->size(), 2u);
  EXPECT_EQ((*changes)[0].key, "b");
  EXPECT_EQ((*changes)[0].revision, 2);
  EXPECT_EQ((*changes)[1].key, "a");
  EXPECT_EQ((*changes)[1].revision, 3);
  EXPECT_EQ(Revision(), 4);
}

TEST_P(RecordStoreTest, TheLogOfChangesIsBoundedAndSaysSo) {
  Make(10);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(Put("k", std::to_string(i)).ok());
  auto view = *store_->Read();
  EXPECT_EQ(view->ChangesSince(0).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(view->ChangesSince(51).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(view->ChangesSince(42)->size(), 8u);
  EXPECT_EQ(view->ChangesSince(38).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(view->ChangesSince(50)->size(), 0u);
}

TEST_P(RecordStoreTest, ARepeatedRequestIsAnsweredAndChangesNothing) {
  const Transaction transaction{{{"a", "1", Condition::Absent()}}, {"id", "fingerprint", "answer"}, {}};
  const auto first = store_->Commit(transaction);
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(first->repeated);
  ASSERT_TRUE(Put("b", "1").ok());
  const auto second = store_->Commit(transaction);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(second->repeated);
  EXPECT_EQ(second->revision, first->revision);
  EXPECT_EQ(second->answer, "answer");
  EXPECT_EQ(Revision(), 2);
}

TEST_P(RecordStoreTest, ARequestIdIsForOneRequestAndForADay) {
  ASSERT_TRUE(store_->Commit({{{"a", "1", {}}}, {"id", "one", ""}, {}}).ok());
  EXPECT_EQ(store_->Commit({{{"a", "2", {}}}, {"id", "two", ""}, {}}).status().code(), absl::StatusCode::kInvalidArgument);
  clock_.Advance(kRequestIdLifetime - std::chrono::seconds(1));
  EXPECT_FALSE(store_->Commit({{{"a", "2", {}}}, {"id", "two", ""}, {}}).ok());
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_TRUE(store_->Commit({{{"a", "2", {}}}, {"id", "two", ""}, {}}).ok());
}

TEST_P(RecordStoreTest, AFailedRequestIsNotRemembered) {
  ASSERT_TRUE(Put("a", "1").ok());
  const Transaction transaction{{{"a", "2", Condition::Absent()}}, {"id", "one", ""}, {}};
  EXPECT_EQ(store_->Commit(transaction).status().code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(Delete("a").ok());
  EXPECT_FALSE(store_->Commit(transaction)->repeated);
}

TEST_P(RecordStoreTest, TheListenerHearsOfEveryCommitUntilItIsTakenAway) {
  std::vector<int64_t> heard;
  store_->SetListener([&](int64_t revision) { heard.push_back(revision); });
  ASSERT_TRUE(Put("a", "1").ok());
  ASSERT_FALSE(Put("a", "1", Condition::Absent()).ok());
  ASSERT_TRUE(Put("a", "2").ok());
  store_->SetListener({});
  ASSERT_TRUE(Put("a", "3").ok());
  EXPECT_EQ(heard, (std::vector<int64_t>{1, 2}));
}

const Maker kMakers[] = {
    {"Memory",
     [](const std::string&, const base::Clock& clock, base::Random& random, size_t max_changes) {
       return std::unique_ptr<RecordStore>(new MemoryStore(clock, random, {max_changes}));
     }},
    {"Sqlite",
     [](const std::string& path, const base::Clock& clock, base::Random& random, size_t max_changes) {
       SqliteOptions options;
       options.path = path;
       options.max_changes = max_changes;
       auto store = OpenSqliteStore(options, clock, random);
       EXPECT_TRUE(store.ok()) << store.status();
       return store.ok() ? *std::move(store) : nullptr;
     }},
    {"Postgres",
     [](const std::string&, const base::Clock& clock, base::Random& random, size_t max_changes) {
       static int made = 0;
       PostgresOptions options;
       options.uri = Server().uri();
       options.schema = "case_" + std::to_string(++made);
       options.max_changes = max_changes;
       auto store = OpenPostgresStore(options, clock, random);
       EXPECT_TRUE(store.ok()) << store.status();
       return store.ok() ? *std::move(store) : nullptr;
     },
     [] { return Server().why_not(); }},
};

INSTANTIATE_TEST_SUITE_P(Stores, RecordStoreTest, testing::ValuesIn(kMakers),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace gatepost::store
