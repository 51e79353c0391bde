// The file of --directory: one directory of users, reached by LDAP (README.md, "Users from a directory", has an example).
// Pure, but for reading the files that it names.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/auth/ldap_text.h"

namespace gatepost::auth {

struct LdapServer {
  std::string uri;  // as it is given: ldap://HOST[:PORT] or ldaps://HOST[:PORT]
  std::string tcp;  // ldap://HOST:PORT, of either
  enum class Tls : uint8_t { kNone, kStartTls, kAtOnce } tls = Tls::kStartTls;
};

// What is searched, and where.
struct LdapSearch {
  std::string base;
  bool subtree = true;  // else one level below the base
  FilterTemplate filter;
};

struct DirectorySettings {
  std::string name;  // ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$
  std::vector<LdapServer> servers;
  std::string ca_file;  // PEM of the CAs that are believed; empty: the system's
  // Who searches; without a DN the search is anonymous. The password's file is read for each new connection.
  std::string bind_dn;
  std::string bind_password_file;
  // Whose logins are the directory's: what stands behind their last @, prepared and in lower case. One alone where a
  // filter has {local_part}.
  std::vector<std::string> domains;
  LdapSearch users;
  // The attribute that must hold what the filter was given: the login, or its local part.
  std::string login_attribute;
  std::string address_attribute;  // holds addresses the user may send as; empty: there is none
  // A DN that is bound to where nobody was found, so that nobody can tell by the time.
  std::string decoy_dn;
  // Either a search, or an attribute of the user such as memberOf, or neither.
  std::optional<LdapSearch> groups;
  std::string group_attribute;
  std::map<std::string, std::string> group_names;  // DnKey -> `groups/{id}`
  bool may_submit = true;
  bool may_relay = true;
  std::chrono::seconds cache_ttl{0};
  std::chrono::milliseconds connect_timeout{1'000};    // connecting, TLS, the search's own bind: each
  std::chrono::milliseconds operation_timeout{1'500};  // a search, a bind: each
  int connections = 4;                                 // logins at a time; each has two connections
};

// INVALID_ARGUMENT names the setting that is wrong, missing or not known.
absl::StatusOr<DirectorySettings> ParseDirectorySettings(std::string_view json);

// Also reads the files that the settings name: a password others may read is refused. FAILED_PRECONDITION.
absl::StatusOr<DirectorySettings> LoadDirectorySettings(const std::string& path);

}  // namespace gatepost::auth
