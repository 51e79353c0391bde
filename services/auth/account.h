// What the store knows of a login: five reads, whoever it is. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "gatepost/auth/v1/credential.pb.h"
#include "gatepost/auth/v1/user.pb.h"
#include "services/auth/user_records.h"
#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

struct AccountQuery {
  std::string_view login_key;  // prepare.h
  // Which credential is wanted.
  PasswordForm form = kPasswordForm;
  // The digest of what the client presented (application_password.h); empty: nothing.
  std::string_view application_password;
  // Who asks, and when: what the credential is bound to.
  base::IpAddress client;
  base::WallTime now;
};

// Who may not log in has neither a secret nor a credential, and `reason` says why: "unknown", "disabled",
// "no_password", "network", "expired".
struct Account {
  std::string name;  // `users/{id}`; empty: unknown
  v1::User user;
  int64_t revision = 0;
  // By what the client would log in. Without a name: by nothing. An application password is proved already: its digest
  // was found.
  v1::Credential credential;
  std::string secret;  // what it is held against, as it is stored; empty for an application password
  std::string_view reason = "wrong_password";

  bool enabled() const { return !name.empty() && user.state() == v1::User::ENABLED; }
  bool proved() const { return credential.kind() == v1::Credential::APPLICATION_PASSWORD; }
  // Nobody logs in by it any more, for this reason.
  void Refuse(std::string_view why);
};

// UNAVAILABLE: the store does not answer. DATA_LOSS: a record is damaged.
absl::StatusOr<Account> FindAccount(store::RecordStore& store, const AccountQuery& query);

}  // namespace gatepost::auth
