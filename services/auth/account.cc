#include "services/auth/account.h"

#include <memory>
#include <optional>
#include <utility>

#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

// An id that no user has.
constexpr std::string_view kNobody = "-";

}  // namespace

absl::StatusOr<Account> FindAccount(store::RecordStore& store, std::string_view login_key, std::string_view secrets) {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store.Read());
  const auto get = [&](std::string_view collection,
                       std::string_view id) -> absl::StatusOr<std::optional<store::Record>> {
    absl::StatusOr<store::Record> record = view->Get(base::StrCat(collection, id));
    if (absl::IsNotFound(record.status())) return std::optional<store::Record>();
    GATEPOST_RETURN_IF_ERROR(record.status());
    return std::optional<store::Record>(*std::move(record));
  };
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<store::Record> login, get(kLogins, login_key));
  const std::string id = login ? login->value : std::string(kNobody);
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<store::Record> user, get(kUsers, id));
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<store::Record> secret, get(secrets, id));
  Account account;
  if (!user) {
    account.reason = "unknown";
    return account;
  }
  GATEPOST_ASSIGN_OR_RETURN(account.user, UserOf(*user, store.epoch()));
  account.name = user->key;
  account.revision = user->revision;
  if (account.user.state() != v1::User::ENABLED) {
    account.reason = "disabled";
  } else if (!secret) {
    account.reason = "no_password";
  } else {
    account.secret = secret->value;
  }
  return account;
}

}  // namespace gatepost::auth
