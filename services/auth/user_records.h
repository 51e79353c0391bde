// How users lie in the store: keys, stored forms, etags.
//
//   users/{id}         v1.User without name, etag, revision, password
//   verifiers/{id}     the password's argon2id hash; the user's record is written with it, so that its revision tells
//                      of it
//   scram/{id}         what SCRAM-SHA-256 keeps of the password (scram_secret.h); likewise
//   ntHashes/{id}      its NT hash, sealed, of users with `ntlm`; likewise
//   certificates/{sha256}  the id of the user whose client certificate it is
//   logins/{key}       the id of the user with that login (prepare.h: LoginKey)
//   revocations/{id}   since when the user's sessions are revoked, in milliseconds since 1970, decimal; kept for 24 h
//
// Thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>

#include "gatepost/auth/v1/user.pb.h"
#include "services/base/clock.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

inline constexpr std::string_view kUsers = "users/";
inline constexpr std::string_view kVerifiers = "verifiers/";
inline constexpr std::string_view kScramSecrets = "scram/";
inline constexpr std::string_view kNtHashes = "ntHashes/";
inline constexpr std::string_view kCertificates = "certificates/";
inline constexpr std::string_view kLogins = "logins/";
inline constexpr std::string_view kRevocations = "revocations/";

// The id in `users/{id}`.
std::string_view IdOf(std::string_view name);
// ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$
bool IsResourceId(std::string_view id);

google::protobuf::Timestamp ToTimestamp(base::WallTime time);
std::string ToMilliseconds(base::WallTime time);
std::optional<base::WallTime> FromMilliseconds(std::string_view text);

// The stored form.
std::string Stored(v1::User user);
// As it is returned. DATA_LOSS: the record is damaged.
absl::StatusOr<v1::User> UserOf(const store::Record& record, std::string_view epoch);
// With the revision, of what is about to be returned.
void Complete(v1::User* user, std::string_view epoch, int64_t revision);
// OK if `etag` is empty or says `revision`; else ABORTED.
absl::Status CheckEtag(std::string_view etag, std::string_view epoch, int64_t revision);

}  // namespace gatepost::auth
