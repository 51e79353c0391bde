// Where and as whom to connect to PostgreSQL: the administrator's URI, and what holds where it says nothing. Private to
// postgres_store.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace gatepost::store {

struct PostgresTarget {
  std::string uri;            // postgresql://...
  std::string password_file;  // Read at each connection; empty: as the URI and libpq's own files say.
  std::string schema;         // Of our tables: lower-case letters, digits, underscores.
};

// libpq's parameters. Where the URI says nothing: TLS with the server's name verified, but where every host (and
// hostaddr), be it of the URI, of PGHOST or of PGHOSTADDR, is a socket, localhost or a loopback address, and no
// service's file could say another; the primary alone; two seconds to connect to a host, three for a peer that
// acknowledges nothing. Neither PGSSLMODE nor a service's file makes it less. FAILED_PRECONDITION: no such URI, a role
// of the server that is none of ours, or no password file. No error says the password.
absl::StatusOr<std::map<std::string, std::string>> PostgresParameters(const PostgresTarget& target);

}  // namespace gatepost::store
