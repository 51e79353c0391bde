// A folder with a certificate authority of one's own, for those without cert-manager or SPIRE: operations.md,
// "Identities".
//
//   ca.crt, ca.key             the CA, 10 years
//   trust-domain               the trust domain of all identities, one line
//   master.key, snapshot.key   32 random octets each: what services seal their databases and snapshots with
//   ROLE-NAME.crt, .key        an identity, 397 days: one URI SAN spiffe://<trust domain>/gatepost/<role>/<name>
//
// The folder is 0700, keys are 0600, files are replaced atomically; nothing is overwritten but by Renew. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/base/random.h"

namespace gatepost::ctl {

inline constexpr int kCaDays = 3653;
inline constexpr int kLeafDays = 397;

class PkiFolder {
 public:
  PkiFolder(std::string path, const base::Clock& clock, base::Random& random)
      : path_(std::move(path)), clock_(clock), random_(random) {}

  // Makes the CA and the two keys. ALREADY_EXISTS: there is a CA. INVALID_ARGUMENT: not a trust domain.
  absl::Status Init(std::string_view trust_domain);

  struct Identity {
    std::string role;
    std::string name;
    std::vector<std::string> dns_names;
    std::vector<base::IpAddress> addresses;
  };
  // The SPIFFE id. ALREADY_EXISTS: the files are there. INVALID_ARGUMENT: role or name. FAILED_PRECONDITION: no CA, or
  // it has expired.
  absl::StatusOr<std::string> Issue(const Identity& identity);

  struct Renewal {
    std::string file;
    base::WallTime not_after;
    bool renewed = false;
  };
  // Every identity with less than a third of its life left gets a new certificate for the same names and the same key
  // (so that a program which reads both files never sees halves of two pairs). The CA itself is reported, never
  // renewed.
  absl::StatusOr<std::vector<Renewal>> Renew();

  std::string File(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  absl::Status WriteNew(std::string_view name, std::string_view content, unsigned mode) const;

  const std::string path_;
  const base::Clock& clock_;
  base::Random& random_;
};

}  // namespace gatepost::ctl
