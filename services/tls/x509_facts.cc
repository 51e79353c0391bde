#include "services/tls/x509_facts.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/x509v3.h>

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/tls/pem.h"

namespace gatepost::tls::internal {
namespace {

constexpr size_t kMostNames = 100;
constexpr int kFewestRsaBits = 2048;

absl::Status Invalid(std::string_view text) { return absl::InvalidArgumentError(base::ToAbsl(text)); }

base::WallTime ToWallTime(const ASN1_TIME* time) {
  // Seconds since 1970, by way of the difference to it: BoringSSL of 2022 has no direct way.
  const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (!epoch || ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) {
    ERR_clear_error();
    return base::WallTime();
  }
  return base::WallTime(std::chrono::hours(24) * days + std::chrono::seconds(seconds));
}

std::string NameText(X509_NAME* name) {
  const bssl::UniquePtr<BIO> out(BIO_new(BIO_s_mem()));
  if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  return TakeText(out.get());
}

std::string StringOf(const ASN1_STRING* text) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), static_cast<size_t>(ASN1_STRING_length(text)));
}

absl::Status CollectNames(X509* certificate, CertificateFacts* facts) {
  int critical = 0;
  const bssl::UniquePtr<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  ERR_clear_error();
  if (!names) return absl::OkStatus();
  if (sk_GENERAL_NAME_num(names.get()) > kMostNames) return Invalid("a certificate has more than 100 names");
  for (size_t i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type);
    if (type != GEN_DNS && type != GEN_URI && type != GEN_EMAIL && type != GEN_IPADD) continue;
    const std::string text = StringOf(static_cast<const ASN1_STRING*>(value));
    if (type == GEN_IPADD) {
      if (text.size() == 4) {
        uint32_t v4 = 0;
        for (char c : text) v4 = v4 << 8 | static_cast<uint8_t>(c);
        facts->addresses.push_back(base::IpAddress::V4(v4).ToString());
      } else if (text.size() == 16) {
        std::array<uint8_t, 16> octets;
        for (size_t k = 0; k < 16; ++k) octets[k] = static_cast<uint8_t>(text[k]);
        facts->addresses.push_back(base::IpAddress::V6(octets).ToString());
      }
      continue;
    }
    // A NUL or a control octet in a name is an attempt to be read as another one.
    if (!base::IsPrintableAscii(text)) return Invalid("a name in a certificate holds octets that are not printable ASCII");
    (type == GEN_DNS ? facts->dns_names : type == GEN_URI ? facts->uris : facts->emails).push_back(text);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<KeyFacts> FactsOf(const EVP_PKEY* key) {
  KeyFacts facts;
  facts.bits = EVP_PKEY_bits(key);
  switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_EC: {
      const int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)));
      if (curve == NID_X9_62_prime256v1) {
        facts.type = KeyType::kEcdsaP256;
      } else if (curve == NID_secp384r1) {
        facts.type = KeyType::kEcdsaP384;
      } else {
        return Invalid("the key is on a curve other than P-256 and P-384");
      }
      return facts;
    }
    case EVP_PKEY_RSA:
      facts.type = KeyType::kRsa;
      if (facts.bits < kFewestRsaBits || facts.bits > 8192) return Invalid("an RSA key must have from 2,048 to 8,192 bits");
      return facts;
    default:
      return Invalid("the key is neither ECDSA nor RSA");
  }
}

absl::StatusOr<CertificateFacts> FactsOf(X509* certificate) {
  CertificateFacts facts;
  facts.subject = NameText(X509_get_subject_name(certificate));
  facts.issuer = NameText(X509_get_issuer_name(certificate));
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  facts.serial_hex = base::HexEncode(
      std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)), static_cast<size_t>(ASN1_STRING_length(serial))));
  facts.not_before = ToWallTime(X509_get0_notBefore(certificate));
  facts.not_after = ToWallTime(X509_get0_notAfter(certificate));
  const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(certificate));
  if (!key) {
    ERR_clear_error();
    return Invalid("a certificate's public key cannot be parsed");
  }
  GATEPOST_ASSIGN_OR_RETURN(const KeyFacts key_facts, FactsOf(key.get()));
  facts.key_type = key_facts.type;
  facts.key_bits = key_facts.bits;
  facts.is_ca = X509_check_ca(certificate) == 1;
  facts.self_signed = X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0 &&
                      X509_verify(certificate, key.get()) == 1;
  ERR_clear_error();
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) return absl::InternalError("hashing the certificate");
  facts.sha256_hex = base::HexEncode(std::string_view(reinterpret_cast<const char*>(digest.data()), size));
  GATEPOST_RETURN_IF_ERROR(CollectNames(certificate, &facts));
  return facts;
}

}  // namespace gatepost::tls::internal
