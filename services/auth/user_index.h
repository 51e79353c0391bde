// What else the store keeps of a user's record so that it is found, and stays consistent: by login, by client
// certificate, by group. Written in the transaction of the record. Thread-safe.
#pragma once

#include <absl/status/status.h>

#include "gatepost/auth/v1/user.pb.h"
#include "services/auth/field_checks.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

// `members/{group}/{user}`
std::string MemberKey(std::string_view group_id, std::string_view user_id);

// Makes the index of `before` that of `after`; a message of which only the name is set stands for a user who is not
// there. INVALID_ARGUMENT: a group does not exist; `asked_groups`, the request's, number the violations. ALREADY_EXISTS: a
// certificate is another user's (ErrorInfo's reason CERTIFICATE_TAKEN). A login that is another user's fails the commit:
// ALREADY_EXISTS.
absl::Status WriteIndex(const v1::User& before, const v1::User& after, const Texts& asked_groups, store::View& view,
                        store::Transaction* transaction);

// ALREADY_EXISTS (LOGIN_TAKEN): another user has this user's login.
absl::Status CheckLoginIsFree(const v1::User& user, store::View& view);

}  // namespace gatepost::auth
