// Who may vouch for clients, and what is made of the chain that one shows (threats.md L6). Bounded before anything is parsed:
// the octets by the handshake (SSL_CTX_set_max_cert_list), the certificates here. Inside tls/ only; immutable, thread-safe.
#pragma once

#include "services/tls/boringssl.h"

#include <absl/status/statusor.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/clock.h"
#include "services/tls/context.h"

namespace gatepost::tls::internal {

class ClientVerifier {
 public:
  // `clock` outlives it; nullptr: the machine's. INVALID_ARGUMENT: a bundle that is none, or a fingerprint that is not 64 hexadecimal digits.
  static absl::StatusOr<std::unique_ptr<const ClientVerifier>> Make(std::string_view ca_bundle_pem,
                                                                    const std::vector<std::string>& refused_fingerprints,
                                                                    const base::Clock* clock);

  struct Judgement {
    // Why the chain is refused; nullptr: it is not. Static.
    const char* why = nullptr;
    uint8_t alert = 0;
    // Of a chain that is not refused.
    std::shared_ptr<const ClientCertificate> certificate;
  };
  // `chain`: not empty, the leaf first.
  Judgement Judge(const STACK_OF(CRYPTO_BUFFER)* chain) const;

  // The names of the CAs, DER, for the CertificateRequest; empty where they are too many to send.
  const std::vector<bssl::UniquePtr<CRYPTO_BUFFER>>& ca_names() const { return ca_names_; }

 private:
  using Fingerprint = std::array<uint8_t, 32>;

  ClientVerifier() = default;
  bool Refused(X509* certificate) const;

  const base::Clock* clock_ = nullptr;
  bssl::UniquePtr<X509_STORE> store_;
  std::vector<Fingerprint> refused_;  // sorted
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> ca_names_;
};

}  // namespace gatepost::tls::internal
