// How users, groups and credentials lie in the store: keys, stored forms, etags.
//
//   users/{id}         v1.User without name, etag, revision, password, last use
//   logins/{key}       the id of the user with that login (prepare.h: LoginKey)
//   certificates/{sha256}  the id of the user whose client certificate it is
//   groups/{id}        v1.Group without name, etag, revision, member count
//   members/{group}/{user}  nothing: the user's record names the group
//   verifiers/{id}     the password's argon2id hash; the user's record is written with it, so that its revision tells
//                      of it
//   scram/{id}         what SCRAM-SHA-256 keeps of the password (scram_secret.h); likewise
//   ntHashes/{id}      its NT hash, sealed, of users with `ntlm`; likewise
//   applicationPasswords/{user}/{digest}  the id of the credential (application_password.h)
//   credentials/{user}/{id}  v1.Credential without name, etag, revision, last use. Of a password's forms only once
//                      somebody has bound them: without it they are bound to nothing
//   lastLogins/{user}, lastUses/{user}/{credential}  when and from where (last_uses.h)
//   revocations/{id}   since when the user's sessions are revoked, in milliseconds since 1970, decimal; kept for 24 h
//   revocations/directories/{directory}/users/{login key}  likewise of a directory's user (directory.h)
//
// Thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "gatepost/auth/v1/credential.pb.h"
#include "gatepost/auth/v1/group.pb.h"
#include "gatepost/auth/v1/user.pb.h"
#include "services/base/clock.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

inline constexpr std::string_view kUsers = "users/";
inline constexpr std::string_view kVerifiers = "verifiers/";
inline constexpr std::string_view kScramSecrets = "scram/";
inline constexpr std::string_view kNtHashes = "ntHashes/";
inline constexpr std::string_view kApplicationPasswords = "applicationPasswords/";
inline constexpr std::string_view kCertificates = "certificates/";
inline constexpr std::string_view kCredentials = "credentials/";
inline constexpr std::string_view kGroups = "groups/";
inline constexpr std::string_view kMembers = "members/";
inline constexpr std::string_view kLogins = "logins/";
inline constexpr std::string_view kLastLogins = "lastLogins/";
inline constexpr std::string_view kLastUses = "lastUses/";
inline constexpr std::string_view kRevocations = "revocations/";
inline constexpr std::string_view kDirectories = "directories/";

// A form in which a password is kept: a credential by itself, of a fixed id.
struct PasswordForm {
  v1::Credential::Kind kind;
  std::string_view credential;  // its id
  std::string_view secrets;     // the collection
};
inline constexpr PasswordForm kPasswordForm = {v1::Credential::PASSWORD, "password", kVerifiers};
inline constexpr PasswordForm kScramForm = {v1::Credential::SCRAM, "scram", kScramSecrets};
inline constexpr PasswordForm kNtHashForm = {v1::Credential::NT_HASH, "nt-hash", kNtHashes};
inline constexpr std::array kPasswordForms = {kNtHashForm, kPasswordForm, kScramForm};  // by id

// The id in `users/{id}`, `groups/{id}`.
std::string_view IdOf(std::string_view name);
// `users/{user}/credentials/{id}`
std::string CredentialName(std::string_view user_id, std::string_view id);
// `directories/{directory}/users/{login key}`
std::string DirectoryUserName(std::string_view directory, std::string_view login_key);
// ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$
bool IsResourceId(std::string_view id);

google::protobuf::Timestamp ToTimestamp(base::WallTime time);
std::string ToMilliseconds(base::WallTime time);
std::optional<base::WallTime> FromMilliseconds(std::string_view text);

// The stored form.
std::string Stored(v1::User user);
std::string Stored(v1::Group group);
std::string Stored(v1::Credential credential);
// As it is returned, but for what is not in the record. DATA_LOSS: the record is damaged.
absl::StatusOr<v1::User> UserOf(const store::Record& record, std::string_view epoch);
absl::StatusOr<v1::Group> GroupOf(const store::Record& record, std::string_view epoch);
// `name`: `users/{user}/credentials/{id}`.
absl::StatusOr<v1::Credential> CredentialOf(const store::Record& record, std::string name, std::string_view epoch);
// With the revision, of what is about to be returned.
void Complete(v1::User* user, std::string_view epoch, int64_t revision);
void Complete(v1::Group* group, std::string_view epoch, int64_t revision);
void Complete(v1::Credential* credential, std::string_view epoch, int64_t revision);
// OK if `etag` is empty or says `revision`; else ABORTED.
absl::Status CheckEtag(std::string_view etag, std::string_view epoch, int64_t revision);

// Ends the sessions that began before `now`: in the user's record, which the caller writes, and for the edges.
void RevokeSessions(v1::User* user, base::WallTime now, store::Transaction* transaction);
// The same of `users/{id}`, or of a directory's user by its whole name, for the edges alone. Since when.
base::WallTime RevokeSessions(std::string_view name, base::WallTime now, store::Transaction* transaction);
// By that name, whose the revocation under this key is.
std::string RevokedUser(std::string_view key);

}  // namespace gatepost::auth
