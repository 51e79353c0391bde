#include "services/auth/account.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

// An id that no user has.
constexpr std::string_view kNobody = "-";

absl::StatusOr<std::optional<store::Record>> Get(store::View& view, std::string_view key) {
  absl::StatusOr<store::Record> record = view.Get(key);
  if (absl::IsNotFound(record.status())) return std::optional<store::Record>();
  GATEPOST_RETURN_IF_ERROR(record.status());
  return std::optional<store::Record>(*std::move(record));
}

// Why the credential is worth nothing for this client, or now; empty: it is.
std::string_view Obstacle(const v1::Credential& credential, const AccountQuery& query) {
  if (credential.has_expire_time()) {
    const google::protobuf::Timestamp now = ToTimestamp(query.now);
    const google::protobuf::Timestamp& end = credential.expire_time();
    if (std::pair(now.seconds(), now.nanos()) >= std::pair(end.seconds(), end.nanos())) return "expired";
  }
  const auto holds = [&](const std::string& network) {
    const absl::StatusOr<base::IpPrefix> prefix = base::IpPrefix::Parse(network);
    return prefix.ok() && prefix->Contains(query.client);
  };
  const auto& networks = credential.networks();
  if (!networks.empty() && std::none_of(networks.begin(), networks.end(), holds)) return "network";
  return "";
}

}  // namespace

void Account::Refuse(std::string_view why) {
  secret.clear();
  credential.Clear();
  reason = why;
}

absl::StatusOr<Account> FindAccount(store::RecordStore& store, const AccountQuery& query) {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store.Read());
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<store::Record> login, Get(*view, StrCat(kLogins, query.login_key)));
  const std::string id = login ? login->value : std::string(kNobody);
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<store::Record> user, Get(*view, StrCat(kUsers, id)));
  GATEPOST_ASSIGN_OR_RETURN(std::optional<store::Record> secret, Get(*view, StrCat(query.form.secrets, id)));
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<store::Record> application,
                            Get(*view, StrCat(kApplicationPasswords, id, "/", query.application_password)));
  const std::string credential_id = application ? application->value : std::string(query.form.credential);
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<store::Record> settings,
                            Get(*view, StrCat(kCredentials, id, "/", credential_id)));
  Account account;
  if (!user) {
    account.reason = "unknown";
    return account;
  }
  GATEPOST_ASSIGN_OR_RETURN(account.user, UserOf(*user, store.epoch()));
  account.name = user->key;
  account.revision = user->revision;
  if (!account.enabled()) {
    account.reason = "disabled";
  } else if (!secret && !application) {
    account.reason = "no_password";
  } else {
    const std::string name = CredentialName(id, credential_id);
    if (settings) {
      GATEPOST_ASSIGN_OR_RETURN(account.credential, CredentialOf(*settings, name, store.epoch()));
    }
    account.credential.set_name(name);
    account.credential.set_kind(application ? v1::Credential::APPLICATION_PASSWORD : query.form.kind);
    if (!application) account.secret = std::move(secret->value);
    if (const std::string_view why = Obstacle(account.credential, query); !why.empty()) account.Refuse(why);
  }
  return account;
}

}  // namespace gatepost::auth
