#include "services/auth/credential_records.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "services/auth/last_uses.h"
#include "services/auth/limits.h"
#include "services/auth/record_editor.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

std::string SettingsKey(std::string_view user_id, std::string_view id) {
  return StrCat(kCredentials, user_id, "/", id);
}

// The digests of a user: the keys; the ids of the credentials: the values.
absl::StatusOr<std::vector<store::Record>> ReadDigests(store::View& view, std::string_view user_id) {
  bool more = false;
  return view.List(StrCat(kApplicationPasswords, user_id, "/"), "", kMostApplicationPasswords, kMostPageOctets, &more);
}

void Remove(const store::Record& digest, std::string_view user_id, store::Transaction* transaction) {
  transaction->writes.push_back({digest.key, std::nullopt, store::Condition::None()});
  transaction->writes.push_back({SettingsKey(user_id, digest.value), std::nullopt, store::Condition::None()});
  ForgetLastUse(user_id, digest.value, transaction);
}

}  // namespace

const PasswordForm* FormOf(std::string_view credential_id) {
  const auto form = std::find_if(kPasswordForms.begin(), kPasswordForms.end(),
                                 [&](const PasswordForm& form) { return form.credential == credential_id; });
  return form == kPasswordForms.end() ? nullptr : &*form;
}

absl::StatusOr<v1::Credential> ReadCredential(store::View& view, const v1::User& user, std::string_view id,
                                              std::string_view epoch) {
  const std::string_view user_id = IdOf(user.name());
  const std::string name = CredentialName(user_id, id);
  const PasswordForm* form = FormOf(id);
  v1::Credential credential;
  const absl::StatusOr<store::Record> settings = view.Get(SettingsKey(user_id, id));
  if (settings.ok()) {
    GATEPOST_ASSIGN_OR_RETURN(credential, CredentialOf(*settings, name, epoch));
  } else if (!absl::IsNotFound(settings.status())) {
    return settings.status();
  } else if (form == nullptr) {
    return NotFound(name);
  }
  if (form != nullptr) {
    const absl::StatusOr<store::Record> secret = view.Get(StrCat(form->secrets, user_id));
    if (absl::IsNotFound(secret.status())) return NotFound(name);
    GATEPOST_RETURN_IF_ERROR(secret.status());
    credential.set_name(name);
    credential.set_kind(form->kind);
    if (!credential.has_display_name()) credential.set_display_name(std::string(id));
    *credential.mutable_create_time() = user.password_set_time();
    if (credential.update_time().seconds() < user.password_set_time().seconds())
      *credential.mutable_update_time() = user.password_set_time();
    Complete(&credential, epoch, std::max(secret->revision, settings.ok() ? settings->revision : 0));
  }
  GATEPOST_RETURN_IF_ERROR(ReadLastUse(view, &credential));
  return credential;
}

absl::StatusOr<std::vector<v1::Credential>> ReadCredentials(store::View& view, const v1::User& user,
                                                            std::string_view epoch) {
  const std::string_view user_id = IdOf(user.name());
  GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> digests, ReadDigests(view, user_id));
  std::vector<std::string> ids;
  for (const store::Record& digest : digests) ids.push_back(digest.value);
  for (const PasswordForm& form : kPasswordForms) ids.emplace_back(form.credential);
  std::sort(ids.begin(), ids.end());
  std::vector<v1::Credential> credentials;
  for (const std::string& id : ids) {
    absl::StatusOr<v1::Credential> credential = ReadCredential(view, user, id, epoch);
    if (absl::IsNotFound(credential.status())) continue;
    GATEPOST_RETURN_IF_ERROR(credential.status());
    credentials.push_back(*std::move(credential));
  }
  return credentials;
}

absl::Status RemoveApplicationPassword(std::string_view user_id, std::string_view credential_id, store::View& view,
                                       store::Transaction* transaction) {
  GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> digests, ReadDigests(view, user_id));
  for (const store::Record& digest : digests) {
    if (digest.value == credential_id) Remove(digest, user_id, transaction);
  }
  return absl::OkStatus();
}

absl::Status RemoveApplicationPasswords(std::string_view user_id, store::View& view, store::Transaction* transaction) {
  GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> digests, ReadDigests(view, user_id));
  for (const store::Record& digest : digests) Remove(digest, user_id, transaction);
  return absl::OkStatus();
}

}  // namespace gatepost::auth
