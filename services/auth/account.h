// What the store knows of a login: three reads, whoever it is. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "gatepost/auth/v1/user.pb.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

// Without `secret` nobody can log in, and `reason` says why: "unknown", "disabled", "no_password".
struct Account {
  std::string name;  // `users/{id}`; empty: unknown
  v1::User user;
  int64_t revision = 0;
  std::string secret;  // as it is stored
  std::string_view reason = "wrong_password";
};

// `login_key`: prepare.h. `secrets`: the collection in which the secret lies (user_records.h).
absl::StatusOr<Account> FindAccount(store::RecordStore& store, std::string_view login_key, std::string_view secrets);

}  // namespace gatepost::auth
