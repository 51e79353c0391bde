#include "services/store/postgres_target.h"

#include <postgresql/libpq-fe.h>

#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "services/base/file.h"
#include "services/base/ip_address.h"
#include "services/base/status_macros.h"

namespace gatepost::store {
namespace {

constexpr size_t kMostPasswordOctets = 4'096;

using Parameters = std::map<std::string, std::string>;

// A name such as 127.example.net is none.
bool IsLocal(std::string_view host) {
  // Empty: libpq's socket. Absolute, or with @ in front: another.
  if (host.empty() || host.starts_with('/') || host.starts_with('@') || host == "localhost") return true;
  const absl::StatusOr<base::IpAddress> address = base::IpAddress::Parse(host);
  return address.ok() && address->IsLoopback();
}

bool AllLocal(std::string_view hosts) {
  while (true) {
    const size_t comma = hosts.find(',');
    if (!IsLocal(hosts.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    hosts.remove_prefix(comma + 1);
  }
}

// Is it certain that the server is on this machine, so that nobody stands between? Where the URI is silent libpq asks
// the environment; a service's file, which is not read here, may name any host, also beside one of the URI's.
bool StaysOnThisMachine(const Parameters& parameters) {
  const auto value = [&](const char* keyword, const char* variable) -> std::string_view {
    if (const auto said = parameters.find(keyword); said != parameters.end()) return said->second;
    const char* const otherwise = std::getenv(variable);
    return otherwise == nullptr ? "" : otherwise;
  };
  return value("service", "PGSERVICE").empty() && AllLocal(value("host", "PGHOST")) &&
         AllLocal(value("hostaddr", "PGHOSTADDR"));
}

// libpq's own message may quote the URI, and with it a password: it is not shown.
absl::StatusOr<Parameters> ParseUri(const std::string& uri) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(PQconninfoParse(uri.c_str(), &error),
                                                                            &PQconninfoFree);
  if (error != nullptr) PQfreemem(error);
  if (parsed == nullptr) {
    return absl::FailedPreconditionError(
        "the database is no postgresql:// URI, or has a parameter that libpq does not know (it is not shown here: it "
        "may hold a password)");
  }
  Parameters parameters;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    // What is empty is unsaid to libpq, which would take its own default.
    if (option->val != nullptr && *option->val != '\0') parameters[option->keyword] = option->val;
  }
  return parameters;
}

}  // namespace

absl::StatusOr<Parameters> PostgresParameters(const PostgresTarget& target) {
  GATEPOST_ASSIGN_OR_RETURN(Parameters parameters, ParseUri(target.uri));
  // A standby lags behind: what it shows has been true. Writes would fail, and revisions seem to go back.
  const std::string& session = parameters.try_emplace("target_session_attrs", "primary").first->second;
  if (session != "primary" && session != "read-write")
    return absl::FailedPreconditionError("target_session_attrs must be primary or read-write, if it is given");
  parameters.try_emplace("connect_timeout", "2");
  parameters.try_emplace("tcp_user_timeout", "3000");  // milliseconds
  parameters.try_emplace("keepalives_idle", "5");
  parameters.try_emplace("keepalives_interval", "2");
  parameters.try_emplace("keepalives_count", "2");
  parameters.try_emplace("gssencmode", "disable");
  parameters.try_emplace("fallback_application_name", target.schema);
  if (!StaysOnThisMachine(parameters)) parameters.try_emplace("sslmode", "verify-full");
  parameters["client_encoding"] = "UTF8";
  if (!target.password_file.empty()) {
    absl::StatusOr<std::string> password = base::ReadSecretFile(target.password_file, kMostPasswordOctets);
    if (!password.ok()) return absl::FailedPreconditionError(password.status().message());
    while (!password->empty() && (password->back() == '\n' || password->back() == '\r')) password->pop_back();
    parameters["password"] = *std::move(password);
  }
  return parameters;
}

}  // namespace gatepost::store
