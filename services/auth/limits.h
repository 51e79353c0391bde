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

// A directory of users: a login is answered within the first, of which it waits for a connection the second at most.
inline constexpr std::chrono::seconds kDirectoryTime{4};
inline constexpr std::chrono::seconds kDirectoryWait{2};
// Logins that wait; beyond it "cannot say" comes at once.
inline constexpr size_t kMostDirectoryWaiting = 1'000;
inline constexpr int kMostDirectoryConnections = 64;
// A connection that was not used for so long is made anew, since a firewall may have forgotten it without a word;
// probes tell of it before. Many forget after some minutes.
inline constexpr std::chrono::seconds kDirectoryIdle{60};
inline constexpr int kDirectoryProbeSeconds = 20;  // first, then
inline constexpr int kDirectoryReprobeSeconds = 5;
inline constexpr int kDirectoryProbes = 3;
// A server that failed is asked again after a random time of up to the first, doubled up to the second.
inline constexpr std::chrono::seconds kDirectoryBackoffLeast{1};
inline constexpr std::chrono::seconds kDirectoryBackoffMost{15};
// What is taken of an answer, and of the file that says where the directory is.
inline constexpr size_t kMostDirectoryGroups = 100;
inline constexpr size_t kMostDirectoryAddresses = 100;
inline constexpr size_t kMostDirectoryAnswer = 1 << 20;
inline constexpr size_t kMostDirectoryPassword = 1'024;
// Logins remembered, where `cache_ttl_seconds` lets them be.
inline constexpr int kMostDirectoryCacheSeconds = 600;
inline constexpr size_t kMostDirectoryCached = 10'000;

// When a credential was last used is written once in so long; so many wait to be.
inline constexpr std::chrono::minutes kLastUseInterval{1};
inline constexpr size_t kMostLastUsesPending = 10'000;

// The longest session: revocations are told for so long.
inline constexpr std::chrono::hours kRevocationTime{24};

inline constexpr int64_t kMostUsers = 1'000'000;
inline constexpr size_t kMostDisplayNameCharacters = 100;
inline constexpr size_t kMostCertificates = 10;
inline constexpr int64_t kMostGroups = 10'000;
inline constexpr size_t kMostGroupsOfUser = 100;
// Members that one DeleteGroup takes out.
inline constexpr int64_t kMostMembersTakenOut = 10'000;
// Of them, in one commit: the store does not change meanwhile, and all of its callers wait.
inline constexpr size_t kMostMembersPerCommit = 200;
inline constexpr size_t kMostDescriptionCharacters = 1'000;
inline constexpr size_t kMostApplicationPasswords = 20;
// What a credential is bound to, and a user's own addresses.
inline constexpr size_t kMostNetworks = 100;
inline constexpr size_t kMostSenders = 100;
inline constexpr size_t kMostAddresses = 100;
inline constexpr size_t kMostRequestIdOctets = 64;
// Of one page of users.
inline constexpr size_t kMostPageOctets = 2 << 20;

}  // namespace gatepost::auth
