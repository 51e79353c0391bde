// What keys and certificates say, as values; inside tls/ only.
#pragma once

#include "services/tls/boringssl.h"

#include <absl/status/statusor.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "services/tls/certificate.h"

namespace gatepost::tls::internal {

// INVALID_ARGUMENT: another algorithm, curve or size than ParseKey() takes.
absl::StatusOr<KeyFacts> FactsOf(const EVP_PKEY* key);

// INVALID_ARGUMENT: such a key, more than 100 names, or a name that is not printable ASCII.
absl::StatusOr<CertificateFacts> FactsOf(X509* certificate);

}  // namespace gatepost::tls::internal
