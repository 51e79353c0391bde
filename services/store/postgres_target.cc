#include "services/store/postgres_target.h"

#include <postgresql/libpq-fe.h>

#include <memory>
#include <string_view>
#include <utility>

#include "services/base/file.h"
#include "services/base/status_macros.h"

namespace gatepost::store {
namespace {

constexpr size_t kMostPasswordOctets = 4'096;

// Does every host of the list lie on this machine, so that nobody stands between?
bool AllLocal(std::string_view hosts) {
  while (true) {
    const size_t comma = hosts.find(',');
    const std::string_view host = hosts.substr(0, comma);
    const bool local = host.empty() || host.starts_with('/') || host.starts_with('@') || host == "localhost" ||
                       host.starts_with("127.") || host == "::1";
    if (!local) return false;
    if (comma == std::string_view::npos) return true;
    hosts.remove_prefix(comma + 1);
  }
}

using Parameters = std::map<std::string, std::string>;

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
    if (option->val != nullptr) parameters[option->keyword] = option->val;
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
  const auto host = parameters.find(parameters.contains("hostaddr") ? "hostaddr" : "host");
  if (host != parameters.end() && !AllLocal(host->second)) parameters.try_emplace("sslmode", "verify-full");
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
