#include "services/tls/client_verifier.h"

#include <openssl/asn1.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/tls/certificate.h"
#include "services/tls/pem.h"
#include "services/tls/x509_facts.h"

namespace gatepost::tls::internal {
namespace {

// limits.md: client certificate.
constexpr size_t kMostChain = 5;
constexpr size_t kMostBundle = 1000;
// A client reads about 100 KiB of CertificateRequest at most, and every handshake pays for them.
constexpr size_t kMostCaNamesOctets = 8 << 10;

ClientVerifier::Judgement Refuse(const char* why, uint8_t alert) { return {why, alert, nullptr}; }

// A NUL or a control character in a name is an attempt to be read as another one.
bool NameIsPlain(X509_NAME* name) {
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    uint8_t* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
    const bool plain = size >= 0 && std::none_of(text, text + size, [](uint8_t c) { return c < 0x20 || c == 0x7f; });
    OPENSSL_free(text);
    if (!plain) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const ClientVerifier>> ClientVerifier::Make(
    std::string_view ca_bundle_pem, const std::vector<std::string>& refused_fingerprints, const base::Clock* clock) {
  GATEPOST_RETURN_IF_ERROR(CheckCaBundle(ca_bundle_pem));
  GATEPOST_ASSIGN_OR_RETURN(const auto bundle, ParseCertificates(ca_bundle_pem, kMostBundle));
  std::unique_ptr<ClientVerifier> verifier(new ClientVerifier());
  verifier->clock_ = clock;
  verifier->store_.reset(X509_STORE_new());
  if (!verifier->store_) return absl::InternalError("a store of CAs");
  size_t octets = 0;
  for (const auto& ca : bundle) {
    if (X509_STORE_add_cert(verifier->store_.get(), ca.get()) != 1) ERR_clear_error();  // it is there already
    uint8_t* der = nullptr;
    const int size = i2d_X509_NAME(X509_get_subject_name(ca.get()), &der);
    if (size <= 0) return absl::InternalError("encoding a CA's name");
    verifier->ca_names_.emplace_back(CRYPTO_BUFFER_new(der, static_cast<size_t>(size), nullptr));
    OPENSSL_free(der);
    octets += static_cast<size_t>(size);
  }
  if (octets > kMostCaNamesOctets) verifier->ca_names_.clear();
  // What is in the bundle is trusted by itself: an intermediate CA will do.
  X509_STORE_set_flags(verifier->store_.get(), X509_V_FLAG_PARTIAL_CHAIN);
  for (const std::string& text : refused_fingerprints) {
    std::string digest;
    if (text.size() != 64 || !base::HexDecode(text, &digest)) {
      return absl::InvalidArgumentError("a refused fingerprint is not 64 hexadecimal digits");
    }
    std::copy(digest.begin(), digest.end(), verifier->refused_.emplace_back().begin());
  }
  std::sort(verifier->refused_.begin(), verifier->refused_.end());
  return std::unique_ptr<const ClientVerifier>(std::move(verifier));
}

bool ClientVerifier::Refused(X509* certificate) const {
  Fingerprint fingerprint;
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), fingerprint.data(), &size) != 1) return true;
  return std::binary_search(refused_.begin(), refused_.end(), fingerprint);
}

ClientVerifier::Judgement ClientVerifier::Judge(const STACK_OF(CRYPTO_BUFFER)* chain) const {
  const size_t count = sk_CRYPTO_BUFFER_num(chain);
  if (count == 0) return Refuse("no client certificate", SSL_AD_BAD_CERTIFICATE);
  if (count > kMostChain) return Refuse("more than 5 client certificates", SSL_AD_BAD_CERTIFICATE);
  bssl::UniquePtr<X509> leaf;
  const bssl::UniquePtr<STACK_OF(X509)> others(sk_X509_new_null());
  for (size_t i = 0; i < count; ++i) {
    bssl::UniquePtr<X509> certificate(X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(chain, i)));
    ERR_clear_error();
    if (!certificate) return Refuse("a client certificate that cannot be parsed", SSL_AD_BAD_CERTIFICATE);
    if (i == 0) {
      leaf = std::move(certificate);
    } else if (!others || !bssl::PushToStack(others.get(), std::move(certificate))) {
      return Refuse("out of memory", SSL_AD_INTERNAL_ERROR);
    }
  }
  // Before the search for a path: its cost grows with the names.
  absl::StatusOr<CertificateFacts> facts = FactsOf(leaf.get());
  if (!facts.ok() || !NameIsPlain(X509_get_subject_name(leaf.get()))) {
    return Refuse("a client certificate with a name or key that is not taken", SSL_AD_BAD_CERTIFICATE);
  }

  const bssl::UniquePtr<X509_STORE_CTX> path(X509_STORE_CTX_new());
  if (!path || X509_STORE_CTX_init(path.get(), store_.get(), leaf.get(), others.get()) != 1) {
    ERR_clear_error();
    return Refuse("out of memory", SSL_AD_INTERNAL_ERROR);
  }
  // The key's use too: clientAuth, where the certificate says anything of it.
  X509_STORE_CTX_set_purpose(path.get(), X509_PURPOSE_SSL_CLIENT);
  X509_STORE_CTX_set_depth(path.get(), static_cast<int>(kMostChain));
  if (clock_ != nullptr) X509_STORE_CTX_set_time(path.get(), 0, std::chrono::system_clock::to_time_t(clock_->WallNow()));
  const bool verified = X509_verify_cert(path.get()) == 1;
  ERR_clear_error();
  if (!verified) {
    const int error = X509_STORE_CTX_get_error(path.get());
    return Refuse(X509_verify_cert_error_string(error), static_cast<uint8_t>(SSL_alert_from_verify_result(error)));
  }
  const STACK_OF(X509)* verified_path = X509_STORE_CTX_get0_chain(path.get());
  for (size_t i = 0; i < sk_X509_num(verified_path); ++i) {
    if (Refused(sk_X509_value(verified_path, i))) {
      return Refuse("a client certificate whose fingerprint is refused", SSL_AD_CERTIFICATE_REVOKED);
    }
  }
  Judgement judgement;
  judgement.certificate = std::make_shared<const ClientCertificate>(ClientCertificate{
      std::move(facts->subject), std::move(facts->emails), std::move(facts->dns_names), std::move(facts->sha256_hex)});
  return judgement;
}

}  // namespace gatepost::tls::internal
