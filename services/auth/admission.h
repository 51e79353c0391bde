// Who has proved its identity to a mechanism, and may come in: the user's state, the right to act as whom it wants to,
// the throttles. What a mechanism proves by itself, without the verifier's threads. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <variant>

#include "gatepost/auth/v1/sasl_service.pb.h"
#include "services/auth/account.h"
#include "services/auth/judgement.h"
#include "services/auth/last_uses.h"
#include "services/auth/throttle_ledger.h"
#include "services/auth/user_secrets.h"
#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/base/log.h"
#include "services/sasl/mechanism.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

// Who asks.
struct Client {
  std::string default_domain;  // appended to a login without an @; empty: nothing is
  base::IpAddress address;     // where failures are counted
  v1::Certificate certificate;
};

class Admission {
 public:
  // The references outlive it.
  Admission(store::RecordStore& store, const UserSecrets& secrets, ThrottleLedger& throttles, LastUses& last_uses,
            const base::Clock& clock, base::Log& log, const Metrics& metrics)
      : store_(store),
        secrets_(secrets),
        throttles_(throttles),
        last_uses_(last_uses),
        clock_(clock),
        log_(log),
        metrics_(metrics) {}

  // Whom a mechanism named, and by which of the user's secrets it is to prove itself: what is needed to say later how
  // it went.
  struct Subject {
    PasswordForm form;
    std::string login_key;
    std::string user;        // `users/{id}`; empty: unknown
    std::string_view decoy;  // not empty: it was given a decoy, and why
  };
  // The secret; or how the exchange ends: throttled, or the store does not answer.
  std::variant<sasl::Provision, Judgement> FindSecret(const sasl::NeedSecret& need, const Client& client,
                                                      Subject* subject);

  // Too many have failed: the answer is "not now", whatever was proved or not.
  bool IsThrottled(const Subject& subject, const Client& client) {
    return !throttles_.Admit(subject.login_key, client.address);
  }

  // `subject`: whose secret proved it, so that what its credential is bound to holds; nullptr: none of ours did.
  Judgement Admit(const Subject* subject, std::string_view login, std::string_view authorization, const Client& client);
  // EXTERNAL: whom the client's certificate names, by a mapping, or by an e-mail address that is a login.
  Judgement AdmitCertificate(std::string_view authorization, const Client& client);
  // The mechanism refused; of a subject that was named it counts.
  Judgement Refuse(const Subject* subject, std::string_view reason, const Client& client);

 private:
  absl::StatusOr<std::string> UserOfCertificate(const v1::Certificate& certificate) const;
  Judgement Unknowable(const absl::Status& status) const;
  // Who has proved to be the user.
  Judgement AdmitUser(const std::string& login_key, const Subject* subject, const Client& client);

  store::RecordStore& store_;
  const UserSecrets& secrets_;
  ThrottleLedger& throttles_;
  LastUses& last_uses_;
  const base::Clock& clock_;
  base::Log& log_;
  const Metrics& metrics_;
};

}  // namespace gatepost::auth
