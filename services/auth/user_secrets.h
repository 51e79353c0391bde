// What a password leaves in the store, a form for each mechanism, and what mechanisms are given of it. All forms are
// written, replaced and deleted in the transaction of the user's record. A login without a secret gets a decoy: of the
// right form, the same at each try, on every replica and after a restart, and nobody's. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "services/auth/user_records.h"
#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/base/random.h"
#include "services/sasl/mechanism.h"
#include "services/store/record_store.h"
#include "services/store/sealed.h"

namespace gatepost::auth {

// Of one password; made by the verifiers' threads.
struct PasswordSecrets {
  std::string argon2id;
  std::string scram;
  sasl::NtHash nt_hash{};
};

class UserSecrets {
 public:
  // `decoy_key`: 32 octets, shared by the replicas. The references outlive it.
  UserSecrets(store::RecordStore& store, const store::SealingKey& key, std::string decoy_key, uint32_t scram_iterations,
              base::Random& random);

  uint32_t scram_iterations() const { return scram_iterations_; }

  // Adds the writes. The NT hash is kept, sealed, with `ntlm` only.
  void Set(std::string_view user_id, const PasswordSecrets& secrets, bool ntlm, store::Transaction* transaction) const;
  void Remove(std::string_view user_id, store::Transaction* transaction) const;
  // One form alone.
  void Remove(const PasswordForm& form, std::string_view user_id, store::Transaction* transaction) const;

  struct Found {
    sasl::Provision secret;
    std::string user;  // `users/{id}`; empty: unknown
    // Not empty: it is a decoy's, and why.
    std::string_view decoy;
  };
  // `login_key`: prepare.h. `client`, `now`: what the credential may be bound to. UNAVAILABLE: the store does not
  // answer.
  absl::StatusOr<Found> Find(sasl::SecretKind kind, std::string_view login_key, const base::IpAddress& client,
                             base::WallTime now) const;

  // Whether any user has one: without, NTLM is not served.
  absl::StatusOr<bool> HasNtHashes() const;

 private:
  sasl::Provision Decoy(sasl::SecretKind kind, std::string_view login_key) const;

  store::RecordStore& store_;
  const store::SealingKey& key_;
  const std::string decoy_key_;
  const uint32_t scram_iterations_;
  base::Random& random_;
};

}  // namespace gatepost::auth
