#include "services/auth/admission.h"

#include <memory>
#include <optional>
#include <utility>

#include "services/auth/account.h"
#include "services/auth/prepare.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
Judgement Admission::Unknowable(const absl::Status& status) const {
  metrics_.store_failures.Increment();
  log_.Error("login_not_judged", {{"error", base::FromAbsl(status.message())}});
  Judgement judgement;
  judgement.reason = "store";
  return judgement;
}

std::variant<sasl::Provision, Judgement> Admission::FindSecret(const sasl::NeedSecret& need, const Client& client,
                                                               Subject* subject) {
  // A name that nobody can have is one that nobody has.
  const std::optional<std::string> login = PrepareLogin(need.login, client.default_domain);
  subject->login_key = login ? LoginKey(*login) : std::string();
  subject->form = need.kind == sasl::SecretKind::kScramSha256 ? kScramForm : kNtHashForm;
  if (IsThrottled(*subject, client)) return Throttled();
  absl::StatusOr<UserSecrets::Found> found =
      secrets_.Find(need.kind, subject->login_key, client.address, clock_.WallNow());
  if (!found.ok()) return Unknowable(found.status());
  subject->user = std::move(found->user);
  subject->decoy = found->decoy;
  return std::move(found->secret);
}

Judgement Admission::Admit(const Subject* subject, std::string_view login, std::string_view authorization,
                           const Client& client) {
  const std::optional<std::string> prepared = PrepareLogin(login, client.default_domain);
  if (!prepared) return Refused("prohibited");
  // Acting as somebody else needs a policy that maps it, and there is none: oneself alone.
  if (!authorization.empty()) {
    const std::optional<std::string> other = PrepareLogin(authorization, client.default_domain);
    if (!other || LoginKey(*other) != LoginKey(*prepared)) return Refused("authzid");
  }
  return AdmitUser(LoginKey(*prepared), subject, client);
}

Judgement Admission::AdmitUser(const std::string& login_key, const Subject* subject, const Client& client) {
  AccountQuery query{.login_key = login_key, .client = client.address, .now = clock_.WallNow()};
  if (subject != nullptr) query.form = subject->form;
  absl::StatusOr<Account> account = FindAccount(store_, query);
  if (!account.ok()) return Unknowable(account.status());
  if (!account->enabled()) return JudgementOf(*account);
  if (subject == nullptr) {
    // A user without a password of ours, or whose password is for other networks, has proved another thing.
    account->credential.Clear();
  } else if (account->secret.empty()) {
    // Bound otherwise, or revoked, since it was given to the mechanism.
    return JudgementOf(*account);
  }
  throttles_.Succeeded(LoginKey(account->user.login()), client.address);
  last_uses_.Note(account->name, account->credential.name(), client.address);
  return Admitted(*account);
}

// The login key; empty: the certificate names nobody.
absl::StatusOr<std::string> Admission::UserOfCertificate(const v1::Certificate& certificate) const {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store_.Read());
  absl::StatusOr<store::Record> mapped = view->Get(base::StrCat(kCertificates, certificate.sha256()));
  if (mapped.ok()) {
    GATEPOST_ASSIGN_OR_RETURN(const store::Record record, view->Get(base::StrCat(kUsers, mapped->value)));
    GATEPOST_ASSIGN_OR_RETURN(const v1::User user, UserOf(record, store_.epoch()));
    return LoginKey(user.login());
  }
  if (!absl::IsNotFound(mapped.status())) return mapped.status();
  for (const std::string& email : certificate.emails()) {
    const std::optional<std::string> login = PrepareLogin(email);
    if (!login) continue;
    const absl::StatusOr<store::Record> known = view->Get(base::StrCat(kLogins, LoginKey(*login)));
    if (known.ok()) return LoginKey(*login);
    if (!absl::IsNotFound(known.status())) return known.status();
  }
  return std::string();
}

Judgement Admission::AdmitCertificate(std::string_view authorization, const Client& client) {
  if (client.certificate.sha256().empty()) return Refused("no_certificate");
  const absl::StatusOr<std::string> login_key = UserOfCertificate(client.certificate);
  if (!login_key.ok()) return Unknowable(login_key.status());
  if (login_key->empty()) return Refused("unknown");
  if (!authorization.empty()) {
    const std::optional<std::string> other = PrepareLogin(authorization, client.default_domain);
    if (!other || LoginKey(*other) != *login_key) return Refused("authzid");
  }
  return AdmitUser(*login_key, /*subject=*/nullptr, client);
}

Judgement Admission::Refuse(const Subject* subject, std::string_view reason, const Client& client) {
  if (subject == nullptr) return Refused(reason);
  if (IsThrottled(*subject, client)) return Throttled();
  throttles_.Failed(subject->login_key, client.address, std::nullopt);
  Judgement judgement = Refused(subject->decoy.empty() ? reason : subject->decoy);
  judgement.user = subject->user;
  return judgement;
}

}  // namespace gatepost::auth
