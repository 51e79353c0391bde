// Which mechanisms can be served now, and a machine for each exchange. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <string>
#include <vector>

#include "gatepost/auth/v1/sasl_service.pb.h"
#include "services/auth/gssapi.h"
#include "services/auth/scram.h"
#include "services/auth/user_secrets.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/sasl/mechanism.h"

namespace gatepost::auth {

class Mechanisms {
 public:
  // The references outlive it. `tokens`: whether there are issuers of bearer tokens.
  Mechanisms(const UserSecrets& secrets, const GssapiServer& gssapi, bool tokens, const base::Clock& clock,
             base::Random& random);

  // What is served depends on what there is: a keytab, users with NT hashes. True: it has changed.
  bool Refresh();
  std::vector<std::string> names() const;

  // nullptr: not served, or not on this connection.
  std::unique_ptr<sasl::Mechanism> Make(const v1::Start& start) const;

 private:
  bool Serves(std::string_view name) const;
  std::unique_ptr<sasl::Mechanism> MakeNtlm(const v1::Start& start) const;
  std::unique_ptr<sasl::Mechanism> MakeGssapi(const v1::Start& start) const;

  const UserSecrets& secrets_;
  const GssapiServer& gssapi_;
  const bool tokens_;
  const base::Clock& clock_;
  base::Random& random_;
  const ScramServer scram_;
  mutable absl::Mutex mutex_;
  std::vector<std::string> names_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gatepost::auth
