#include "services/tls/pem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <utility>

#include "services/base/strings.h"

namespace gatepost::tls::internal {
namespace {

// A PEM that wants a passphrase is refused rather than prompted for.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*unused*/) { return 0; }

bssl::UniquePtr<BIO> Reader(std::string_view text) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

}  // namespace

std::string TakeError() {
  const uint32_t error = ERR_get_error();
  char text[160] = "unknown error";
  if (error != 0) ERR_error_string_n(error, text, sizeof text);
  ERR_clear_error();
  return text;
}

std::string TakeText(BIO* bio) {
  const uint8_t* octets = nullptr;
  size_t size = 0;
  if (BIO_mem_contents(bio, &octets, &size) != 1) return {};
  return std::string(reinterpret_cast<const char*>(octets), size);
}

absl::StatusOr<std::vector<bssl::UniquePtr<X509>>> ParseCertificates(std::string_view pem, size_t most) {
  std::vector<bssl::UniquePtr<X509>> certificates;
  const bssl::UniquePtr<BIO> bio = Reader(pem);
  for (;;) {
    bssl::UniquePtr<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
    if (!certificate) {
      const uint32_t error = ERR_peek_last_error();
      const bool end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
      ERR_clear_error();
      if (!end) return absl::InvalidArgumentError("a certificate in the PEM text cannot be parsed");
      break;
    }
    if (certificates.size() == most) {
      return absl::InvalidArgumentError(base::ToAbsl(base::StrCat("more than ", most, " certificates")));
    }
    certificates.push_back(std::move(certificate));
  }
  if (certificates.empty()) return absl::InvalidArgumentError("no certificate in the PEM text");
  return certificates;
}

absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> ParsePrivateKey(std::string_view pem) {
  if (pem.size() > (32 << 10)) return absl::InvalidArgumentError("the private key is longer than 32 KiB");
  const bssl::UniquePtr<BIO> bio = Reader(pem);
  bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  if (!key) return absl::InvalidArgumentError("the private key is not an unencrypted PKCS #8, SEC1 or PKCS #1 PEM text");
  return key;
}

}  // namespace gatepost::tls::internal
