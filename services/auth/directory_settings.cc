#include "services/auth/directory_settings.h"

#include <ldap.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "services/auth/json.h"
#include "services/auth/limits.h"
#include "services/auth/prepare.h"
#include "services/auth/user_records.h"
#include "services/base/file.h"
#include "services/base/ip_address.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/base/wipe.h"

namespace gatepost::auth {
namespace {

using base::StrCat;
using google::protobuf::Struct;
using google::protobuf::Value;

constexpr size_t kMostFile = 1 << 20;
constexpr size_t kMostServers = 10;
constexpr size_t kMostDomains = 1'000;
constexpr size_t kMostText = 2'048;

// Reads an object's members, each once; keeps the first complaint, and at the end complains of what nobody asked for.
class Members {
 public:
  Members(const Struct& object, std::string prefix, absl::Status* status)
      : object_(object), prefix_(std::move(prefix)), status_(*status) {}

  void Complain(const std::string& name, std::string_view what) const {
    if (status_.ok()) status_ = absl::InvalidArgumentError(base::ToAbsl(StrCat('`', prefix_, name, "` ", what)));
  }

  bool Has(const std::string& name) const { return HasMember(object_, name); }

  // Not empty; absent: empty.
  std::string Text(const std::string& name) {
    const Value* value = Take(name, Value::kStringValue, "must be a text");
    if (value == nullptr) return {};
    if (value->string_value().empty() || value->string_value().size() > kMostText)
      Complain(name, "must have 1 to 2,048 octets");
    return value->string_value();
  }
  std::string NeededText(const std::string& name) {
    if (!Has(name)) Complain(name, "must be given");
    return Text(name);
  }
  bool Switch(const std::string& name, bool otherwise) {
    const Value* value = Take(name, Value::kBoolValue, "must be true or false");
    return value == nullptr ? otherwise : value->bool_value();
  }
  int Number(const std::string& name, int otherwise, int least, int most) {
    const Value* value = Take(name, Value::kNumberValue, StrCat("must be a number from ", least, " to ", most));
    if (value == nullptr) return otherwise;
    const double number = value->number_value();
    // NaN and fractions are no numbers here.
    if (!(number >= least && number <= most) || number != static_cast<int>(number)) {
      Complain(name, StrCat("must be a number from ", least, " to ", most));
      return otherwise;
    }
    return static_cast<int>(number);
  }
  std::vector<std::string> NeededTexts(const std::string& name, size_t most) {
    const std::string what = StrCat("must be a list of 1 to ", most, " texts");
    const Value* value = Take(name, Value::kListValue, what);
    std::vector<std::string> texts;
    if (value != nullptr) {
      for (const Value& element : value->list_value().values()) {
        if (element.kind_case() == Value::kStringValue) texts.push_back(element.string_value());
      }
    }
    if (texts.empty() || texts.size() > most || static_cast<int>(texts.size()) != value->list_value().values_size())
      Complain(name, what);
    return texts;
  }
  // nullptr: absent, or complained of.
  const Struct* Object(const std::string& name) {
    const Value* value = Take(name, Value::kStructValue, "must be an object");
    return value == nullptr ? nullptr : &value->struct_value();
  }

  void End() const {
    for (const auto& [name, value] : object_.fields()) {
      if (!taken_.contains(name)) Complain(name, "is not a setting");
    }
  }

 private:
  const Value* Take(const std::string& name, Value::KindCase kind, std::string_view what) {
    taken_.insert(name);
    const auto member = object_.fields().find(name);
    if (member == object_.fields().end()) return nullptr;
    if (member->second.kind_case() == kind) return &member->second;
    Complain(name, what);
    return nullptr;
  }

  const Struct& object_;
  const std::string prefix_;
  absl::Status& status_;
  std::set<std::string> taken_;
};

struct FreeUrl {
  void operator()(LDAPURLDesc* url) const { ldap_free_urldesc(url); }
};

bool IsLoopback(const std::string& host) {
  if (host == "localhost") return true;
  const absl::StatusOr<base::IpAddress> address = base::IpAddress::Parse(host);
  return address.ok() && address->IsLoopback();
}

void ReadServers(Members& members, DirectorySettings* settings) {
  const bool start_tls = members.Switch("start_tls", true);
  const bool clear_text = members.Switch("allow_clear_text", false);
  for (const std::string& uri : members.NeededTexts("uris", kMostServers)) {
    LDAPURLDesc* parsed = nullptr;
    const bool parses = uri.size() <= kMostText && ldap_url_parse(uri.c_str(), &parsed) == LDAP_URL_SUCCESS;
    const std::unique_ptr<LDAPURLDesc, FreeUrl> url(parsed);
    const std::string_view scheme = parses ? url->lud_scheme : "";
    if ((scheme != "ldap" && scheme != "ldaps") || url->lud_host == nullptr || *url->lud_host == '\0' ||
        (url->lud_dn != nullptr && *url->lud_dn != '\0') || uri.find_first_of(" ?") != uri.npos) {
      members.Complain("uris", "must be ldap://HOST[:PORT] or ldaps://HOST[:PORT] each");
      return;
    }
    // Passwords in clear, for whoever is on the way.
    if (scheme == "ldap" && !start_tls && !clear_text && !IsLoopback(url->lud_host)) {
      members.Complain("start_tls", "may be false on loopback, or with `allow_clear_text`");
      return;
    }
    const std::string_view host = url->lud_host;
    const bool brackets = host.find(':') != host.npos;
    const LdapServer::Tls tls = scheme == "ldaps" ? LdapServer::Tls::kAtOnce
                                : start_tls       ? LdapServer::Tls::kStartTls
                                                  : LdapServer::Tls::kNone;
    settings->servers.push_back(
        {uri, StrCat("ldap://", brackets ? "[" : "", host, brackets ? "]" : "", ":", url->lud_port), tls});
  }
}

LdapSearch ReadSearch(Members& members) {
  LdapSearch search;
  search.base = members.NeededText("base");
  if (!DnKey(search.base)) members.Complain("base", "must be a DN");
  const std::string scope = members.Text("scope");
  if (!scope.empty() && scope != "subtree" && scope != "one") members.Complain("scope", "must be subtree or one");
  search.subtree = scope != "one";
  const std::string filter = members.NeededText("filter");
  if (const std::optional<FilterTemplate> parsed = FilterTemplate::Parse(filter)) {
    search.filter = *parsed;
  } else {
    members.Complain("filter", "must be an LDAP filter with one placeholder as a value, such as (mail={login})");
  }
  return search;
}

// An attribute's name or number, without options (RFC 4512 1.4).
bool IsAttribute(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return base::IsAlnum(c) || c == '-' || c == '.'; });
}

void ReadUsers(const Struct& object, DirectorySettings* settings, absl::Status* status) {
  Members members(object, "users.", status);
  settings->users = ReadSearch(members);
  if (settings->users.filter.placeholder() == Placeholder::kDn)
    members.Complain("filter", "must have {login} or {local_part}");
  settings->login_attribute = members.NeededText("login_attribute");
  settings->address_attribute = members.Text("address_attribute");
  for (const auto& [name, value] : {std::pair("login_attribute", settings->login_attribute),
                                    std::pair("address_attribute", settings->address_attribute)}) {
    if (!IsAttribute(value)) members.Complain(name, "must be an attribute's name");
  }
  settings->decoy_dn = members.Text("decoy_dn");
  if (settings->decoy_dn.empty()) settings->decoy_dn = StrCat("cn=gatepost-nobody,", settings->users.base);
  if (!DnKey(settings->decoy_dn)) members.Complain("decoy_dn", "must be a DN");
  members.End();
}

void ReadGroups(const Struct& object, DirectorySettings* settings, absl::Status* status) {
  Members members(object, "groups.", status);
  settings->group_attribute = members.Text("attribute");
  if (!IsAttribute(settings->group_attribute)) members.Complain("attribute", "must be an attribute's name");
  if (members.Has("filter") || members.Has("base")) settings->groups = ReadSearch(members);
  if (settings->groups.has_value() == !settings->group_attribute.empty())
    members.Complain("attribute", "or `groups.base` and `groups.filter` must be given, and not both");
  const Struct* map = members.Object("map");
  if (map == nullptr || map->fields().empty() || map->fields().size() > kMostDirectoryGroups) {
    members.Complain("map", "must have 1 to 100 members");
  } else {
    for (const auto& [dn, value] : map->fields()) {
      const std::optional<std::string> key = DnKey(dn);
      const std::string& group = value.string_value();
      if (!key || !group.starts_with("groups/") || !IsResourceId(IdOf(group))) {
        members.Complain("map", StrCat("must say `groups/{id}` of a DN: ", dn));
      } else if (!settings->group_names.emplace(*key, group).second) {
        members.Complain("map", StrCat("says a DN twice: ", dn));
      }
    }
  }
  members.End();
}

void ReadDomains(Members& members, DirectorySettings* settings) {
  for (const std::string& domain : members.NeededTexts("domains", kMostDomains)) {
    const std::optional<std::string> prepared = PrepareLogin(domain);
    if (!prepared || prepared->find('@') != prepared->npos) {
      members.Complain("domains", StrCat("has what is no domain: ", domain));
      return;
    }
    settings->domains.push_back(LoginKey(*prepared));
  }
  std::sort(settings->domains.begin(), settings->domains.end());
}

// alice@a.example and alice@b.example would be one entry, or be of one's groups: with a brute-force counter each.
void CheckLocalPart(const Members& members, const DirectorySettings& settings) {
  const bool users = settings.users.filter.placeholder() == Placeholder::kLocalPart;
  const bool groups = settings.groups && settings.groups->filter.placeholder() == Placeholder::kLocalPart;
  if (settings.domains.size() > 1 && (users || groups)) {
    members.Complain("domains", StrCat("must be one alone, since `", users ? "users" : "groups",
                                       ".filter` has {local_part}: use {login}"));
  }
}

}  // namespace

absl::StatusOr<DirectorySettings> ParseDirectorySettings(std::string_view json) {
  const std::optional<Struct> object = ParseJsonObject(json, kMostFile);
  if (!object) return absl::InvalidArgumentError("not a JSON object of at most 1 MiB");
  absl::Status status;
  DirectorySettings settings;
  Members members(*object, "", &status);
  settings.name = members.NeededText("name");
  if (!IsResourceId(settings.name)) members.Complain("name", "must be as ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$");
  ReadServers(members, &settings);
  settings.ca_file = members.Text("ca_file");
  settings.bind_dn = members.Text("bind_dn");
  settings.bind_password_file = members.Text("bind_password_file");
  if (settings.bind_dn.empty() != settings.bind_password_file.empty())
    members.Complain("bind_password_file", "must be given with `bind_dn`, and not without it");
  if (!settings.bind_dn.empty() && !DnKey(settings.bind_dn)) members.Complain("bind_dn", "must be a DN");
  ReadDomains(members, &settings);
  if (const Struct* users = members.Object("users")) {
    ReadUsers(*users, &settings, &status);
  } else {
    members.Complain("users", "must be given");
  }
  if (const Struct* groups = members.Object("groups")) ReadGroups(*groups, &settings, &status);
  CheckLocalPart(members, settings);
  settings.may_submit = members.Switch("may_submit", true);
  settings.may_relay = members.Switch("may_relay", true);
  settings.cache_ttl = std::chrono::seconds(members.Number("cache_ttl_seconds", 0, 0, kMostDirectoryCacheSeconds));
  settings.connect_timeout = std::chrono::milliseconds(
      members.Number("connect_timeout_ms", static_cast<int>(settings.connect_timeout.count()), 100, 2'000));
  settings.operation_timeout = std::chrono::milliseconds(
      members.Number("operation_timeout_ms", static_cast<int>(settings.operation_timeout.count()), 100, 3'000));
  settings.connections = members.Number("connections", settings.connections, 1, kMostDirectoryConnections);
  members.End();
  if (!status.ok()) return status;
  return settings;
}

absl::StatusOr<DirectorySettings> LoadDirectorySettings(const std::string& path) {
  const auto load = [&]() -> absl::StatusOr<DirectorySettings> {
    GATEPOST_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, kMostFile));
    GATEPOST_ASSIGN_OR_RETURN(DirectorySettings settings, ParseDirectorySettings(text));
    if (!settings.ca_file.empty()) GATEPOST_RETURN_IF_ERROR(base::ReadFile(settings.ca_file, kMostFile).status());
    if (!settings.bind_password_file.empty()) {
      absl::StatusOr<std::string> password = base::ReadSecretFile(settings.bind_password_file, kMostDirectoryPassword);
      GATEPOST_RETURN_IF_ERROR(password.status());
      base::Wipe(&*password);
    }
    return settings;
  };
  absl::StatusOr<DirectorySettings> settings = load();
  if (settings.ok()) return settings;
  return absl::FailedPreconditionError(
      base::ToAbsl(StrCat("--directory ", path, ": ", base::FromAbsl(settings.status().message()))));
}

}  // namespace gatepost::auth
