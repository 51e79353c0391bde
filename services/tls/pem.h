// PEM texts to BoringSSL's objects; inside tls/ only.
#pragma once

#include "services/tls/boringssl.h"

#include <absl/status/statusor.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <string>
#include <string_view>
#include <vector>

namespace gatepost::tls::internal {

// The text of the first queued error, the queue cleared.
std::string TakeError();

// What has been written to a memory BIO.
std::string TakeText(BIO* bio);

// At most `most` certificates. INVALID_ARGUMENT: none, too many, or text that is none.
absl::StatusOr<std::vector<bssl::UniquePtr<X509>>> ParseCertificates(std::string_view pem, size_t most);
absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> ParsePrivateKey(std::string_view pem);

}  // namespace gatepost::tls::internal
