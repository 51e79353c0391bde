#include "services/auth/authenticator.h"

#include <optional>
#include <utility>

#include "services/auth/account.h"
#include "services/auth/prepare.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
void Authenticator::Judge(sasl::PasswordClaim claim, std::string_view default_domain, const base::IpAddress& client,
                          std::shared_ptr<const std::atomic<bool>> cancelled, Done done) {
  const std::optional<std::string> login = PrepareLogin(claim.login, default_domain);
  std::optional<std::string> password = PreparePassword(claim.password);
  Wipe(&claim.password);
  std::string_view refused;
  if (!login || !password) refused = "prohibited";
  // Acting as somebody else needs a policy that maps it, and there is none: oneself alone.
  if (login && !claim.authorization.empty()) {
    const std::optional<std::string> other = PrepareLogin(claim.authorization, default_domain);
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

  absl::StatusOr<Account> account = FindAccount(store_, login_key, kVerifiers);
  Judgement judgement;
  if (!account.ok()) {
    metrics_.store_failures.Increment();
    log_.Error("login_not_judged", {{"error", base::FromAbsl(account.status().message())}});
    judgement.reason = "store";
    return done(std::move(judgement));
  }
  if (!refused.empty()) {
    account->secret.clear();
    account->reason = refused;
  }
  if (!password) password = "-";
  judgement.user = account->name;
  judgement.login = account->user.login();
  judgement.may_submit = account->user.may_submit();
  judgement.may_relay = account->user.may_relay();
  judgement.reason = account->reason;

  const CredentialCache::Key key = cache_.KeyOf(account->name, account->revision, *password);
  if (!account->secret.empty() && cache_.Contains(key)) {
    metrics_.cache_hits.Increment();
    Wipe(&*password);
    judgement.outcome = Outcome::kSuccess;
    judgement.reason = "";
    throttles_.Succeeded(login_key, client);
    return done(std::move(judgement));
  }
  const FailureTag tag = throttles_.TagOf(login_key, *password);
  verifier_.Verify(std::move(account->secret), *std::move(password), std::move(cancelled),
                   [this, key, login_key, client, tag, judgement = std::move(judgement),
                    done = std::move(done)](absl::StatusOr<bool> verified) mutable {
                     if (!verified.ok()) {
                       judgement.reason = absl::IsUnavailable(verified.status()) ? "no_slot" : "verifier";
                     } else if (!throttles_.Admit(login_key, client)) {
                       // Others of a burst have used up the figure meanwhile: no guess of it is answered any more.
                       judgement.outcome = Outcome::kThrottled;
                       judgement.reason = "throttled";
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
