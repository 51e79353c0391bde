// Authenticated encryption of small secrets at rest: AES-256-GCM with a random nonce.
//
// A sealed string is: version (1 octet, 1), nonce (12), ciphertext, tag (16). `context` is authenticated with it and not
// stored: give what the secret is and whose ("certificateKeys/mail"), so that one cannot be put in another's place.
// A key must not seal more than 2^32 strings (NIST SP 800-38D, 8.3): far beyond what a configuration does.
// Thread-safe. No secret leaves in an error.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/base/random.h"

namespace gatepost::store {

// A key of 32 octets, wiped when it goes.
class SealingKey {
 public:
  static constexpr size_t kOctets = 32;

  // INVALID_ARGUMENT: not 32 octets.
  static absl::StatusOr<SealingKey> FromBytes(std::string_view bytes);
  // A file of exactly 32 octets that only its owner (or root's group, read only) may read.
  // UNAVAILABLE: it cannot be read. FAILED_PRECONDITION: others may read it, or its length is wrong.
  static absl::StatusOr<SealingKey> FromFile(const std::string& path);

  SealingKey(const SealingKey&) = default;
  SealingKey& operator=(const SealingKey&) = default;
  ~SealingKey();

  std::string Seal(std::string_view context, std::string_view plain, base::Random& random) const;

  // DATA_LOSS: not sealed with this key and context, or changed since.
  absl::StatusOr<std::string> Open(std::string_view context, std::string_view sealed) const;

 private:
  SealingKey() = default;

  std::array<uint8_t, kOctets> key_{};
};

}  // namespace gatepost::store
