#include "services/store/postgres_schema.h"

#include <chrono>
#include <cstdint>
#include <iterator>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/store/postgres_store.h"

namespace gatepost::store {
namespace {

// Migration i leads from schema version i to i + 1; what was released is never edited, only added to. Keys are bytea:
// their order is that of octets, whatever the database's collation.
constexpr const char* kMigrations[] = {
    R"(
    CREATE TABLE meta(id integer PRIMARY KEY CHECK (id = 0), version integer NOT NULL, epoch text NOT NULL,
                      revision bigint NOT NULL, changes_from bigint NOT NULL, changes bigint NOT NULL);
    CREATE TABLE records(key bytea PRIMARY KEY, value bytea NOT NULL, revision bigint NOT NULL);
    CREATE TABLE changes(revision bigint, key bytea, PRIMARY KEY (revision, key));
    CREATE TABLE requests(id bytea PRIMARY KEY, fingerprint bytea NOT NULL, answer bytea NOT NULL,
                          revision bigint NOT NULL, expires bigint NOT NULL);
    CREATE INDEX requests_expires ON requests(expires);
    CREATE TABLE commits(revision bigint PRIMARY KEY, token bytea NOT NULL);
    )",
};
static_assert(std::size(kMigrations) == kPostgresSchemaVersion);
// Two replicas that start together migrate one after the other.
constexpr const char* kBeginMigration = "BEGIN; SELECT pg_advisory_xact_lock(7308604759847463028)";

}  // namespace

absl::Status MigratePostgres(PostgresConnection& connection, const std::string& schema, bool new_epoch,
                             const base::Clock& clock, base::Random& random) {
  const base::MonotonicTime deadline = clock.Now() + std::chrono::seconds(30);
  GATEPOST_RETURN_IF_ERROR(connection.RunAll(kBeginMigration, deadline).status());
  const auto exists = [&](const std::string& sql) -> absl::StatusOr<bool> {
    GATEPOST_ASSIGN_OR_RETURN(const PostgresRows rows, connection.RunAll(sql, deadline));
    return rows.size() > 0;
  };
  // Asked first: `IF NOT EXISTS` would want the privilege to create it all the same.
  GATEPOST_ASSIGN_OR_RETURN(const bool has_schema,
                            exists(base::StrCat("SELECT 1 FROM pg_namespace WHERE nspname = '", schema, "'")));
  if (!has_schema) GATEPOST_RETURN_IF_ERROR(connection.RunAll("CREATE SCHEMA " + schema, deadline).status());
  GATEPOST_ASSIGN_OR_RETURN(
      const bool has_tables,
      exists(base::StrCat("SELECT 1 FROM pg_tables WHERE tablename = 'meta' AND schemaname = '", schema, "'")));
  int64_t version = 0;
  if (has_tables) {
    GATEPOST_ASSIGN_OR_RETURN(const PostgresRows rows, connection.RunAll("SELECT version FROM meta", deadline));
    if (rows.size() != 1)
      return absl::DataLossError(base::StrCat("schema ", schema, " of the database: no row in meta"));
    version = rows.Int(0, 0);
  }
  if (version > kPostgresSchemaVersion) {
    return absl::FailedPreconditionError(base::StrCat("schema ", schema, " of the database has schema version ",
                                                      version, ", this program knows version ", kPostgresSchemaVersion,
                                                      " at most: run the release that wrote it, or a newer one"));
  }
  const std::string epoch = base::RandomId(random, kEpochCharacters);
  for (int64_t step = version; step < kPostgresSchemaVersion; ++step) {
    GATEPOST_RETURN_IF_ERROR(connection.RunAll(kMigrations[step], deadline).status());
    const std::string sql =
        step == 0 ? base::StrCat("INSERT INTO meta(id, version, epoch, revision, changes_from, changes) VALUES(0, 1, '",
                                 epoch, "', 0, 0, 0)")
                  : base::StrCat("UPDATE meta SET version = ", step + 1);
    GATEPOST_RETURN_IF_ERROR(connection.RunAll(sql, deadline).status());
  }
  if (new_epoch) {
    GATEPOST_RETURN_IF_ERROR(
        connection.RunAll(base::StrCat("UPDATE meta SET epoch = '", epoch, "'"), deadline).status());
  }
  return connection.RunAll("COMMIT", deadline).status();
}

}  // namespace gatepost::store
