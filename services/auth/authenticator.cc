#include "services/auth/authenticator.h"

#include <optional>
#include <utility>

#include "services/auth/prepare.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

// An id that no user has.
constexpr std::string_view kNobody = "-";

std::string WithDomain(std::string_view login, std::string_view domain) {
  return login.find('@') == login.npos && !domain.empty() ? base::StrCat(login, '@', domain) : std::string(login);
}

}  // namespace

// What the store knows of a login. Without `verifier` nobody can log in, and `reason` says why.
struct Authenticator::Account {
  std::string name;  // Empty: unknown.
  v1::User user;
  int64_t revision = 0;
  std::string verifier;
  std::string_view reason = "wrong_password";
};

absl::StatusOr<Authenticator::Account> Authenticator::Find(const std::string& login_key) const {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store_.Read());
  const auto get = [&](std::string_view collection,
                       std::string_view id) -> absl::StatusOr<std::optional<store::Record>> {
    absl::StatusOr<store::Record> record = view->Get(base::StrCat(collection, id));
    if (absl::IsNotFound(record.status())) return std::optional<store::Record>();
    GATEPOST_RETURN_IF_ERROR(record.status());
    return std::optional<store::Record>(*std::move(record));
  };
  // Three reads, whoever it is.
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<store::Record> login, get(kLogins, login_key));
  const std::string id = login ? login->value : std::string(kNobody);
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<store::Record> user, get(kUsers, id));
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<store::Record> verifier, get(kVerifiers, id));
  Account account;
  if (!user) {
    account.reason = "unknown";
    return account;
  }
  GATEPOST_ASSIGN_OR_RETURN(account.user, UserOf(*user, store_.epoch()));
  account.name = user->key;
  account.revision = user->revision;
  if (account.user.state() != v1::User::ENABLED) {
    account.reason = "disabled";
  } else if (!verifier) {
    account.reason = "no_password";
  } else {
    account.verifier = verifier->value;
  }
  return account;
}

void Authenticator::Judge(sasl::PasswordClaim claim, std::string_view default_domain, const base::IpAddress& client,
                          std::shared_ptr<const std::atomic<bool>> cancelled, Done done) {
  const std::optional<std::string> login = PrepareLogin(WithDomain(claim.login, default_domain));
  std::optional<std::string> password = PreparePassword(claim.password);
  Wipe(&claim.password);
  std::string_view refused;
  if (!login || !password) refused = "prohibited";
  // Acting as somebody else needs a policy that maps it, and there is none: oneself alone.
  if (login && !claim.authorization.empty()) {
    const std::optional<std::string> other = PrepareLogin(WithDomain(claim.authorization, default_domain));
    if (!other || LoginKey(*other) != LoginKey(*login)) refused = "authzid";
  }

  // Names that nobody can have share one counter, which is nobody's.
  const std::string login_key = login ? LoginKey(*login) : std::string();
  if (!throttles_.Admit(login_key, client)) {
    if (password) Wipe(&*password);
    Judgement throttled;
    throttled.outcome = Outcome::kThrottled;
    throttled.reason = "throttled";
    return done(std::move(throttled));
  }

  absl::StatusOr<Account> account = Find(login_key);
  Judgement judgement;
  if (!account.ok()) {
    metrics_.store_failures.Increment();
    log_.Error("login_not_judged", {{"error", base::FromAbsl(account.status().message())}});
    judgement.reason = "store";
    return done(std::move(judgement));
  }
  if (!refused.empty()) {
    account->verifier.clear();
    account->reason = refused;
  }
  if (!password) password = "-";
  judgement.user = account->name;
  judgement.login = account->user.login();
  judgement.may_submit = account->user.may_submit();
  judgement.may_relay = account->user.may_relay();
  judgement.reason = account->reason;

  const CredentialCache::Key key = cache_.KeyOf(account->name, account->revision, *password);
  if (!account->verifier.empty() && cache_.Contains(key)) {
    metrics_.cache_hits.Increment();
    Wipe(&*password);
    judgement.outcome = Outcome::kSuccess;
    judgement.reason = "";
    throttles_.Succeeded(login_key, client);
    return done(std::move(judgement));
  }
  const FailureTag tag = throttles_.TagOf(login_key, *password);
  verifier_.Verify(
      std::move(account->verifier), *std::move(password), std::move(cancelled),
      [this, key, login_key, client, tag, judgement = std::move(judgement), done = std::move(done)](absl::StatusOr<bool> verified) mutable {
        if (!verified.ok()) {
          judgement.reason = absl::IsUnavailable(verified.status()) ? "no_slot" : "verifier";
        } else if (*verified) {
          cache_.Add(key);
          judgement.outcome = Outcome::kSuccess;
          judgement.reason = "";
          throttles_.Succeeded(login_key, client);
        } else {
          judgement.outcome = Outcome::kCredentials;
          throttles_.Failed(login_key, client, tag);
        }
        done(std::move(judgement));
      });
}

}  // namespace gatepost::auth
