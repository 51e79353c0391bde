// Limits of the auth service (limits.md, Authentication and Control plane), and what users see of them in the proto's
// comments.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace gatepost::auth {

// argon2id: OWASP's minimum. A stored hash with parameters beyond the bounds is not verified.
inline constexpr uint32_t kArgonMemoryKib = 19 * 1024;
inline constexpr uint32_t kArgonPasses = 2;
inline constexpr uint32_t kArgonLanes = 1;
inline constexpr uint32_t kMostArgonMemoryKib = 64 * 1024;
inline constexpr uint32_t kMostArgonPasses = 8;
inline constexpr uint32_t kMostArgonLanes = 4;

// SCRAM-SHA-256. What is stored beyond the bounds is not used: a client computes so many (RFC 7677 4: 4,096 at least).
inline constexpr uint32_t kScramIterations = 65'536;
inline constexpr uint32_t kLeastScramIterations = 4'096;
inline constexpr uint32_t kMostScramIterations = 1'000'000;
inline constexpr size_t kScramSaltOctets = 16;
inline constexpr size_t kMostScramText = 512;

// So long a credential waits for a verifier.
inline constexpr std::chrono::seconds kSlotWait{2};
// An exchange waits so long for its client.
inline constexpr std::chrono::seconds kExchangeIdle{60};
// In flight on one stream.
inline constexpr size_t kMostExchanges = 256;
// Answers that a stream's peer has not taken; beyond it nothing more is read from it.
inline constexpr size_t kMostUnsent = 1'024;

// Verified credentials.
inline constexpr std::chrono::minutes kCacheTime{10};
inline constexpr size_t kMostCached = 100'000;

// The longest session: revocations are told for so long.
inline constexpr std::chrono::hours kRevocationTime{24};

inline constexpr int64_t kMostUsers = 1'000'000;
inline constexpr size_t kMostDisplayNameCharacters = 100;
inline constexpr size_t kMostCertificates = 10;
inline constexpr size_t kMostRequestIdOctets = 64;
// Of one page of users.
inline constexpr size_t kMostPageOctets = 2 << 20;

}  // namespace gatepost::auth
