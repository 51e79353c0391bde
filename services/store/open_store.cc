#include "services/store/open_store.h"

#include <unistd.h>

#include <cstdio>

#include "services/store/postgres_store.h"
#include "services/store/sqlite_store.h"

namespace gatepost::store {

bool IsRemote(std::string_view database) {
  return database.starts_with("postgresql://") || database.starts_with("postgres://");
}

absl::StatusOr<std::unique_ptr<RecordStore>> OpenRecordStore(const StoreOptions& options, const base::Clock& clock,
                                                             base::Random& random) {
  const auto on_fatal = [program = options.program](std::string_view reason) {
    std::fprintf(stderr, "%s: %.*s\n", program.c_str(), static_cast<int>(reason.size()), reason.data());
    _exit(1);
  };
  if (IsRemote(options.database)) {
    PostgresOptions postgres;
    postgres.uri = options.database;
    postgres.password_file = options.password_file;
    postgres.schema = options.schema;
    postgres.new_epoch = options.new_epoch;
    postgres.on_fatal = on_fatal;
    return OpenPostgresStore(postgres, clock, random);
  }
  if (!options.password_file.empty())
    return absl::FailedPreconditionError("a password file is for a postgresql:// database");
  SqliteOptions sqlite;
  sqlite.path = options.database;
  sqlite.application_id = options.application_id;
  sqlite.new_epoch = options.new_epoch;
  sqlite.on_fatal = on_fatal;
  return OpenSqliteStore(sqlite, clock, random);
}

}  // namespace gatepost::store
