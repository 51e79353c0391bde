// limits.md, "Control plane", where gRPC enforces it.
#pragma once

namespace gatepost::rpc::limits {

inline constexpr int kMessageOctets = 4 << 20;
inline constexpr int kMetadataOctets = 8 << 10;
inline constexpr int kStreamsPerConnection = 100;
inline constexpr int kUnaryDeadlineSeconds = 10;
// gRPC adds jitter to the age.
inline constexpr int kConnectionAgeMilliseconds = 10 * 60 * 1000;
inline constexpr int kConnectionGraceMilliseconds = 10 * 60 * 1000;
// Clients ping every 30 s; servers permit one every 10 s.
inline constexpr int kKeepaliveMilliseconds = 30'000;
inline constexpr int kKeepaliveTimeoutMilliseconds = 20'000;
inline constexpr int kPermittedPingMilliseconds = 10'000;
inline constexpr int kHandshakeMilliseconds = 15'000;

}  // namespace gatepost::rpc::limits
