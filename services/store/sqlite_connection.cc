#include "services/store/sqlite_connection.h"

#include "services/base/strings.h"

namespace gatepost::store {

SqliteStatement::~SqliteStatement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

SqliteStatement& SqliteStatement::Bind(int index, int64_t value) {
  if (const int code = sqlite3_bind_int64(statement_, index, value); code != SQLITE_OK) bind_error_ = code;
  return *this;
}

SqliteStatement& SqliteStatement::BindText(int index, std::string_view value) {
  const int code = sqlite3_bind_text64(statement_, index, value.data() == nullptr ? "" : value.data(), value.size(),
                                       SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

SqliteStatement& SqliteStatement::BindBlob(int index, std::string_view value) {
  const int code =
      sqlite3_bind_blob64(statement_, index, value.data() == nullptr ? "" : value.data(), value.size(), SQLITE_STATIC);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

int SqliteStatement::Step() {
  if (statement_ == nullptr) return SQLITE_ERROR;
  return bind_error_ != SQLITE_OK ? bind_error_ : sqlite3_step(statement_);
}

std::string SqliteStatement::Bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), static_cast<size_t>(size));
}

absl::StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(const std::string& path) {
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (database == nullptr) return absl::UnavailableError("SQLite: out of memory");
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(database));
  if (code != SQLITE_OK) return connection->Error(code, "open");
  sqlite3_extended_result_codes(database, 1);
  // Another process (a backup) may hold a lock for a moment.
  sqlite3_busy_timeout(database, 5000);
  sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (absl::Status status = connection->Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON;"
                                                "PRAGMA journal_size_limit=67108864");
      !status.ok())
    return status;
  return connection;
}

SqliteConnection::~SqliteConnection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(database_);
}

int SqliteConnection::ExecuteRaw(const char* sql) { return sqlite3_exec(database_, sql, nullptr, nullptr, nullptr); }

absl::Status SqliteConnection::Execute(const std::string& sql) {
  const int code = ExecuteRaw(sql.c_str());
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, "execute");
}

absl::StatusOr<int64_t> SqliteConnection::QueryInt(const char* sql) {
  SqliteStatement statement = Prepare(sql);
  const int code = statement.Step();
  if (code == SQLITE_ROW) return statement.Int(0);
  if (code == SQLITE_DONE) return absl::NotFoundError("no row");
  return Error(code, "query");
}

SqliteStatement SqliteConnection::Prepare(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr) sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  return SqliteStatement(statement);
}

absl::Status SqliteConnection::Error(int code, std::string_view doing) {
  const std::string text = base::StrCat("SQLite: ", doing, ": ", sqlite3_errmsg(database_), " (", code, ")");
  switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
      return absl::ResourceExhaustedError(text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(text);
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace gatepost::store
