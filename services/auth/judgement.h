// What an exchange comes to: who the client is and what it may, or why nobody is let in.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/auth/account.h"
#include "services/auth/metrics.h"

namespace gatepost::auth {

struct Judgement {
  Outcome outcome = Outcome::kUnavailable;
  // Of a success; the user also of a failure, if it is known: for the log, never for the edge.
  std::string user;  // `users/{id}`; of a directory's users: directory.h
  std::string login;
  bool may_submit = false;
  bool may_relay = false;
  std::vector<std::string> groups;     // `groups/{id}`
  std::vector<std::string> addresses;  // the user's own; empty: the login
  std::vector<std::string> senders;    // what the credential is bound to; empty: nothing
  std::string credential;              // `users/{user}/credentials/{id}`; empty: none of ours
  std::optional<std::string> final;    // the mechanism's last words to the client
  // For the log: "wrong_password", "unknown", "disabled", "no_password", "network", "expired", "authzid", "prohibited",
  // "store", "no_slot", "throttled"; of a directory also "ambiguous", "too_many_groups", "directory".
  std::string_view reason;
};

// kCredentials, with all that a success would say.
Judgement JudgementOf(const Account& account);
// The same, as a success.
Judgement Admitted(const Account& account);
Judgement Throttled();
// kCredentials, of nobody.
Judgement Refused(std::string_view reason);

}  // namespace gatepost::auth
