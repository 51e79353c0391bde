// A RecordStore in a PostgreSQL database (13 or later), for programs that run as several replicas: each opens the same
// schema, and hears of the others' commits by LISTEN, or within a second by asking.
//
// Commits are in one order because each locks the one row of `meta` first; a View is a repeatable-read transaction. No
// call takes longer than about five seconds: while the database is down, read-only or failing over, calls are
// UNAVAILABLE, at once when it is known to be away, and they succeed again without a restart once it is back.
//
// A commit whose answer is lost is looked up under a token that it wrote; see RecordStore::Commit for when it cannot
// be. The database's history must not go back under a program that runs: when its epoch has changed (a restore), or
// commits that were seen are gone (a failover to a standby that lacked them: the epoch is then made anew), `on_fatal`
// is called, which should end the process, so that its next start begins with the history that is there. Gone are
// revisions above the database's, and, where it has caught up with them, the last one whose token is another now; that
// is known for 10,000 commits more.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/store/record_store.h"

namespace gatepost::store {

struct PostgresOptions {
  // postgresql://USER@HOST:PORT/DATABASE?PARAMETER=VALUE, as libpq takes it. Where it says nothing: sslmode is
  // verify-full but where it is sure to be this machine (postgres_target.h), target_session_attrs is primary.
  std::string uri;
  std::string password_file;  // Read at each new connection, so that a password can change; empty: none.
  // Holds the tables; made if it is not there and the role may. Lower-case letters, digits, underscores.
  std::string schema = "gatepost";
  bool new_epoch = false;        // The database was restored from a backup: make its epoch anew.
  size_t max_changes = 100'000;  // Kept in the log of changes.
  size_t max_connections = 8;    // And one that listens.
  std::function<void(std::string_view reason)> on_fatal;
};

inline constexpr int kPostgresSchemaVersion = 1;

// FAILED_PRECONDITION: a newer schema, or what only an administrator can put right; UNAVAILABLE: the database does not
// answer. `clock` and `random` outlive the store.
absl::StatusOr<std::unique_ptr<RecordStore>> OpenPostgresStore(const PostgresOptions& options, const base::Clock& clock,
                                                               base::Random& random);

}  // namespace gatepost::store
