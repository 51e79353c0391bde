// Longer than most sources: the commit with its fates and the view are one thing and share the rules of `meta`.
#include "services/store/postgres_store.h"

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/base/backoff.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/store/postgres_connection.h"
#include "services/store/postgres_follower.h"
#include "services/store/postgres_pool.h"
#include "services/store/postgres_schema.h"

namespace gatepost::store {
namespace {

// The time of a call, from its beginning: for its statements, for COMMIT, and to find out what became of that.
constexpr std::chrono::milliseconds kCallTime{3'000};
constexpr std::chrono::milliseconds kCommitTime{4'000};
constexpr std::chrono::milliseconds kResolveTime{5'500};
constexpr int kTries = 3;
// Tokens of so many commits are kept; far more than happen within kResolveTime.
constexpr int64_t kTokensKept = 10'000;
constexpr size_t kTokenCharacters = 26;
// Of one set of writes: what a statement's parameters take at most, but for one write that is larger.
constexpr size_t kSetOctets = 4 << 20;

// How `meta` is read. Not READ WRITE: a database that its administrator made read-only by default is not written to.
enum class Reading { kLook, kBeginRead, kBeginWrite };

// With the token of its revision, and that of the revision `mark`. (Both are of the statement's beginning: one that
// waited for the lock may not see that of the revision, which is then NULL.)
std::string MetaSql(Reading reading, int64_t mark) {
  const char* begin = reading == Reading::kBeginRead    ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                      : reading == Reading::kBeginWrite ? "BEGIN ISOLATION LEVEL READ COMMITTED; "
                                                        : "";
  return base::StrCat(begin,
                      "SELECT revision, changes_from, changes, epoch,"
                      " (SELECT encode(token, 'escape') FROM commits WHERE commits.revision = meta.revision),"
                      " (SELECT encode(token, 'escape') FROM commits WHERE commits.revision = ",
                      mark, ") FROM meta", reading == Reading::kBeginWrite ? " FOR UPDATE" : "");
}

// Whole sets at once: a transaction holds the lock of `meta`, and every statement costs it a round trip.
constexpr const char* kPut =
    "WITH written AS (INSERT INTO records(key, value, revision)"
    " SELECT key, value, $3 FROM unnest($1::bytea[], $2::bytea[]) AS put(key, value) ON CONFLICT (key) DO UPDATE"
    " SET value = excluded.value, revision = excluded.revision RETURNING key)"
    " INSERT INTO changes(revision, key) SELECT $3, key FROM written ON CONFLICT DO NOTHING";
constexpr const char* kDelete =
    "WITH deleted AS (DELETE FROM records WHERE key = ANY($1::bytea[]) RETURNING key)"
    " INSERT INTO changes(revision, key) SELECT $2, key FROM deleted ON CONFLICT DO NOTHING";
constexpr const char* kFinish =
    "WITH old AS (DELETE FROM commits WHERE revision <= $5),"
    " token AS (INSERT INTO commits(revision, token) VALUES($1, $4)),"
    " now AS (UPDATE meta SET revision = $1, changes_from = $2, changes = $3)"
    " SELECT pg_notify(current_schema(), ($1::bigint)::text)";

// A page: `total` counts it with the one record more that says whether there are others, `octets` sums up to each.
constexpr const char* kListWithin =
    "SELECT key, value, revision, total FROM (SELECT key, value, revision, count(*) OVER () AS total,"
    " row_number() OVER so_far AS number, sum(length(key) + length(value)) OVER so_far AS octets"
    " FROM (SELECT * FROM records WHERE key >= $1 AND key > $2 AND key < $5 ORDER BY key LIMIT $3) AS page"
    " WINDOW so_far AS (ORDER BY key ROWS UNBOUNDED PRECEDING)) AS summed"
    " WHERE number = 1 OR octets <= $4 ORDER BY key";
constexpr const char* kListToTheEnd =
    "SELECT key, value, revision, total FROM (SELECT key, value, revision, count(*) OVER () AS total,"
    " row_number() OVER so_far AS number, sum(length(key) + length(value)) OVER so_far AS octets"
    " FROM (SELECT * FROM records WHERE key >= $1 AND key > $2 ORDER BY key LIMIT $3) AS page"
    " WINDOW so_far AS (ORDER BY key ROWS UNBOUNDED PRECEDING)) AS summed"
    " WHERE number = 1 OR octets <= $4 ORDER BY key";

int64_t ToSeconds(base::WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

bool IsName(std::string_view text) {
  return !text.empty() && text.size() < 64 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

// How many of the writes, from the first, can be made as one set: each of another key, so that their order among
// themselves does not matter, and within kSetOctets.
size_t SetSize(std::span<const Write> writes) {
  std::set<std::string_view> keys;
  size_t octets = 0;
  for (const Write& write : writes) {
    octets += write.key.size() + (write.value ? write.value->size() : 0);
    if (!keys.empty() && octets > kSetOctets) break;
    if (!keys.insert(write.key).second) break;
  }
  return keys.size();
}

// The row of `meta`.
struct Meta {
  int64_t revision = 0;
  int64_t changes_from = 0;
  int64_t changes = 0;  // Rows in the log of changes.
};

// By which a history is known again: its commit of this revision wrote this token.
struct Mark {
  int64_t revision = 0;  // 0: none; no commit has it.
  std::string token;
};

class PostgresStore : public RecordStore {
 public:
  PostgresStore(const PostgresOptions& options, const base::Clock& clock, base::Random& random)
      : options_(options),
        clock_(clock),
        random_(random),
        pool_({options.uri, options.password_file, options.schema}, options.max_connections, clock, random) {}

  absl::Status Open();

  const std::string& epoch() const override { return epoch_; }
  absl::StatusOr<std::unique_ptr<View>> Read() override;
  absl::StatusOr<Committed> Commit(const Transaction& transaction) override;
  void SetListener(Listener listener) override {
    absl::MutexLock lock(&listener_mutex_);
    listener_ = std::move(listener);
  }

  // Ends the connection's transaction and gives it back.
  void End(std::unique_ptr<PostgresConnection> connection);
  base::MonotonicTime CallDeadline() const { return clock_.Now() + kCallTime; }

 private:
  // Judges, too, whether the history is still the one that was opened.
  absl::StatusOr<Meta> ReadMeta(PostgresConnection& connection, Reading reading, base::MonotonicTime deadline);
  absl::Status RefuseHistory(PostgresConnection& connection, bool lost);
  void Remember(const Mark& mark) ABSL_LOCKS_EXCLUDED(mark_mutex_);

  // One attempt. `*again`: nothing was written, and it may be tried again.
  absl::StatusOr<Committed> TryCommit(const Transaction& transaction, base::MonotonicTime start, bool* again);
  absl::StatusOr<Committed> WriteAll(PostgresConnection& connection, const Transaction& transaction,
                                     std::string_view token, base::MonotonicTime deadline);
  absl::StatusOr<std::optional<Committed>> FindRequest(PostgresConnection& connection, const RequestId& request,
                                                       int64_t now, base::MonotonicTime deadline);
  // Makes writes of which no two are of one key. How many changes it was.
  absl::StatusOr<int64_t> Apply(PostgresConnection& connection, std::span<const Write> writes, int64_t revision,
                                base::MonotonicTime deadline);
  absl::Status TrimChanges(PostgresConnection& connection, Meta* meta, base::MonotonicTime deadline);
  // The answer to COMMIT was lost: is it written?
  absl::StatusOr<bool> IsWritten(int64_t revision, std::string_view token, base::MonotonicTime deadline);

  void Tell(int64_t revision);
  // The follower's: `said` is the revision of a commit, of whichever replica.
  absl::Status Hear(PostgresConnection& connection, const std::optional<std::string>& said);

  const PostgresOptions options_;
  const base::Clock& clock_;
  base::Random& random_;
  PostgresPool pool_;
  std::string epoch_;
  std::atomic<int64_t> seen_ = 0;  // The highest revision that was read or written.
  std::atomic<bool> refused_ = false;
  absl::Mutex mark_mutex_;
  Mark mark_ ABSL_GUARDED_BY(mark_mutex_);  // Of the highest revision whose token was read or written.

  absl::Mutex listener_mutex_;  // Held while the listener runs.
  Listener listener_ ABSL_GUARDED_BY(listener_mutex_);
  int64_t told_ ABSL_GUARDED_BY(listener_mutex_) = 0;

  std::unique_ptr<PostgresFollower> follower_;  // Last: it calls what stands above.
};

class PostgresView : public View {
 public:
  PostgresView(PostgresStore& store, std::unique_ptr<PostgresConnection> connection, const Meta& meta)
      : store_(store), connection_(std::move(connection)), meta_(meta) {}
  ~PostgresView() override { store_.End(std::move(connection_)); }

  int64_t revision() const override { return meta_.revision; }

  absl::StatusOr<Record> Get(std::string_view key) override {
    GATEPOST_ASSIGN_OR_RETURN(const PostgresRows rows,
                              Run("SELECT value, revision FROM records WHERE key = $1", {key}));
    if (rows.size() == 0) return absl::NotFoundError("no such record");
    return Record{std::string(key), rows.Octets(0, 0), rows.Int(0, 1)};
  }

  absl::StatusOr<std::vector<Record>> List(std::string_view prefix, std::string_view after, size_t max_records,
                                           size_t max_bytes, bool* more) override {
    const std::string end = PrefixEnd(prefix);
    std::vector<PostgresParameter> parameters{prefix, after, static_cast<int64_t>(max_records) + 1,
                                              static_cast<int64_t>(max_bytes)};
    if (!end.empty()) parameters.push_back(end);
    GATEPOST_ASSIGN_OR_RETURN(const PostgresRows rows, Run(end.empty() ? kListToTheEnd : kListWithin, parameters));
    std::vector<Record> records;
    for (int row = 0; row < rows.size() && records.size() < max_records; ++row)
      records.push_back({rows.Octets(row, 0), rows.Octets(row, 1), rows.Int(row, 2)});
    *more = rows.size() > 0 && static_cast<int64_t>(records.size()) < rows.Int(0, 3);
    return records;
  }

  absl::StatusOr<int64_t> Count(std::string_view prefix) override {
    const std::string end = PrefixEnd(prefix);
    GATEPOST_ASSIGN_OR_RETURN(const PostgresRows rows,
                              end.empty()
                                  ? Run("SELECT count(*) FROM records WHERE key >= $1", {prefix})
                                  : Run("SELECT count(*) FROM records WHERE key >= $1 AND key < $2", {prefix, end}));
    return rows.Int(0, 0);
  }

  absl::StatusOr<std::vector<Change>> ChangesSince(int64_t revision) override {
    if (revision < meta_.changes_from || revision > meta_.revision)
      return absl::OutOfRangeError("the log of changes does not hold this revision");
    GATEPOST_ASSIGN_OR_RETURN(
        const PostgresRows rows,
        Run("SELECT revision, key FROM changes WHERE revision > $1 ORDER BY revision, key", {revision}));
    std::vector<Change> changes;
    for (int row = 0; row < rows.size(); ++row) changes.push_back({rows.Int(row, 0), rows.Octets(row, 1)});
    return changes;
  }

 private:
  absl::StatusOr<PostgresRows> Run(const char* sql, const std::vector<PostgresParameter>& parameters) {
    return connection_->Run(sql, parameters, store_.CallDeadline());
  }

  PostgresStore& store_;
  std::unique_ptr<PostgresConnection> connection_;
  const Meta meta_;
};

absl::Status PostgresStore::Open() {
  if (!IsName(options_.schema)) return absl::FailedPreconditionError("a schema's name is a-z, 0-9 and _");
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<PostgresConnection> connection,
                            PostgresConnection::Open(pool_.target(), clock_));
  GATEPOST_RETURN_IF_ERROR(MigratePostgres(*connection, options_.schema, options_.new_epoch, clock_, random_));
  GATEPOST_ASSIGN_OR_RETURN(const PostgresRows rows, connection->RunAll(MetaSql(Reading::kLook, 0), CallDeadline()));
  if (rows.size() != 1) return absl::DataLossError("no row in meta");
  epoch_ = rows.Octets(0, 3);
  seen_ = rows.Int(0, 0);
  Remember({seen_, rows.Octets(0, 4)});
  {
    absl::MutexLock lock(&listener_mutex_);
    told_ = seen_;
  }
  follower_ = std::make_unique<PostgresFollower>(
      pool_.target(), options_.schema, clock_, random_,
      [this](PostgresConnection& listening, const std::optional<std::string>& said) { return Hear(listening, said); });
  return absl::OkStatus();
}

void PostgresStore::Remember(const Mark& mark) {
  absl::MutexLock lock(&mark_mutex_);
  if (mark.revision > mark_.revision && !mark.token.empty()) mark_ = mark;
}

absl::StatusOr<Meta> PostgresStore::ReadMeta(PostgresConnection& connection, Reading reading,
                                             base::MonotonicTime deadline) {
  // Before the database is asked: it must know of these.
  const int64_t seen = seen_;
  Mark mark;
  {
    absl::MutexLock lock(&mark_mutex_);
    mark = mark_;
  }
  GATEPOST_ASSIGN_OR_RETURN(const PostgresRows rows, connection.RunAll(MetaSql(reading, mark.revision), deadline));
  if (rows.size() != 1) return absl::UnavailableError("the database: no row in meta");
  const Meta meta{rows.Int(0, 0), rows.Int(0, 1), rows.Int(0, 2)};
  if (rows.Octets(0, 3) != epoch_) return RefuseHistory(connection, /*lost=*/false);
  // Another commit in the place of one that was seen: the revisions have caught up since it was lost.
  const bool marked = meta.revision >= mark.revision + kTokensKept || rows.Octets(0, 5) == mark.token;
  if (meta.revision < seen || !marked) return RefuseHistory(connection, /*lost=*/true);
  Remember({meta.revision, rows.Octets(0, 4)});
  for (int64_t known = seen_; known < meta.revision && !seen_.compare_exchange_weak(known, meta.revision);) {
  }
  return meta;
}

absl::Status PostgresStore::RefuseHistory(PostgresConnection& connection, bool lost) {
  std::string_view reason = "the database's epoch has changed: it was restored, or other replicas found commits lost";
  if (lost) {
    reason = "the database has lost commits that were acknowledged (failed over to a standby behind?): epoch made anew";
    // So that whoever knows the lost ones, edges and etags, takes nothing that follows for their continuation.
    const base::MonotonicTime deadline = CallDeadline();
    if (connection.in_transaction()) GATEPOST_RETURN_IF_ERROR(connection.RunAll("ROLLBACK", deadline).status());
    GATEPOST_RETURN_IF_ERROR(
        connection
            .RunAll(base::StrCat("UPDATE meta SET epoch = '", base::RandomId(random_, kEpochCharacters),
                                 "' WHERE epoch = '", epoch_, "'"),
                    deadline)
            .status());
  }
  if (!refused_.exchange(true) && options_.on_fatal) options_.on_fatal(reason);
  return absl::UnavailableError(base::ToAbsl(reason));
}

void PostgresStore::End(std::unique_ptr<PostgresConnection> connection) {
  // What is left of it is a read, or must not be: no need to know how it ended.
  if (connection->in_transaction() && !connection->Broken())
    connection->RunAll("ROLLBACK", CallDeadline()).IgnoreError();
  pool_.Return(std::move(connection));
}

absl::StatusOr<std::unique_ptr<View>> PostgresStore::Read() {
  const base::MonotonicTime deadline = CallDeadline();
  for (int attempt = 1;; ++attempt) {
    GATEPOST_ASSIGN_OR_RETURN(std::unique_ptr<PostgresConnection> connection, pool_.Take(deadline));
    absl::StatusOr<Meta> meta = ReadMeta(*connection, Reading::kBeginRead, deadline);
    if (meta.ok()) return std::make_unique<PostgresView>(*this, std::move(connection), *meta);
    // It may have idled while the server was restarted.
    const bool again = connection->Broken() && attempt < kTries && clock_.Now() < deadline;
    End(std::move(connection));
    if (!again) return meta.status();
  }
}

absl::StatusOr<std::optional<Committed>> PostgresStore::FindRequest(PostgresConnection& connection,
                                                                    const RequestId& request, int64_t now,
                                                                    base::MonotonicTime deadline) {
  const PostgresParameter expired[] = {now};
  GATEPOST_RETURN_IF_ERROR(connection.Run("DELETE FROM requests WHERE expires <= $1", expired, deadline).status());
  const PostgresParameter id[] = {request.id};
  GATEPOST_ASSIGN_OR_RETURN(
      const PostgresRows rows,
      connection.Run("SELECT fingerprint, answer, revision FROM requests WHERE id = $1", id, deadline));
  if (rows.size() == 0) return std::nullopt;
  if (rows.Octets(0, 0) != request.fingerprint)
    return absl::InvalidArgumentError("the request id was used for another request");
  return Committed{rows.Int(0, 2), true, rows.Octets(0, 1)};
}

absl::StatusOr<int64_t> PostgresStore::Apply(PostgresConnection& connection, std::span<const Write> writes,
                                             int64_t revision, base::MonotonicTime deadline) {
  PostgresArray judged;
  PostgresArray put_keys;
  PostgresArray put_values;
  PostgresArray deleted;
  for (const Write& write : writes) {
    if (write.condition.kind != Condition::Kind::kNone) judged.Add(write.key);
    if (write.value) {
      put_keys.Add(write.key);
      put_values.Add(*write.value);
    } else {
      deleted.Add(write.key);
    }
  }
  if (!judged.empty()) {
    const PostgresParameter keys[] = {judged};
    GATEPOST_ASSIGN_OR_RETURN(
        const PostgresRows rows,
        connection.Run("SELECT key, revision FROM records WHERE key = ANY($1::bytea[])", keys, deadline));
    std::map<std::string, int64_t> revisions;
    for (int row = 0; row < rows.size(); ++row) revisions[rows.Octets(row, 0)] = rows.Int(row, 1);
    for (const Write& write : writes) {
      if (write.condition.kind == Condition::Kind::kNone) continue;
      const auto record = revisions.find(write.key);
      const bool present = record != revisions.end();
      GATEPOST_RETURN_IF_ERROR(CheckCondition(write.condition, present, present ? record->second : 0));
    }
  }
  int64_t changes = 0;
  if (!put_keys.empty()) {
    const PostgresParameter put[] = {put_keys, put_values, revision};
    GATEPOST_ASSIGN_OR_RETURN(const PostgresRows rows, connection.Run(kPut, put, deadline));
    changes += rows.affected();
  }
  if (!deleted.empty()) {
    const PostgresParameter remove[] = {deleted, revision};
    GATEPOST_ASSIGN_OR_RETURN(const PostgresRows rows, connection.Run(kDelete, remove, deadline));
    changes += rows.affected();
  }
  return changes;
}

absl::Status PostgresStore::TrimChanges(PostgresConnection& connection, Meta* meta, base::MonotonicTime deadline) {
  const int64_t limit = static_cast<int64_t>(options_.max_changes);
  if (meta->changes <= limit) return absl::OkStatus();
  // A revision is in the log with all of its changes or not at all. A tenth more than needed goes, so that this is
  // rare.
  const PostgresParameter keep[] = {limit - limit / 10};
  GATEPOST_ASSIGN_OR_RETURN(
      const PostgresRows cut,
      connection.Run("SELECT revision FROM changes ORDER BY revision DESC, key DESC LIMIT 1 OFFSET $1", keep,
                     deadline));
  if (cut.size() == 0) return absl::OkStatus();
  meta->changes_from = cut.Int(0, 0);
  const PostgresParameter until[] = {meta->changes_from};
  GATEPOST_ASSIGN_OR_RETURN(const PostgresRows deleted,
                            connection.Run("DELETE FROM changes WHERE revision <= $1", until, deadline));
  meta->changes -= deleted.affected();
  return absl::OkStatus();
}

absl::StatusOr<Committed> PostgresStore::WriteAll(PostgresConnection& connection, const Transaction& transaction,
                                                  std::string_view token, base::MonotonicTime deadline) {
  GATEPOST_ASSIGN_OR_RETURN(Meta meta, ReadMeta(connection, Reading::kBeginWrite, deadline));
  const RequestId& request = transaction.request_id;
  const int64_t now = ToSeconds(clock_.WallNow());
  if (!request.id.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(std::optional<Committed> repeated, FindRequest(connection, request, now, deadline));
    if (repeated) return *std::move(repeated);
  }
  if (transaction.store_revision && *transaction.store_revision != meta.revision)
    return absl::FailedPreconditionError("the store has changed");
  ++meta.revision;
  for (std::span<const Write> left = transaction.writes; !left.empty();) {
    const size_t size = SetSize(left);
    GATEPOST_ASSIGN_OR_RETURN(const int64_t changes, Apply(connection, left.first(size), meta.revision, deadline));
    meta.changes += changes;
    left = left.subspan(size);
  }
  if (!request.id.empty()) {
    const PostgresParameter kept[] = {request.id, request.fingerprint, request.answer, meta.revision,
                                      now + std::chrono::seconds(kRequestIdLifetime).count()};
    GATEPOST_RETURN_IF_ERROR(
        connection
            .Run("INSERT INTO requests(id, fingerprint, answer, revision, expires) VALUES($1, $2, $3, $4, $5)", kept,
                 deadline)
            .status());
  }
  GATEPOST_RETURN_IF_ERROR(TrimChanges(connection, &meta, deadline));
  const PostgresParameter finish[] = {meta.revision, meta.changes_from, meta.changes, token,
                                      meta.revision - kTokensKept};
  GATEPOST_RETURN_IF_ERROR(connection.Run(kFinish, finish, deadline).status());
  return Committed{meta.revision, false, {}};
}

absl::StatusOr<bool> PostgresStore::IsWritten(int64_t revision, std::string_view token, base::MonotonicTime deadline) {
  GATEPOST_ASSIGN_OR_RETURN(std::unique_ptr<PostgresConnection> connection, pool_.Take(deadline));
  const auto look = [&]() -> absl::StatusOr<bool> {
    // With the lock: the server may still be at it.
    GATEPOST_ASSIGN_OR_RETURN(const Meta meta, ReadMeta(*connection, Reading::kBeginWrite, deadline));
    if (meta.revision >= revision + kTokensKept) return absl::UnavailableError("the token is kept no longer");
    const PostgresParameter parameters[] = {revision, token};
    GATEPOST_ASSIGN_OR_RETURN(
        const PostgresRows rows,
        connection->Run("SELECT 1 FROM commits WHERE revision = $1 AND token = $2", parameters, deadline));
    return rows.size() > 0;
  };
  absl::StatusOr<bool> written = look();
  End(std::move(connection));
  return written;
}

absl::StatusOr<Committed> PostgresStore::TryCommit(const Transaction& transaction, base::MonotonicTime start,
                                                   bool* again) {
  *again = false;
  GATEPOST_ASSIGN_OR_RETURN(std::unique_ptr<PostgresConnection> connection, pool_.Take(start + kCallTime));
  const std::string token = base::RandomId(random_, kTokenCharacters);
  const absl::StatusOr<Committed> written = WriteAll(*connection, transaction, token, start + kCallTime);
  if (!written.ok() || written->repeated) {
    *again = !written.ok() && (absl::IsCancelled(written.status()) || connection->Broken());
    End(std::move(connection));
    return written;
  }
  const absl::Status committed = connection->RunAll("COMMIT", start + kCommitTime).status();
  const bool broken = connection->Broken();
  pool_.Return(std::move(connection));
  if (committed.ok()) {
    Remember({written->revision, token});
    return written;
  }
  if (!broken) return committed;  // The server said no: all is undone.
  base::Backoff backoff = PostgresBackoff();
  for (; clock_.Now() < start + kResolveTime; std::this_thread::sleep_for(backoff.Next(random_))) {
    const absl::StatusOr<bool> is_written = IsWritten(written->revision, token, start + kResolveTime);
    if (is_written.ok() && *is_written) {
      Remember({written->revision, token});
      return written;
    }
    if (is_written.ok()) {
      *again = true;
      return committed;
    }
  }
  return absl::DeadlineExceededError("the database was lost during the commit: nobody knows whether it was written");
}

absl::StatusOr<Committed> PostgresStore::Commit(const Transaction& transaction) {
  const base::MonotonicTime start = clock_.Now();
  absl::StatusOr<Committed> committed;
  bool again = true;
  for (int attempt = 0; again && attempt < kTries && clock_.Now() < start + kCallTime; ++attempt)
    committed = TryCommit(transaction, start, &again);
  // In conflict with others as often as it was tried.
  if (absl::IsCancelled(committed.status())) return absl::UnavailableError(committed.status().message());
  if (committed.ok() && !committed->repeated) Tell(committed->revision);
  return committed;
}

void PostgresStore::Tell(int64_t revision) {
  for (int64_t known = seen_; known < revision && !seen_.compare_exchange_weak(known, revision);) {
  }
  absl::MutexLock lock(&listener_mutex_);
  if (revision <= told_) return;
  told_ = revision;
  if (listener_) listener_(revision);
}

absl::Status PostgresStore::Hear(PostgresConnection& connection, const std::optional<std::string>& said) {
  int64_t revision = 0;
  if (said) std::from_chars(said->data(), said->data() + said->size(), revision);
  // Of a commit of our own, which was told already.
  if (!said || revision > seen_) {
    GATEPOST_ASSIGN_OR_RETURN(const Meta meta, ReadMeta(connection, Reading::kLook, CallDeadline()));
    revision = meta.revision;
  }
  Tell(revision);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordStore>> OpenPostgresStore(const PostgresOptions& options, const base::Clock& clock,
                                                               base::Random& random) {
  auto store = std::make_unique<PostgresStore>(options, clock, random);
  GATEPOST_RETURN_IF_ERROR(store->Open());
  return store;
}

}  // namespace gatepost::store
