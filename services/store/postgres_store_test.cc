// What is PostgreSQL's own: several replicas on one schema, a server that is away, read-only, or stands still, answers
// to COMMIT that are lost, history that goes back. Shows failures.md rows 6 (kill -9 during writes), 20 (database down,
// read-only, failing over) and 29 (no rollback). Longer than most: the databases that fail are made in this one file.
#include "services/store/postgres_store.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "services/base/fake_random.h"
#include "services/store/open_store.h"
#include "services/store/test_folder.h"
#include "services/store/test_postgres.h"

namespace gatepost::store {
namespace {

using std::chrono::milliseconds;

// The bound of postgres_store.h, with the time that a loaded machine takes.
constexpr milliseconds kLongestCall{7'000};

TestPostgres& Server() {
  static TestPostgres server;
  return server;
}

// Stands between a client and the server and cuts the connection at the client's COMMIT.
class Proxy {
 public:
  enum class Cut { kNone, kBeforeCommit, kAfterCommit };

  explicit Proxy(const std::string& server_socket) : server_socket_(server_socket) {
    const std::string path = folder_.path() + "/.s.PGSQL.5432";
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = AddressOf(path);
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(listener_, 16) != 0)
      ADD_FAILURE() << "proxy: " << std::strerror(errno);
    thread_ = std::thread([this] { Run(); });
  }
  ~Proxy() {
    stop_ = true;
    thread_.join();
    close(listener_);
  }

  std::string uri() const { return TestPostgres::UriAt(folder_.path()); }
  // At the next COMMIT; `refuse`: and nobody is let in any more.
  void CutNext(Cut cut, bool refuse = false) {
    refuse_after_ = refuse;
    cut_ = cut;
  }
  void Accept() { refuse_ = false; }

 private:
  static sockaddr_un AddressOf(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }

  void Run() {
    std::map<int, int> peers;
    const auto drop = [&](int fd) {
      const int other = peers[fd];
      peers.erase(fd);
      peers.erase(other);
      close(fd);
      close(other);
    };
    while (!stop_) {
      std::vector<pollfd> polled{{listener_, POLLIN, 0}};
      for (const auto& [fd, peer] : peers) polled.push_back({fd, POLLIN, 0});
      if (poll(polled.data(), polled.size(), 20) <= 0) continue;
      if (polled[0].revents != 0) Connect(&peers);
      for (const pollfd& ready : polled) {
        if (ready.fd == listener_ || ready.revents == 0 || !peers.contains(ready.fd)) continue;
        char octets[65'536];
        const ssize_t count = read(ready.fd, octets, sizeof octets);
        if (count <= 0) {
          drop(ready.fd);
          continue;
        }
        const std::string_view said(octets, static_cast<size_t>(count));
        const bool is_commit = said.find(std::string_view("COMMIT", 7)) != std::string_view::npos;
        const Cut cut = is_commit ? cut_.exchange(Cut::kNone) : Cut::kNone;
        if (cut != Cut::kNone) refuse_ = refuse_after_.load();
        if (cut != Cut::kBeforeCommit && write(peers[ready.fd], octets, said.size()) < 0)
          ADD_FAILURE() << "proxy: write";
        if (cut == Cut::kAfterCommit) {
          // The answer stays here.
          pollfd answer{peers[ready.fd], POLLIN, 0};
          poll(&answer, 1, 10'000);
        }
        if (cut != Cut::kNone) drop(ready.fd);
      }
    }
    while (!peers.empty()) drop(peers.begin()->first);
  }

  void Connect(std::map<int, int>* peers) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = AddressOf(server_socket_);
    if (refuse_ || connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close(client);
      close(server);
      return;
    }
    (*peers)[client] = server;
    (*peers)[server] = client;
  }

  const std::string server_socket_;
  TestFolder folder_{"/tmp"};
  int listener_ = -1;
  std::atomic<Cut> cut_ = Cut::kNone;
  std::atomic<bool> refuse_after_ = false;
  std::atomic<bool> refuse_ = false;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class PostgresStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Server().why_not().empty()) GTEST_SKIP() << Server().why_not();
    static int made = 0;
    options_.uri = Server().uri();
    options_.schema = "case_" + std::to_string(++made);
    options_.on_fatal = [this](std::string_view reason) {
      const std::lock_guard lock(fatal_mutex_);
      fatal_ = reason;
    };
  }
  std::unique_ptr<RecordStore> Open() {
    auto store = OpenPostgresStore(options_, clock_, random_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  static absl::StatusOr<Committed> Put(RecordStore& store, const std::string& key, const std::string& value,
                                       Condition condition = {}) {
    return store.Commit({{{key, value, condition}}, {}, {}});
  }
  std::string Meta(const std::string& column) {
    return Server().Sql("SELECT " + column + " FROM " + options_.schema + ".meta");
  }
  std::string Fatal() {
    const std::lock_guard lock(fatal_mutex_);
    return fatal_;
  }
  // How long it takes until it holds; a failure if it does not within ten seconds.
  template <typename Predicate>
  milliseconds TimeUntil(Predicate holds) {
    const auto start = clock_.Now();
    while (!holds()) {
      if (clock_.Now() - start > std::chrono::seconds(10)) {
        ADD_FAILURE() << "not within ten seconds";
        break;
      }
      poll(nullptr, 0, 5);
    }
    return std::chrono::duration_cast<milliseconds>(clock_.Now() - start);
  }

  base::SystemClock clock_;
  base::SystemRandom random_;
  PostgresOptions options_;
  std::mutex fatal_mutex_;
  std::string fatal_;
};

TEST_F(PostgresStoreTest, RecordsEpochAndRequestIdsSurviveReopening) {
  const Transaction transaction{{{"a", "1", {}}}, {"id", "fingerprint", "answer"}, {}};
  auto store = Open();
  const std::string epoch = store->epoch();
  ASSERT_TRUE(store->Commit(transaction).ok());
  store = Open();
  EXPECT_EQ(store->epoch(), epoch);
  EXPECT_EQ((*store->Read())->Get("a")->value, "1");
  EXPECT_EQ((*store->Read())->ChangesSince(0)->size(), 1u);
  EXPECT_TRUE(store->Commit(transaction)->repeated);
}

TEST_F(PostgresStoreTest, ARestoreMakesTheEpochAnewAndWhoeverHasItOpenIsToldToEnd) {
  auto before = Open();
  ASSERT_TRUE(Put(*before, "a", "1").ok());
  options_.new_epoch = true;
  auto after = Open();
  EXPECT_NE(after->epoch(), before->epoch());
  EXPECT_EQ((*after->Read())->Get("a")->revision, 1);
  EXPECT_EQ(Put(*before, "a", "2").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(Fatal().find("restored"), std::string::npos) << Fatal();
  EXPECT_EQ((*after->Read())->Get("a")->value, "1");
}

TEST_F(PostgresStoreTest, ANewerSchemaIsRefusedByName) {
  Open();
  Server().Sql("UPDATE " + options_.schema + ".meta SET version = 99");
  const auto store = OpenPostgresStore(options_, clock_, random_);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(store.status().message().find("schema version 99"), absl::string_view::npos) << store.status();
  EXPECT_NE(store.status().message().find(options_.schema), absl::string_view::npos) << store.status();
}

TEST_F(PostgresStoreTest, ReplicasThatStartTogetherMakeOneSchema) {
  std::vector<std::string> epochs(4);
  std::vector<std::thread> threads;
  for (std::string& epoch : epochs) {
    threads.emplace_back([&] {
      if (auto store = Open()) epoch = store->epoch();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(epochs, std::vector<std::string>(4, epochs[0]));
}

TEST_F(PostgresStoreTest, CommitsOfOtherReplicasReachTheListener) {
  auto one = Open();
  auto other = Open();
  std::atomic<int64_t> heard = 0;
  other->SetListener([&](int64_t revision) { heard = revision; });
  std::vector<milliseconds> times;
  for (int64_t revision = 1; revision <= 20; ++revision) {
    ASSERT_TRUE(Put(*one, "a", "1").ok());
    times.push_back(TimeUntil([&] { return heard >= revision; }));
  }
  std::sort(times.begin(), times.end());
  std::printf("a commit was heard of by another replica after %lld ms (median), %lld ms (longest)\n",
              static_cast<long long>(times[10].count()), static_cast<long long>(times.back().count()));
  EXPECT_LT(times[10], milliseconds(500)) << "by notification, not by asking once a second";
  other->SetListener({});
}

TEST_F(PostgresStoreTest, RevisionsHaveNoGapOverReplicasThatWriteTogether) {
  constexpr int kReplicas = 3;
  constexpr int kCommits = 40;
  std::vector<std::thread> threads;
  for (int r = 0; r < kReplicas; ++r) {
    threads.emplace_back([&, r] {
      auto store = Open();
      for (int i = 0; i < kCommits; ++i) {
        const auto committed = Put(*store, "r" + std::to_string(r), std::to_string(i));
        ASSERT_TRUE(committed.ok()) << committed.status();
        ASSERT_TRUE(Put(*store, "at/" + std::to_string(committed->revision), "", Condition::Absent()).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  auto store = Open();
  auto view = *store->Read();
  EXPECT_EQ(view->revision(), 2 * kReplicas * kCommits);
  EXPECT_EQ(*view->Count("at/"), kReplicas * kCommits);
  const auto changes = view->ChangesSince(0);
  ASSERT_EQ(changes->size(), static_cast<size_t>(view->revision()));
  for (size_t i = 0; i < changes->size(); ++i) ASSERT_EQ((*changes)[i].revision, static_cast<int64_t>(i) + 1);
}

// failures.md row 20.
TEST_F(PostgresStoreTest, ADatabaseThatIsAwayIsUnavailableAndGotOver) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  auto view = *store->Read();
  Server().Stop(SIGQUIT);
  EXPECT_EQ(view->Get("a").status().code(), absl::StatusCode::kUnavailable);
  for (int i = 0; i < 5; ++i) {
    const auto start = clock_.Now();
    EXPECT_EQ(Put(*store, "a", "2").status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(store->Read().status().code(), absl::StatusCode::kUnavailable);
    EXPECT_LT(clock_.Now() - start, milliseconds(1'000)) << "nobody waits for what is known to be away";
  }
  EXPECT_EQ(OpenPostgresStore(options_, clock_, random_).status().code(), absl::StatusCode::kUnavailable);
  view.reset();
  Server().Start();
  const milliseconds time = TimeUntil([&] { return Put(*store, "a", "3").ok(); });
  std::printf("%lld ms from the server's start to a commit\n", static_cast<long long>(time.count()));
  EXPECT_LT(time, milliseconds(3'000));
  EXPECT_EQ((*store->Read())->revision(), 2);
  // The listener hears again.
  std::atomic<int64_t> heard = 0;
  store->SetListener([&](int64_t revision) { heard = revision; });
  auto other = Open();
  ASSERT_TRUE(Put(*other, "a", "4").ok());
  TimeUntil([&] { return heard >= 3; });
  store->SetListener({});
}

// failures.md row 20.
TEST_F(PostgresStoreTest, AReadOnlyDatabaseIsReadAndSaysSo) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  Server().Sql("ALTER SYSTEM SET default_transaction_read_only = on");
  Server().Sql("SELECT pg_reload_conf()");
  absl::Status status;
  TimeUntil([&] { return !(status = Put(*store, "a", "2").status()).ok(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(status.message().find("read-only"), absl::string_view::npos) << status;
  const int64_t before = (*store->Read())->revision();
  EXPECT_FALSE(Put(*store, "a", "2").ok());
  EXPECT_TRUE((*store->Read())->Get("a").ok());
  EXPECT_NE(Open(), nullptr) << "a replica can be started";
  Server().Sql("ALTER SYSTEM RESET default_transaction_read_only");
  Server().Sql("SELECT pg_reload_conf()");
  TimeUntil([&] { return Put(*store, "a", "3").ok(); });
  EXPECT_EQ((*store->Read())->revision(), before + 1);
}

// failures.md row 20: the kernel answers, the server does not.
TEST_F(PostgresStoreTest, AServerThatStandsStillHoldsNobodyForLong) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  auto view = *store->Read();
  Server().Freeze();
  for (const auto& call : std::vector<std::function<absl::Status()>>{[&] { return view->Get("a").status(); },
                                                                     [&] { return store->Read().status(); },
                                                                     [&] { return Put(*store, "a", "2").status(); }}) {
    const auto start = clock_.Now();
    EXPECT_EQ(call().code(), absl::StatusCode::kUnavailable);
    EXPECT_LT(clock_.Now() - start, kLongestCall);
  }
  view.reset();
  Server().Thaw();
  TimeUntil([&] { return Put(*store, "a", "3").ok(); });
}

TEST_F(PostgresStoreTest, NobodyWaitsLongForAConnection) {
  options_.max_connections = 2;
  auto store = Open();
  std::vector<std::unique_ptr<View>> views;
  for (int i = 0; i < 2; ++i) views.push_back(*store->Read());
  const auto start = clock_.Now();
  EXPECT_EQ(store->Read().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_LT(clock_.Now() - start, kLongestCall);
  views.pop_back();
  EXPECT_TRUE(store->Read().ok());
}

TEST_F(PostgresStoreTest, ACommitLostOnItsWayIsMadeAgain) {
  Proxy proxy(Server().socket_path());
  options_.uri = proxy.uri();
  auto store = Open();
  proxy.CutNext(Proxy::Cut::kBeforeCommit);
  const auto committed = Put(*store, "a", "1", Condition::Absent());
  ASSERT_TRUE(committed.ok()) << committed.status();
  EXPECT_EQ(committed->revision, 1);
  EXPECT_EQ((*store->Read())->revision(), 1);
}

TEST_F(PostgresStoreTest, ACommitWhoseAnswerIsLostIsFound) {
  Proxy proxy(Server().socket_path());
  options_.uri = proxy.uri();
  auto store = Open();
  proxy.CutNext(Proxy::Cut::kAfterCommit);
  const auto committed = Put(*store, "a", "1", Condition::Absent());
  ASSERT_TRUE(committed.ok()) << committed.status();
  EXPECT_EQ(committed->revision, 1);
  EXPECT_EQ((*store->Read())->revision(), 1) << "made once";
}

TEST_F(PostgresStoreTest, ACommitThatCannotBeLookedUpIsNotCalledAFailure) {
  Proxy proxy(Server().socket_path());
  options_.uri = proxy.uri();
  auto store = Open();
  const Transaction transaction{{{"a", "1", Condition::Absent()}}, {"id", "fingerprint", "answer"}, {}};
  proxy.CutNext(Proxy::Cut::kAfterCommit, /*refuse=*/true);
  const auto start = clock_.Now();
  EXPECT_EQ(store->Commit(transaction).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(clock_.Now() - start, kLongestCall);
  proxy.Accept();
  // Its request id tells.
  TimeUntil([&] {
    const auto repeated = store->Commit(transaction);
    return repeated.ok() && repeated->repeated && repeated->revision == 1;
  });
}

// failures.md row 29: a standby that lacked commits was promoted.
TEST_F(PostgresStoreTest, LostCommitsMakeTheEpochAnew) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  ASSERT_TRUE(Put(*store, "a", "2").ok());
  Server().Sql("UPDATE " + options_.schema + ".meta SET revision = 1");
  EXPECT_EQ(Put(*store, "a", "3").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(Fatal().find("lost commits"), std::string::npos) << Fatal();
  EXPECT_NE(Meta("epoch"), store->epoch());
  EXPECT_EQ(Meta("revision"), "1");
}

TEST_F(PostgresStoreTest, LostCommitsAreNoticedWhenRevisionsHaveCaughtUp) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  ASSERT_TRUE(Put(*store, "a", "2").ok());
  // The standby had the first; three others have followed it there.
  Server().Sql("UPDATE " + options_.schema + ".commits SET token = 'another' WHERE revision = 2");
  Server().Sql("INSERT INTO " + options_.schema + ".commits VALUES(3, 'a third'), (4, 'a fourth')");
  Server().Sql("UPDATE " + options_.schema + ".meta SET revision = 4");
  TimeUntil([&] { return Put(*store, "a", "3").status().code() == absl::StatusCode::kUnavailable; });
  EXPECT_NE(Meta("epoch"), store->epoch());
  EXPECT_EQ(Meta("revision"), "4") << "nothing was written to it";
  TimeUntil([&] { return !Fatal().empty(); });
}

TEST_F(PostgresStoreTest, CommitsOfOthersAreMissedToo) {
  auto store = Open();
  auto other = Open();
  ASSERT_TRUE(Put(*other, "a", "1").ok());
  ASSERT_EQ((*store->Read())->revision(), 1);
  other.reset();
  Server().Sql("UPDATE " + options_.schema + ".commits SET token = 'another'");
  EXPECT_EQ(store->Read().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(PostgresStoreTest, ATokenThatIsKeptNoLongerIsNotMissed) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  const std::string& schema = options_.schema;
  // Of another replica's, in one step: of 10,000 commits more.
  const auto go_to = [&](int revision, const std::string& kept) {
    Server().Sql("BEGIN; DELETE FROM " + schema + ".commits WHERE revision < " + kept + "; UPDATE " + schema +
                 ".meta SET revision = " + std::to_string(revision) + "; COMMIT");
  };
  go_to(10'000, "1");
  EXPECT_TRUE(store->Read().ok());
  go_to(10'001, "2");
  EXPECT_TRUE(store->Read().ok());
  EXPECT_TRUE(Put(*store, "a", "2").ok());
}

// A commit holds the lock of `meta`: it takes a few round trips, whatever its size.
TEST_F(PostgresStoreTest, ALargeTransactionTakesNotMuchLongerThanASmallOne) {
  auto store = Open();
  constexpr int kRecords = 10'000;
  Transaction puts;
  Transaction changes;
  for (int i = 0; i < kRecords; ++i) {
    const std::string key = std::to_string(i);
    puts.writes.push_back({"a/" + key, std::string(1'000, 'x'), Condition::Absent()});
    changes.writes.push_back({"a/" + key, std::nullopt, Condition::At(1)});
    changes.writes.push_back({"b/" + key, "", Condition::None()});
  }
  const auto start = clock_.Now();
  ASSERT_EQ(store->Commit(puts)->revision, 1);
  const auto committed = store->Commit(changes);
  ASSERT_TRUE(committed.ok()) << committed.status();
  std::printf("%lld ms for 30,000 writes\n", static_cast<long long>((clock_.Now() - start) / milliseconds(1)));
  EXPECT_EQ(*(*store->Read())->Count("a/"), 0);
  EXPECT_EQ(*(*store->Read())->Count("b/"), kRecords);
  EXPECT_EQ((*store->Read())->ChangesSince(0)->size(), 3u * kRecords);
  EXPECT_EQ(Meta("changes"), std::to_string(3 * kRecords));
}

TEST_F(PostgresStoreTest, NoErrorSaysThePassword) {
  const TestFolder folder;
  const std::string file = folder.path() + "/password";
  std::ofstream(file) << "geheim\n";
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  for (const std::string uri :
       {"postgresql://gatepost:geheim@127.0.0.1:1/postgres",
        "postgresql://gatepost:geheim@127.0.0.1:1/postgres?no=such", "postgresql://gatepost:geheim@127.0.0.1:x:y/%zz",
        "postgresql://gatepost:geheim@/x?host=/nowhere", "postgresql://gatepost:geheim@/x?target_session_attrs=any"}) {
    StoreOptions options;
    options.database = uri;
    options.password_file = file;
    options.schema = "gatepost";
    const auto store = OpenRecordStore(options, clock_, random_);
    ASSERT_FALSE(store.ok());
    EXPECT_EQ(store.status().ToString().find("geheim"), std::string::npos) << store.status();
  }
}

TEST_F(PostgresStoreTest, APasswordFileThatIsNotThereIsRefusedByName) {
  options_.password_file = "/nowhere/password";
  const auto store = OpenPostgresStore(options_, clock_, random_);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(store.status().message().find("/nowhere/password"), absl::string_view::npos) << store.status();
}

// failures.md row 6: what was acknowledged is there after the writer's kill -9 and the server's end as by a crash, and
// revisions have no gap. 10 rounds of each; more in the background.
TEST_F(PostgresStoreTest, AcknowledgedCommitsSurviveKillNineOfTheWriterAndACrashOfTheServer) {
  Open();
  int64_t acknowledged = 0;
  for (int round = 0; round < 20; ++round) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(pipe_fds[0]);
      auto store = OpenPostgresStore(options_, clock_, random_);
      if (!store.ok()) _exit(1);
      while (true) {
        // Two records, which must be there together.
        const absl::StatusOr<std::unique_ptr<View>> view = (*store)->Read();
        if (!view.ok()) _exit(0);
        const int64_t next = (*view)->revision() + 1;
        const std::string text = std::to_string(next);
        const auto committed = (*store)->Commit({{{"a/" + text, text, {}}, {"b/" + text, text, {}}}, {}, {}});
        if (!committed.ok()) _exit(0);
        if (committed->revision != next) _exit(2);
        if (write(pipe_fds[1], &next, sizeof next) != sizeof next) _exit(3);
      }
    }
    close(pipe_fds[1]);
    for (int i = 0; i <= round % 7; ++i) ASSERT_EQ(read(pipe_fds[0], &acknowledged, sizeof acknowledged), 8);
    if (round % 2 == 0) {
      ASSERT_EQ(kill(child, SIGKILL), 0);
    } else {
      Server().Stop(SIGQUIT);
    }
    int status = 0;
    if (round % 2 == 1) kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, &status, 0), child);
    for (int64_t more = 0; read(pipe_fds[0], &more, sizeof more) == sizeof more;) acknowledged = more;
    close(pipe_fds[0]);
    if (round % 2 == 1) Server().Start();

    auto store = Open();
    ASSERT_NE(store, nullptr);
    auto view = *store->Read();
    ASSERT_GE(view->revision(), acknowledged);
    ASSERT_LE(view->revision(), acknowledged + 1) << "at most the one that was not acknowledged";
    EXPECT_EQ(*view->Count("a/"), view->revision());
    EXPECT_EQ(*view->Count("b/"), view->revision());
  }
}

}  // namespace
}  // namespace gatepost::store
