// Opens the record store that a program's --database names: a postgresql:// URI, or the path of a SQLite file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/store/record_store.h"

namespace gatepost::store {

// For --help of --database and --database-password-file.
inline constexpr char kDatabaseHelp[] =
    "The SQLite file (made if it is not there, its folder is not), for one process; or "
    "postgresql://USER@HOST/DATABASE?sslrootcert=FILE for several replicas";
inline constexpr char kPasswordFileHelp[] =
    "A file with PostgreSQL's password, mode 0600, read at each connection; in the URI `ps` would show it";

struct StoreOptions {
  std::string database;
  std::string password_file;  // For PostgreSQL; empty: as the URI and libpq's own files and variables say.
  // What tells this program's data from another's: SQLite's application id and PostgreSQL's schema.
  uint32_t application_id = 0;
  std::string schema;
  bool new_epoch = false;  // The database was restored from a backup.
  std::string program;     // Said on stderr when the process must end.
};

// Whether a read of the store waits for the network.
bool IsRemote(std::string_view database);

// The codes of OpenSqliteStore and OpenPostgresStore. Ends the process, with a line on stderr, when the store's history
// is not what it was any more: the next start finds out what there is. `clock` and `random` outlive the store.
absl::StatusOr<std::unique_ptr<RecordStore>> OpenRecordStore(const StoreOptions& options, const base::Clock& clock,
                                                             base::Random& random);

}  // namespace gatepost::store
