// A program's own identity: certificate, key and CA bundle as files that are read anew when they change, and what the
// leaf in them says. A bundle may hold two CAs during a rotation. Replace files by rename, and certificate and key
// together (`gatepostctl pki renew` does): a pair that does not match is not taken up.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "services/base/clock.h"
#include "services/rpc/peer_identity.h"

namespace gatepost::rpc {

struct IdentityFiles {
  std::string cert;  // PEM, leaf first.
  std::string key;   // PEM.
  std::string ca;    // PEM bundle: who signs the other end's certificate.
  unsigned reload_seconds = 5;
};

struct OwnIdentity {
  PeerIdentity identity;
  base::WallTime not_after;
};

// Reads all three, so that what is missing or wrong is said at start. FAILED_PRECONDITION names the file and the
// reason; also when the leaf is not exactly one identity of ours.
absl::StatusOr<OwnIdentity> ReadOwnIdentity(const IdentityFiles& files);

// When the leaf on disk ends, in seconds since 1970; 0: it cannot be read. For the metric.
double OwnExpirySeconds(const IdentityFiles& files);
inline constexpr char kIdentityExpiryMetric[] = "gatepost_identity_expiry_timestamp_seconds";
inline constexpr char kIdentityExpiryHelp[] =
    "When the program's own certificate ends, in seconds since 1970; 0: it cannot be read.";

}  // namespace gatepost::rpc
