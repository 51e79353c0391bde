#include "services/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/store/sqlite_connection.h"

namespace gatepost::store {
namespace {

// Migration i leads from schema version i to i + 1; what was released is never edited, only added to.
constexpr const char* kMigrations[] = {
    R"(
    CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK(id = 0), epoch TEXT NOT NULL, revision INTEGER NOT NULL,
                      changes_from INTEGER NOT NULL) STRICT;
    CREATE TABLE records(key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, revision INTEGER NOT NULL) STRICT;
    CREATE TABLE changes(revision INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY(revision, key)) STRICT, WITHOUT ROWID;
    CREATE TABLE requests(id TEXT NOT NULL UNIQUE, fingerprint BLOB NOT NULL, answer BLOB NOT NULL,
                          revision INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT;
    CREATE INDEX requests_expires ON requests(expires);
    )",
};
static_assert(std::size(kMigrations) == kSqliteSchemaVersion);

constexpr size_t kIdleReaders = 8;

int64_t ToSeconds(base::WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

absl::Status FileError(std::string_view doing, const std::string& path) {
  return absl::UnavailableError(base::StrCat(doing, " ", path, ": ", std::strerror(errno)));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

class SqliteStore : public RecordStore {
 public:
  SqliteStore(const SqliteOptions& options, const base::Clock& clock, std::unique_ptr<FileDescriptor> lock)
      : options_(options), clock_(clock), lock_(std::move(lock)) {}

  absl::Status Open(base::Random& random);

  const std::string& epoch() const override { return epoch_; }
  absl::StatusOr<std::unique_ptr<View>> Read() override;
  absl::StatusOr<Committed> Commit(const Transaction& transaction) override;
  void SetListener(Listener listener) override {
    absl::MutexLock lock(&listener_mutex_);
    listener_ = std::move(listener);
  }

  void Return(std::unique_ptr<SqliteConnection> reader) {
    absl::MutexLock lock(&readers_mutex_);
    if (readers_.size() < kIdleReaders) readers_.push_back(std::move(reader));
  }

 private:
  absl::Status Migrate() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_);
  absl::StatusOr<Committed> WriteAll(const Transaction& transaction, int64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_);
  absl::StatusOr<std::optional<Committed>> FindRequest(const RequestId& request, int64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_);
  absl::Status Apply(const Write& write, int64_t revision) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_);
  absl::Status TrimChanges() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_);
  absl::Status CommitOrRollBack() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_);

  const SqliteOptions options_;
  const base::Clock& clock_;
  const std::unique_ptr<FileDescriptor> lock_;
  std::string epoch_;

  absl::Mutex writer_mutex_;
  std::unique_ptr<SqliteConnection> writer_ ABSL_GUARDED_BY(writer_mutex_);
  int64_t changes_ ABSL_GUARDED_BY(writer_mutex_) = 0;  // Rows in the log of changes, about.

  absl::Mutex readers_mutex_;
  std::vector<std::unique_ptr<SqliteConnection>> readers_ ABSL_GUARDED_BY(readers_mutex_);

  absl::Mutex listener_mutex_;  // Held while the listener runs.
  Listener listener_ ABSL_GUARDED_BY(listener_mutex_);
};

class SqliteView : public View {
 public:
  SqliteView(SqliteStore& store, std::unique_ptr<SqliteConnection> reader, int64_t revision)
      : store_(store), reader_(std::move(reader)), revision_(revision) {}
  ~SqliteView() override {
    if (reader_->Prepare("COMMIT").Step() == SQLITE_DONE) store_.Return(std::move(reader_));
  }

  int64_t revision() const override { return revision_; }

  absl::StatusOr<Record> Get(std::string_view key) override {
    SqliteStatement get = reader_->Prepare("SELECT value, revision FROM records WHERE key = ?1");
    const int code = get.BindText(1, key).Step();
    if (code == SQLITE_DONE) return absl::NotFoundError("no such record");
    if (code != SQLITE_ROW) return reader_->Error(code, "get");
    return Record{std::string(key), get.Bytes(0), get.Int(1)};
  }

  absl::StatusOr<std::vector<Record>> List(std::string_view prefix, std::string_view after, size_t max_records,
                                           size_t max_bytes, bool* more) override {
    const std::string end = PrefixEnd(prefix);
    SqliteStatement list = reader_->Prepare(
        "SELECT key, value, revision FROM records WHERE key >= ?1 AND key > ?2 AND (?3 = '' OR key < ?3) ORDER BY key");
    list.BindText(1, prefix).BindText(2, after).BindText(3, end);
    std::vector<Record> records;
    size_t bytes = 0;
    *more = false;
    int code;
    while ((code = list.Step()) == SQLITE_ROW) {
      if (records.size() == max_records) {
        *more = true;
        return records;
      }
      Record record{list.Bytes(0), list.Bytes(1), list.Int(2)};
      bytes += record.key.size() + record.value.size();
      if (!records.empty() && bytes > max_bytes) {
        *more = true;
        return records;
      }
      records.push_back(std::move(record));
    }
    if (code != SQLITE_DONE) return reader_->Error(code, "list");
    return records;
  }

  absl::StatusOr<int64_t> Count(std::string_view prefix) override {
    const std::string end = PrefixEnd(prefix);
    SqliteStatement count =
        reader_->Prepare("SELECT count(*) FROM records WHERE key >= ?1 AND (?2 = '' OR key < ?2)");
    const int code = count.BindText(1, prefix).BindText(2, end).Step();
    if (code != SQLITE_ROW) return reader_->Error(code, "count");
    return count.Int(0);
  }

  absl::StatusOr<std::vector<Change>> ChangesSince(int64_t revision) override {
    GATEPOST_ASSIGN_OR_RETURN(const int64_t from, reader_->QueryInt("SELECT changes_from FROM meta"));
    if (revision < from || revision > revision_)
      return absl::OutOfRangeError("the log of changes does not hold this revision");
    SqliteStatement select =
        reader_->Prepare("SELECT revision, key FROM changes WHERE revision > ?1 ORDER BY revision, key");
    select.Bind(1, revision);
    std::vector<Change> changes;
    int code;
    while ((code = select.Step()) == SQLITE_ROW) changes.push_back({select.Int(0), select.Bytes(1)});
    if (code != SQLITE_DONE) return reader_->Error(code, "changes");
    return changes;
  }

 private:
  SqliteStore& store_;
  std::unique_ptr<SqliteConnection> reader_;
  const int64_t revision_;
};

absl::Status SqliteStore::Migrate() {
  GATEPOST_ASSIGN_OR_RETURN(const int64_t id, writer_->QueryInt("PRAGMA application_id"));
  GATEPOST_ASSIGN_OR_RETURN(const int64_t version, writer_->QueryInt("PRAGMA user_version"));
  GATEPOST_ASSIGN_OR_RETURN(const int64_t tables, writer_->QueryInt("SELECT count(*) FROM sqlite_schema"));
  const bool fresh = version == 0 && tables == 0;
  if (!fresh && static_cast<uint32_t>(id) != options_.application_id)
    return absl::FailedPreconditionError(base::StrCat(options_.path, " is not a database of this program"));
  if (version > kSqliteSchemaVersion) {
    return absl::FailedPreconditionError(base::StrCat(options_.path, " has schema version ", version,
                                                      ", this program knows version ", kSqliteSchemaVersion,
                                                      " at most: run the release that wrote it, or a newer one"));
  }
  for (int64_t step = version; step < kSqliteSchemaVersion; ++step) {
    absl::Status status = writer_->Execute(
        base::StrCat("BEGIN IMMEDIATE;", kMigrations[step], "PRAGMA user_version=", step + 1,
                     ";PRAGMA application_id=", static_cast<int64_t>(options_.application_id), ";COMMIT"));
    if (!status.ok()) {
      if (writer_->in_transaction()) writer_->ExecuteRaw("ROLLBACK");
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::Open(base::Random& random) {
  absl::MutexLock lock(&writer_mutex_);
  GATEPOST_ASSIGN_OR_RETURN(writer_, SqliteConnection::Open(options_.path));
  GATEPOST_RETURN_IF_ERROR(Migrate());
  if (options_.max_pages > 0)
    GATEPOST_RETURN_IF_ERROR(writer_->Execute(base::StrCat("PRAGMA max_page_count=", options_.max_pages)));
  const std::string fresh_epoch = base::RandomId(random, 26);
  SqliteStatement insert = writer_->Prepare(
      "INSERT INTO meta VALUES(0, ?1, 0, 0) ON CONFLICT(id) DO UPDATE SET epoch = excluded.epoch WHERE ?2");
  if (const int code = insert.BindText(1, fresh_epoch).Bind(2, options_.new_epoch ? 1 : 0).Step(); code != SQLITE_DONE)
    return writer_->Error(code, "make the epoch");
  SqliteStatement select = writer_->Prepare("SELECT epoch FROM meta");
  if (const int code = select.Step(); code != SQLITE_ROW) return writer_->Error(code, "read the epoch");
  epoch_ = select.Bytes(0);
  GATEPOST_ASSIGN_OR_RETURN(changes_, writer_->QueryInt("SELECT count(*) FROM changes"));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<View>> SqliteStore::Read() {
  std::unique_ptr<SqliteConnection> reader;
  {
    absl::MutexLock lock(&readers_mutex_);
    if (!readers_.empty()) {
      reader = std::move(readers_.back());
      readers_.pop_back();
    }
  }
  if (reader == nullptr) {
    GATEPOST_ASSIGN_OR_RETURN(reader, SqliteConnection::Open(options_.path));
  }
  if (const int code = reader->Prepare("BEGIN").Step(); code != SQLITE_DONE) return reader->Error(code, "begin");
  // The first SELECT fixes what the whole transaction sees.
  absl::StatusOr<int64_t> revision = reader->QueryInt("SELECT revision FROM meta");
  if (!revision.ok()) return revision.status();
  return std::make_unique<SqliteView>(*this, std::move(reader), *revision);
}

absl::StatusOr<std::optional<Committed>> SqliteStore::FindRequest(const RequestId& request, int64_t now) {
  SqliteStatement trim = writer_->Prepare("DELETE FROM requests WHERE expires <= ?1");
  if (const int code = trim.Bind(1, now).Step(); code != SQLITE_DONE) return writer_->Error(code, "trim requests");
  SqliteStatement find = writer_->Prepare("SELECT fingerprint, answer, revision FROM requests WHERE id = ?1");
  const int code = find.BindText(1, request.id).Step();
  if (code == SQLITE_DONE) return std::nullopt;
  if (code != SQLITE_ROW) return writer_->Error(code, "find the request");
  if (find.Bytes(0) != request.fingerprint)
    return absl::InvalidArgumentError("the request id was used for another request");
  return Committed{find.Int(2), true, find.Bytes(1)};
}

absl::Status SqliteStore::Apply(const Write& write, int64_t revision) {
  SqliteStatement get = writer_->Prepare("SELECT revision FROM records WHERE key = ?1");
  const int found = get.BindText(1, write.key).Step();
  if (found != SQLITE_ROW && found != SQLITE_DONE) return writer_->Error(found, "read the record");
  const bool present = found == SQLITE_ROW;
  GATEPOST_RETURN_IF_ERROR(CheckCondition(write.condition, present, present ? get.Int(0) : 0));
  if (!write.value && !present) return absl::OkStatus();
  int code;
  if (write.value) {
    SqliteStatement put = writer_->Prepare(
        "INSERT INTO records(key, value, revision) VALUES(?1, ?2, ?3)"
        " ON CONFLICT(key) DO UPDATE SET value = excluded.value, revision = excluded.revision");
    code = put.BindText(1, write.key).BindBlob(2, *write.value).Bind(3, revision).Step();
  } else {
    code = writer_->Prepare("DELETE FROM records WHERE key = ?1").BindText(1, write.key).Step();
  }
  if (code != SQLITE_DONE) return writer_->Error(code, "write the record");
  code = writer_->Prepare("INSERT OR IGNORE INTO changes(revision, key) VALUES(?1, ?2)")
             .Bind(1, revision)
             .BindText(2, write.key)
             .Step();
  return code == SQLITE_DONE ? absl::OkStatus() : writer_->Error(code, "log the change");
}

absl::Status SqliteStore::TrimChanges() {
  const int64_t limit = static_cast<int64_t>(options_.max_changes);
  if (changes_ <= limit) return absl::OkStatus();
  // A revision is in the log with all of its changes or not at all. A tenth more than needed goes, so that this is rare.
  SqliteStatement cut = writer_->Prepare("SELECT revision FROM changes ORDER BY revision DESC, key DESC LIMIT 1 OFFSET ?1");
  int code = cut.Bind(1, limit - limit / 10).Step();
  if (code != SQLITE_ROW) return writer_->Error(code, "trim the log of changes");
  const int64_t revision = cut.Int(0);
  code = writer_->Prepare("DELETE FROM changes WHERE revision <= ?1").Bind(1, revision).Step();
  if (code != SQLITE_DONE) return writer_->Error(code, "trim the log of changes");
  code = writer_->Prepare("UPDATE meta SET changes_from = ?1").Bind(1, revision).Step();
  if (code != SQLITE_DONE) return writer_->Error(code, "trim the log of changes");
  return absl::OkStatus();
}

absl::StatusOr<Committed> SqliteStore::WriteAll(const Transaction& transaction, int64_t now) {
  const RequestId& request = transaction.request_id;
  if (!request.id.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(std::optional<Committed> repeated, FindRequest(request, now));
    if (repeated) return *std::move(repeated);
  }
  GATEPOST_ASSIGN_OR_RETURN(const int64_t before, writer_->QueryInt("SELECT revision FROM meta"));
  if (transaction.store_revision && *transaction.store_revision != before)
    return absl::FailedPreconditionError("the store has changed");
  const int64_t revision = before + 1;
  for (const Write& write : transaction.writes) GATEPOST_RETURN_IF_ERROR(Apply(write, revision));
  int code = writer_->Prepare("UPDATE meta SET revision = ?1").Bind(1, revision).Step();
  if (code != SQLITE_DONE) return writer_->Error(code, "write the revision");
  if (!request.id.empty()) {
    code = writer_->Prepare("INSERT INTO requests(id, fingerprint, answer, revision, expires) VALUES(?1, ?2, ?3, ?4, ?5)")
               .BindText(1, request.id)
               .BindBlob(2, request.fingerprint)
               .BindBlob(3, request.answer)
               .Bind(4, revision)
               .Bind(5, now + std::chrono::seconds(kRequestIdLifetime).count())
               .Step();
    if (code != SQLITE_DONE) return writer_->Error(code, "keep the request id");
  }
  GATEPOST_RETURN_IF_ERROR(TrimChanges());
  return Committed{revision, false, {}};
}

absl::Status SqliteStore::CommitOrRollBack() {
  const int code = writer_->ExecuteRaw("COMMIT");
  if (code == SQLITE_OK) return absl::OkStatus();
  absl::Status status = writer_->Error(code, "commit");
  if (writer_->in_transaction()) writer_->ExecuteRaw("ROLLBACK");
  const bool unknown = code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
  if (unknown && options_.on_fatal) options_.on_fatal(base::FromAbsl(status.message()));
  return status;
}

absl::StatusOr<Committed> SqliteStore::Commit(const Transaction& transaction) {
  absl::StatusOr<Committed> committed;
  {
    absl::MutexLock lock(&writer_mutex_);
    GATEPOST_RETURN_IF_ERROR(writer_->Execute("BEGIN IMMEDIATE"));
    committed = WriteAll(transaction, ToSeconds(clock_.WallNow()));
    if (!committed.ok()) {
      // Some errors (disk full) have rolled back already.
      if (writer_->in_transaction()) writer_->ExecuteRaw("ROLLBACK");
      return committed;
    }
    if (absl::Status status = CommitOrRollBack(); !status.ok()) return status;
    if (committed->repeated) return committed;
    changes_ += static_cast<int64_t>(transaction.writes.size());
    if (changes_ > static_cast<int64_t>(options_.max_changes)) {
      if (absl::StatusOr<int64_t> count = writer_->QueryInt("SELECT count(*) FROM changes"); count.ok()) changes_ = *count;
    }
  }
  absl::MutexLock lock(&listener_mutex_);
  if (listener_) listener_(committed->revision);
  return committed;
}

absl::StatusOr<std::unique_ptr<FileDescriptor>> LockFile(const std::string& path) {
  const std::string lock_path = path + ".lock";
  auto lock = std::make_unique<FileDescriptor>(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock->get() < 0) return FileError("open", lock_path);
  if (flock(lock->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return absl::FailedPreconditionError(base::StrCat(path, " is in use by another process"));
    return FileError("lock", lock_path);
  }
  return lock;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordStore>> OpenSqliteStore(const SqliteOptions& options, const base::Clock& clock,
                                                             base::Random& random) {
  GATEPOST_ASSIGN_OR_RETURN(std::unique_ptr<FileDescriptor> lock, LockFile(options.path));
  {
    // Made here, so that its mode, which SQLite gives to its companions too, is ours. Closed before SQLite opens it:
    // closing a file later would drop the locks that SQLite holds on it.
    const FileDescriptor file(open(options.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (file.get() < 0) return FileError("open", options.path);
  }
  auto store = std::make_unique<SqliteStore>(options, clock, std::move(lock));
  GATEPOST_RETURN_IF_ERROR(store->Open(random));
  return store;
}

}  // namespace gatepost::store
