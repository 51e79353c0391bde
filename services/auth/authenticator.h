// From what a client claims to who it is. An unknown user, a disabled one, one without a password, a credential that is
// bound to other networks or has expired, and a wrong password take the same work and get the same answer; why is for
// our own log. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "services/auth/credential_cache.h"
#include "services/auth/directory.h"
#include "services/auth/judgement.h"
#include "services/auth/last_uses.h"
#include "services/auth/metrics.h"
#include "services/auth/throttle_ledger.h"
#include "services/auth/verifier.h"
#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/base/secret.h"
#include "services/sasl/mechanism.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

class Authenticator {
 public:
  using Done = std::function<void(Judgement)>;

  // The references outlive the authenticator, and the verifier's threads. `application_key`: application_password.h.
  // `directory`: asked about logins that are none of our users'; nullptr: there is none.
  Authenticator(store::RecordStore& store, Verifier& verifier, CredentialCache& cache, ThrottleLedger& throttles,
                LastUses& last_uses, std::string application_key, const base::Clock& clock, base::Log& log,
                const Metrics& metrics, Directory* directory = nullptr)
      : store_(store),
        verifier_(verifier),
        cache_(cache),
        throttles_(throttles),
        last_uses_(last_uses),
        application_key_(std::move(application_key)),
        clock_(clock),
        log_(log),
        metrics_(metrics),
        directory_(directory) {}

  // `done` is called once, on this thread, a verifier's or the directory's, unless *cancelled became true first. `default_domain`:
  // appended to a login without an @, if not empty. `client`: where the failures are counted.
  void Judge(sasl::PasswordClaim claim, std::string_view default_domain, const base::IpAddress& client,
             std::shared_ptr<const std::atomic<bool>> cancelled, Done done);

  // How often a password's digest, respectively a failure's tag, was computed. For tests of equal work.
  uint64_t digests() const { return digests_.load(); }
  uint64_t tags() const { return tags_.load(); }

 private:
  // What is claimed, prepared; the same for everybody.
  struct Claim {
    std::string login_key;  // names that nobody can have share one, which is nobody's
    base::Secret password;
    base::IpAddress client;
    std::string_view refused;  // not empty: why, whatever the store says
  };
  static Claim Prepare(sasl::PasswordClaim* claim, std::string_view default_domain, const base::IpAddress& client);

  std::string DigestOf(const base::Secret& password);
  FailureTag TagOf(const Claim& claim);
  // A user of ours, or nobody.
  void JudgeAccount(Account account, Claim claim, std::shared_ptr<const std::atomic<bool>> cancelled, Done done);
  // A user of the directory, or nobody: without argon2id, and for the same work whoever it is.
  void AskDirectory(Claim claim, std::shared_ptr<const std::atomic<bool>> cancelled, Done done);
  Judgement Admit(Judgement judgement, const std::string& login_key, const base::IpAddress& client);

  store::RecordStore& store_;
  Verifier& verifier_;
  CredentialCache& cache_;
  ThrottleLedger& throttles_;
  LastUses& last_uses_;
  const std::string application_key_;
  const base::Clock& clock_;
  base::Log& log_;
  const Metrics& metrics_;
  Directory* const directory_;
  std::atomic<uint64_t> digests_{0};
  std::atomic<uint64_t> tags_{0};
};

}  // namespace gatepost::auth
