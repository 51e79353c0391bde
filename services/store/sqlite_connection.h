// One connection to a SQLite file and its prepared statements; used by one thread at a time. Private to sqlite_store.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gatepost::store {

// A statement between its first bind and its last row; reset when it goes out of scope.
class SqliteStatement {
 public:
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}
  ~SqliteStatement();
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  // Parameters count from 1; bound views must live until the statement goes out of scope.
  SqliteStatement& Bind(int index, int64_t value);
  SqliteStatement& BindText(int index, std::string_view value);
  SqliteStatement& BindBlob(int index, std::string_view value);

  // SQLITE_ROW, SQLITE_DONE, or an extended error code.
  int Step();

  // Columns count from 0.
  int64_t Int(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string Bytes(int column) const;

 private:
  sqlite3_stmt* const statement_;
  int bind_error_ = SQLITE_OK;
};

class SqliteConnection {
 public:
  // Opens `path`, which exists, and sets what every connection needs.
  static absl::StatusOr<std::unique_ptr<SqliteConnection>> Open(const std::string& path);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // Runs statements without results.
  absl::Status Execute(const std::string& sql);
  // An extended result code, SQLITE_OK when all is well.
  int ExecuteRaw(const char* sql);
  // A single integer.
  absl::StatusOr<int64_t> QueryInt(const char* sql);
  // The prepared statement for a text that lives as long as the program; prepared once.
  SqliteStatement Prepare(const char* sql);
  // The status for a code of this connection's last call.
  absl::Status Error(int code, std::string_view doing);
  bool in_transaction() const { return sqlite3_get_autocommit(database_) == 0; }

 private:
  explicit SqliteConnection(sqlite3* database) : database_(database) {}

  sqlite3* const database_;
  std::map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace gatepost::store
