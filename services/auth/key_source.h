// Where an issuer's JWKS comes from: a file, or a server by HTTPS. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace gatepost::auth {

class KeySource {
 public:
  virtual ~KeySource() = default;
  // The octets at a path, or at an https:// URL. Blocks, 5 s at most. UNAVAILABLE: not to be had now.
  virtual absl::StatusOr<std::string> Fetch(const std::string& location) = 0;
};

// By libcurl: no redirects, no other protocol, at most 1 MiB.
class SystemKeySource final : public KeySource {
 public:
  // `ca_file`: PEM of the CAs that are believed; empty: the system's.
  explicit SystemKeySource(std::string ca_file);
  absl::StatusOr<std::string> Fetch(const std::string& location) override;

 private:
  const std::string ca_file_;
};

}  // namespace gatepost::auth
