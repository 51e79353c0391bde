// A user's credentials as the store has them: the forms of the password, which are there when their secrets are, and
// application passwords. Thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "gatepost/auth/v1/credential.pb.h"
#include "gatepost/auth/v1/user.pb.h"
#include "services/auth/user_records.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

// nullptr: no form has this id.
const PasswordForm* FormOf(std::string_view credential_id);

// As it is returned. NOT_FOUND.
absl::StatusOr<v1::Credential> ReadCredential(store::View& view, const v1::User& user, std::string_view id,
                                              std::string_view epoch);
// All of them, by id: at most three forms and 20 application passwords.
absl::StatusOr<std::vector<v1::Credential>> ReadCredentials(store::View& view, const v1::User& user,
                                                            std::string_view epoch);

// Removes an application password; adds the writes.
absl::Status RemoveApplicationPassword(std::string_view user_id, std::string_view credential_id, store::View& view,
                                       store::Transaction* transaction);
// All of a user's.
absl::Status RemoveApplicationPasswords(std::string_view user_id, store::View& view, store::Transaction* transaction);

}  // namespace gatepost::auth
