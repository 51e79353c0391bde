#include "services/auth/user_secrets.h"

#include <nettle/hmac.h>
#include <string.h>

#include <array>
#include <optional>
#include <utility>

#include "services/auth/account.h"
#include "services/auth/last_uses.h"
#include "services/auth/limits.h"
#include "services/auth/scram_secret.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/base/wipe.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

// What the NT hash is sealed as: one user's cannot be put in another's place.
std::string NtHashKey(std::string_view user_id) { return StrCat(kNtHashes, user_id); }

std::string Hmac(std::string_view key, std::string_view purpose, std::string_view text) {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, key.size(), reinterpret_cast<const uint8_t*>(key.data()));
  for (std::string_view part : {purpose, std::string_view("\0", 1), text})
    hmac_sha256_update(&context, part.size(), reinterpret_cast<const uint8_t*>(part.data()));
  std::string digest(SHA256_DIGEST_SIZE, '\0');
  hmac_sha256_digest(&context, digest.size(), reinterpret_cast<uint8_t*>(digest.data()));
  explicit_bzero(&context, sizeof context);
  return digest;
}

}  // namespace

UserSecrets::UserSecrets(store::RecordStore& store, const store::SealingKey& key, std::string decoy_key,
                         uint32_t scram_iterations, base::Random& random)
    : store_(store),
      key_(key),
      decoy_key_(std::move(decoy_key)),
      scram_iterations_(scram_iterations),
      random_(random) {}

void UserSecrets::Set(std::string_view user_id, const PasswordSecrets& secrets, bool ntlm,
                      store::Transaction* transaction) const {
  transaction->writes.push_back({StrCat(kVerifiers, user_id), secrets.argon2id, store::Condition::None()});
  transaction->writes.push_back({StrCat(kScramSecrets, user_id), secrets.scram, store::Condition::None()});
  if (!ntlm) return Remove(kNtHashForm, user_id, transaction);
  const std::string key = NtHashKey(user_id);
  const std::string_view hash(reinterpret_cast<const char*>(secrets.nt_hash.data()), secrets.nt_hash.size());
  transaction->writes.push_back({key, key_.Seal(key, hash, random_), store::Condition::None()});
}

void UserSecrets::Remove(std::string_view user_id, store::Transaction* transaction) const {
  for (const PasswordForm& form : kPasswordForms) Remove(form, user_id, transaction);
}

void UserSecrets::Remove(const PasswordForm& form, std::string_view user_id, store::Transaction* transaction) const {
  transaction->writes.push_back({StrCat(form.secrets, user_id), std::nullopt, store::Condition::None()});
  transaction->writes.push_back(
      {StrCat(kCredentials, user_id, "/", form.credential), std::nullopt, store::Condition::None()});
  ForgetLastUse(user_id, form.credential, transaction);
}

sasl::Provision UserSecrets::Decoy(sasl::SecretKind kind, std::string_view login_key) const {
  if (kind == sasl::SecretKind::kScramSha256) {
    return sasl::ScramSecret{.salt = Hmac(decoy_key_, "scram salt", login_key).substr(0, kScramSaltOctets),
                             .iterations = scram_iterations_,
                             .stored_key = Hmac(decoy_key_, "scram stored key", login_key),
                             .server_key = Hmac(decoy_key_, "scram server key", login_key)};
  }
  sasl::NtHash hash;
  const std::string octets = Hmac(decoy_key_, "nt hash", login_key);
  memcpy(hash.data(), octets.data(), hash.size());
  return hash;
}

absl::StatusOr<UserSecrets::Found> UserSecrets::Find(sasl::SecretKind kind, std::string_view login_key,
                                                     const base::IpAddress& client, base::WallTime now) const {
  const bool scram = kind == sasl::SecretKind::kScramSha256;
  GATEPOST_ASSIGN_OR_RETURN(const Account account, FindAccount(store_, {.login_key = login_key,
                                                                        .form = scram ? kScramForm : kNtHashForm,
                                                                        .application_password = {},
                                                                        .client = client,
                                                                        .now = now}));
  // Made for everybody, so that it costs everybody the same.
  Found found{.secret = Decoy(kind, login_key), .user = account.name, .decoy = {}};
  if (account.secret.empty()) {
    found.decoy = account.reason;
  } else if (scram) {
    std::optional<sasl::ScramSecret> secret = ParseScramSecret(account.secret);
    if (secret) {
      found.secret = *std::move(secret);
    } else {
      found.decoy = "damaged";
    }
  } else {
    absl::StatusOr<std::string> octets = key_.Open(NtHashKey(IdOf(account.name)), account.secret);
    if (octets.ok() && octets->size() == std::tuple_size<sasl::NtHash>()) {
      sasl::NtHash hash;
      memcpy(hash.data(), octets->data(), hash.size());
      base::Wipe(&*octets);
      found.secret = hash;
    } else {
      found.decoy = "damaged";
    }
  }
  return found;
}

absl::StatusOr<bool> UserSecrets::HasNtHashes() const {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store_.Read());
  bool more = false;
  GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records, view->List(kNtHashes, "", 1, 1, &more));
  return !records.empty();
}

}  // namespace gatepost::auth
