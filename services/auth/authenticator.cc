#include "services/auth/authenticator.h"

#include <optional>
#include <utility>

#include "services/auth/account.h"
#include "services/auth/application_password.h"
#include "services/auth/prepare.h"
#include "services/base/strings.h"

namespace gatepost::auth {

Authenticator::Claim Authenticator::Prepare(sasl::PasswordClaim* claim, std::string_view default_domain,
                                            const base::IpAddress& client) {
  const std::optional<std::string> login = PrepareLogin(claim->login, default_domain);
  std::optional<base::Secret> password = PreparePassword(claim->password.view());
  claim->password.Wipe();
  Claim prepared;
  prepared.client = client;
  if (!login || !password) prepared.refused = "prohibited";
  // Acting as somebody else needs a policy that maps it, and there is none: oneself alone.
  if (login && !claim->authorization.empty()) {
    const std::optional<std::string> other = PrepareLogin(claim->authorization, default_domain);
    if (!other || LoginKey(*other) != LoginKey(*login)) prepared.refused = "authzid";
  }
  if (login) prepared.login_key = LoginKey(*login);
  prepared.password = password ? *std::move(password) : base::Secret("-");
  return prepared;
}

void Authenticator::Judge(sasl::PasswordClaim claim, std::string_view default_domain, const base::IpAddress& client,
                          std::shared_ptr<const std::atomic<bool>> cancelled, Done done) {
  Claim prepared = Prepare(&claim, default_domain, client);
  if (!throttles_.Admit(prepared.login_key, client)) {
    prepared.password.Wipe();
    return done(Throttled());
  }
  const std::string digest = DigestOf(prepared.password);
  absl::StatusOr<Account> account = FindAccount(store_, {.login_key = prepared.login_key,
                                                         .form = kPasswordForm,
                                                         .application_password = digest,
                                                         .client = client,
                                                         .now = clock_.WallNow()});
  if (!account.ok()) {
    prepared.password.Wipe();
    metrics_.store_failures.Increment();
    log_.Error("login_not_judged", {{"error", base::FromAbsl(account.status().message())}});
    Judgement judgement;
    judgement.reason = "store";
    return done(std::move(judgement));
  }
  if (directory_ != nullptr && account->name.empty() && prepared.refused.empty() &&
      directory_->Serves(prepared.login_key)) {
    return AskDirectory(std::move(prepared), std::move(cancelled), std::move(done));
  }
  if (!prepared.refused.empty()) account->Refuse(prepared.refused);
  JudgeAccount(*std::move(account), std::move(prepared), std::move(cancelled), std::move(done));
}

std::string Authenticator::DigestOf(const base::Secret& password) {
  ++digests_;
  return ApplicationPasswordDigest(application_key_, password.view());
}

FailureTag Authenticator::TagOf(const Claim& claim) {
  ++tags_;
  return throttles_.TagOf(claim.login_key, claim.password.view());
}

void Authenticator::AskDirectory(Claim claim, std::shared_ptr<const std::atomic<bool>> cancelled, Done done) {
  const FailureTag tag = TagOf(claim);
  directory_->Verify(
      claim.login_key, std::move(claim.password), std::move(cancelled),
      [this, login_key = claim.login_key, client = claim.client, tag, done = std::move(done)](DirectoryAnswer answer) {
        Judgement judgement;
        judgement.outcome = answer.outcome;
        judgement.reason = answer.reason;
        judgement.user = std::move(answer.user);
        judgement.login = std::move(answer.login);
        judgement.may_submit = answer.may_submit;
        judgement.may_relay = answer.may_relay;
        judgement.groups = std::move(answer.groups);
        judgement.addresses = std::move(answer.addresses);
        // What nobody could judge is held against nobody; and of a burst that has used up the figure meanwhile no guess is
        // answered.
        if (answer.outcome != Outcome::kUnavailable && !throttles_.Admit(login_key, client)) {
          judgement.outcome = Outcome::kThrottled;
          judgement.reason = "throttled";
        } else if (answer.outcome == Outcome::kSuccess) {
          throttles_.Succeeded(login_key, client);
        } else if (answer.outcome == Outcome::kCredentials) {
          throttles_.Failed(login_key, client, tag);
        }
        done(std::move(judgement));
      });
}

Judgement Authenticator::Admit(Judgement judgement, const std::string& login_key, const base::IpAddress& client) {
  judgement.outcome = Outcome::kSuccess;
  judgement.reason = "";
  throttles_.Succeeded(login_key, client);
  last_uses_.Note(judgement.user, judgement.credential, client);
  return judgement;
}

void Authenticator::JudgeAccount(Account account, Claim claim, std::shared_ptr<const std::atomic<bool>> cancelled,
                                 Done done) {
  Judgement judgement = JudgementOf(account);
  const CredentialCache::Key key = cache_.KeyOf(account.name, account.revision, claim.password.view());
  const bool cached = !account.secret.empty() && cache_.Contains(key);
  if (cached || account.proved()) {
    if (cached) metrics_.cache_hits.Increment();
    claim.password.Wipe();
    return done(Admit(std::move(judgement), claim.login_key, claim.client));
  }
  const FailureTag tag = TagOf(claim);
  verifier_.Verify(std::move(account.secret), std::move(claim.password), std::move(cancelled),
                   [this, key, login_key = std::move(claim.login_key), client = claim.client, tag,
                    judgement = std::move(judgement), done = std::move(done)](absl::StatusOr<bool> verified) mutable {
                     if (!verified.ok()) {
                       judgement.outcome = Outcome::kUnavailable;
                       judgement.reason = absl::IsUnavailable(verified.status()) ? "no_slot" : "verifier";
                     } else if (!throttles_.Admit(login_key, client)) {
                       // Others of a burst have used up the figure meanwhile: no guess of it is answered any more.
                       judgement.outcome = Outcome::kThrottled;
                       judgement.reason = "throttled";
                     } else if (*verified) {
                       cache_.Add(key);
                       judgement = Admit(std::move(judgement), login_key, client);
                     } else {
                       throttles_.Failed(login_key, client, tag);
                     }
                     done(std::move(judgement));
                   });
}

}  // namespace gatepost::auth
