// What is kept of a password for SCRAM-SHA-256 (RFC 5802 3, RFC 7677), as text (RFC 5803):
// SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "services/base/random.h"
#include "services/sasl/mechanism.h"

namespace gatepost::auth {

// Of a prepared password, with a new salt of 16 octets. 65,536 iterations take about 50 ms of CPU: made by the
// verifiers' threads alone.
std::string MakeScramSecret(std::string_view password, uint32_t iterations, base::Random& random);

// nullopt: not of that form, or its iterations are out of bounds (limits.h).
std::optional<sasl::ScramSecret> ParseScramSecret(std::string_view text);

// The same for a given salt.
sasl::ScramSecret DeriveScramSecret(std::string_view password, std::string_view salt, uint32_t iterations);

}  // namespace gatepost::auth
