// The tables of a PostgresStore, and how they come about. Private to postgres_store.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/store/postgres_connection.h"

namespace gatepost::store {

inline constexpr size_t kEpochCharacters = 26;

// Makes the schema if it is not there, and leads it to kPostgresSchemaVersion, in one transaction; replicas that start
// together do so one after the other. `new_epoch`: the epoch is made anew. FAILED_PRECONDITION: a newer schema.
// DATA_LOSS: it is damaged. At most 30 s.
absl::Status MigratePostgres(PostgresConnection& connection, const std::string& schema, bool new_epoch,
                             const base::Clock& clock, base::Random& random);

}  // namespace gatepost::store
