// argon2id as text: $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>. Each call takes about 30 ms of CPU and 19 MiB: made
// by the verifiers' threads alone. Passwords are prepared (prepare.h) before. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "services/base/random.h"

namespace gatepost::auth {

// RESOURCE_EXHAUSTED: no memory.
absl::StatusOr<std::string> HashPassword(std::string_view password, base::Random& random);

// Whether `text` is a hash that may be verified: of our form, parameters within bounds.
bool IsVerifiable(std::string_view text);

// True or false; RESOURCE_EXHAUSTED: no memory; DATA_LOSS: not verifiable.
absl::StatusOr<bool> VerifyPassword(std::string_view text, std::string_view password);

// The hash of a password that nobody has: what a login without a verifier is held against, so that it costs the same.
std::string MakeDecoy(base::Random& random);

}  // namespace gatepost::auth
