// From what a client claims to who it is. An unknown user, a disabled one, one without a password and a wrong password
// take the same work and get the same answer; why is for our own log. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "services/auth/credential_cache.h"
#include "services/auth/metrics.h"
#include "services/auth/throttle_ledger.h"
#include "services/auth/verifier.h"
#include "services/base/log.h"
#include "services/sasl/mechanism.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

struct Judgement {
  Outcome outcome = Outcome::kUnavailable;
  // Of a success; the user also of a failure, if it is known: for the log, never for the edge.
  std::string user;  // `users/{id}`
  std::string login;
  bool may_submit = false;
  bool may_relay = false;
  std::optional<std::string> final;  // the mechanism's last words to the client
  // For the log: "wrong_password", "unknown", "disabled", "no_password", "authzid", "prohibited", "store", "no_slot",
  // "throttled".
  std::string_view reason;
};

class Authenticator {
 public:
  using Done = std::function<void(Judgement)>;

  // The references outlive the authenticator, and the verifier's threads.
  Authenticator(store::RecordStore& store, Verifier& verifier, CredentialCache& cache, ThrottleLedger& throttles,
                base::Log& log, const Metrics& metrics)
      : store_(store), verifier_(verifier), cache_(cache), throttles_(throttles), log_(log), metrics_(metrics) {}

  // `done` is called once, on this thread or a verifier's, unless *cancelled became true first. `default_domain`:
  // appended to a login without an @, if not empty. `client`: where the failures are counted.
  void Judge(sasl::PasswordClaim claim, std::string_view default_domain, const base::IpAddress& client,
             std::shared_ptr<const std::atomic<bool>> cancelled, Done done);

 private:
  store::RecordStore& store_;
  Verifier& verifier_;
  CredentialCache& cache_;
  ThrottleLedger& throttles_;
  base::Log& log_;
  const Metrics& metrics_;
};

}  // namespace gatepost::auth
