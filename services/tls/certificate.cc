#include "services/tls/certificate.h"

#include "services/tls/boringssl.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/tls/pem.h"
#include "services/tls/x509_facts.h"

namespace gatepost::tls {
namespace {

using base::StrCat;
using base::ToAbsl;
using internal::FactsOf;
using internal::TakeText;

constexpr size_t kMostChain = 10;
constexpr size_t kMostChainOctets = 64 << 10;
constexpr size_t kMostDnsName = 253;
constexpr size_t kMostUri = 2048;
constexpr size_t kMostBundle = 1000;
constexpr size_t kMostBundleOctets = 256 << 10;
constexpr int kOurRsaBits = 3072;

absl::Status Invalid(std::string_view text) { return absl::InvalidArgumentError(ToAbsl(text)); }
absl::Status Internal(std::string_view what) { return absl::InternalError(ToAbsl(StrCat(what, ": ", internal::TakeError()))); }

bool SetTime(ASN1_TIME* time, base::WallTime when) {
  return ASN1_TIME_adj(time, std::chrono::system_clock::to_time_t(when), 0, 0) != nullptr;
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const bssl::UniquePtr<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, const_cast<char*>(value.c_str())));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool AddName(GENERAL_NAMES* names, int type, std::string_view octets) {
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  ASN1_STRING* value = ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
  if (!name || value == nullptr || ASN1_STRING_set(value, octets.data(), static_cast<int>(octets.size())) != 1) return false;
  GENERAL_NAME_set0_value(name.get(), type, value);
  if (sk_GENERAL_NAME_push(names, name.get()) == 0) return false;
  (void)name.release();
  return true;
}

bssl::UniquePtr<GENERAL_NAMES> SubjectAltNames(const std::vector<std::string>& uris, const std::vector<std::string>& dns_names,
                                               const std::vector<base::IpAddress>& addresses) {
  bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  if (!names) return nullptr;
  for (const std::string& uri : uris) {
    if (!AddName(names.get(), GEN_URI, uri)) return nullptr;
  }
  for (const std::string& dns : dns_names) {
    if (!AddName(names.get(), GEN_DNS, dns)) return nullptr;
  }
  for (const base::IpAddress& address : addresses) {
    std::string_view octets(reinterpret_cast<const char*>(address.octets().data()), 16);
    if (address.is_v4()) octets.remove_prefix(12);
    if (!AddName(names.get(), GEN_IPADD, octets)) return nullptr;
  }
  return names;
}

bool AddSubjectAltNames(X509* certificate, const std::vector<std::string>& uris, const std::vector<std::string>& dns_names,
                        const std::vector<base::IpAddress>& addresses) {
  if (uris.empty() && dns_names.empty() && addresses.empty()) return true;
  const bssl::UniquePtr<GENERAL_NAMES> names = SubjectAltNames(uris, dns_names, addresses);
  return names && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

// Empty: left out.
bool AddAttribute(X509_NAME* name, const char* attribute, const std::string& text) {
  return text.empty() || X509_NAME_add_entry_by_txt(name, attribute, MBSTRING_UTF8, reinterpret_cast<const uint8_t*>(text.data()),
                                                    static_cast<int>(text.size()), -1, 0) == 1;
}

struct Draft {
  std::string common_name;
  int days = 0;
  base::WallTime now;
  bool is_ca = false;
  std::vector<std::string> uris;
  std::vector<std::string> dns_names;
  std::vector<base::IpAddress> addresses;
  std::string extended_key_usage;
};

// What ParseChain would refuse is not made.
absl::Status CheckNames(const std::vector<std::string>& names, size_t longest, std::string_view kind) {
  for (const std::string& name : names) {
    if (name.empty() || name.size() > longest || !base::IsPrintableAscii(name) || name.find(' ') != std::string::npos) {
      return Invalid(StrCat(kind, " must be from 1 to ", longest, " printable ASCII characters without spaces"));
    }
  }
  return absl::OkStatus();
}

// issuer == nullptr: self-signed.
absl::StatusOr<std::string> Sign(const Draft& draft, EVP_PKEY* key, X509* issuer, EVP_PKEY* signer) {
  if (draft.days < 1 || draft.days > 36'500) return Invalid("the validity must be from 1 to 36,500 days");
  GATEPOST_RETURN_IF_ERROR(CheckNames(draft.dns_names, kMostDnsName, "a DNS name"));
  GATEPOST_RETURN_IF_ERROR(CheckNames(draft.uris, kMostUri, "a URI"));
  bssl::UniquePtr<X509> certificate(X509_new());
  std::array<uint8_t, 16> serial;
  RAND_bytes(serial.data(), serial.size());
  serial[0] = static_cast<uint8_t>((serial[0] & 0x7f) | 0x40);  // positive, and always 16 octets
  const bssl::UniquePtr<BIGNUM> number(BN_bin2bn(serial.data(), serial.size(), nullptr));
  X509_NAME* subject = certificate ? X509_get_subject_name(certificate.get()) : nullptr;
  // A common name has at most 64 characters (RFC 5280); names that count are in the subjectAltName.
  const std::string common_name = draft.common_name.substr(0, 64);
  bool ok = subject != nullptr && number && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
            BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
            SetTime(X509_getm_notBefore(certificate.get()), draft.now - std::chrono::minutes(5)) &&
            SetTime(X509_getm_notAfter(certificate.get()), draft.now + std::chrono::hours(24) * draft.days) &&
            AddAttribute(subject, "CN", common_name) &&
            X509_set_issuer_name(certificate.get(), issuer != nullptr ? X509_get_subject_name(issuer) : subject) == 1 &&
            X509_set_pubkey(certificate.get(), key) == 1;
  X509* authority = issuer != nullptr ? issuer : certificate.get();
  ok = ok && AddExtension(certificate.get(), authority, NID_basic_constraints, draft.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
       // A self-signed leaf says nothing of its key's use: verifiers that trust it look at it as its own issuer.
       ((issuer == nullptr && !draft.is_ca) ||
        AddExtension(certificate.get(), authority, NID_key_usage,
                     draft.is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature")) &&
       AddExtension(certificate.get(), authority, NID_subject_key_identifier, "hash") &&
       (issuer == nullptr || AddExtension(certificate.get(), authority, NID_authority_key_identifier, "keyid:always")) &&
       (draft.extended_key_usage.empty() || AddExtension(certificate.get(), authority, NID_ext_key_usage, draft.extended_key_usage)) &&
       AddSubjectAltNames(certificate.get(), draft.uris, draft.dns_names, draft.addresses) &&
       X509_sign(certificate.get(), signer, EVP_sha256()) > 0;
  if (!ok) return Internal("making the certificate");
  const bssl::UniquePtr<BIO> out(BIO_new(BIO_s_mem()));
  if (!out || PEM_write_bio_X509(out.get(), certificate.get()) != 1) return Internal("writing the certificate");
  return TakeText(out.get());
}

}  // namespace

absl::StatusOr<std::string> GenerateKey(KeyType type) {
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (type == KeyType::kEcdsaP256) {
    const bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
    if (!key || !ec || EC_KEY_generate_key(ec.get()) != 1 || EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) != 1) return Internal("making a key");
  } else if (type == KeyType::kRsa) {
    const bssl::UniquePtr<RSA> rsa(RSA_new());
    const bssl::UniquePtr<BIGNUM> exponent(BN_new());
    if (!key || !rsa || !exponent || BN_set_word(exponent.get(), RSA_F4) != 1 ||
        RSA_generate_key_ex(rsa.get(), kOurRsaBits, exponent.get(), nullptr) != 1 || EVP_PKEY_set1_RSA(key.get(), rsa.get()) != 1) {
      return Internal("making a key");
    }
  } else {
    return Invalid("keys are made as ECDSA P-256 or RSA");
  }
  const bssl::UniquePtr<BIO> out(BIO_new(BIO_s_mem()));
  if (!out || PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) return Internal("writing a key");
  return TakeText(out.get());
}

absl::StatusOr<std::string> SelfSign(std::string_view key_pem, const SelfSignedOptions& options) {
  if (options.common_name.empty() || (options.dns_names.empty() && options.addresses.empty())) return Invalid("a certificate needs a name");
  GATEPOST_ASSIGN_OR_RETURN(const bssl::UniquePtr<EVP_PKEY> key, internal::ParsePrivateKey(key_pem));
  Draft draft{options.common_name, options.days, options.now, false, {}, options.dns_names, options.addresses, "serverAuth"};
  return Sign(draft, key.get(), nullptr, key.get());
}

absl::StatusOr<std::string> MakeSigningRequest(std::string_view key_pem, const SigningRequestOptions& options) {
  if (options.dns_names.empty()) return Invalid("a signing request needs a name");
  GATEPOST_RETURN_IF_ERROR(CheckNames(options.dns_names, kMostDnsName, "a DNS name"));
  GATEPOST_ASSIGN_OR_RETURN(const bssl::UniquePtr<EVP_PKEY> key, internal::ParsePrivateKey(key_pem));
  const bssl::UniquePtr<X509_NAME> subject(X509_NAME_new());
  const bool named = subject && AddAttribute(subject.get(), "C", options.country) && AddAttribute(subject.get(), "ST", options.state_or_province) &&
                     AddAttribute(subject.get(), "L", options.locality) && AddAttribute(subject.get(), "O", options.organization) &&
                     AddAttribute(subject.get(), "OU", options.organizational_unit) && AddAttribute(subject.get(), "CN", options.common_name);
  ERR_clear_error();
  if (!named) return Invalid("the subject has an attribute of the wrong length or alphabet");
  const bssl::UniquePtr<GENERAL_NAMES> names = SubjectAltNames({}, options.dns_names, {});
  const bssl::UniquePtr<STACK_OF(X509_EXTENSION)> extensions(sk_X509_EXTENSION_new_null());
  bssl::UniquePtr<X509_EXTENSION> extension(names ? X509V3_EXT_i2d(NID_subject_alt_name, 0, names.get()) : nullptr);
  const bssl::UniquePtr<X509_REQ> request(X509_REQ_new());
  const bool ok = extensions && extension && bssl::PushToStack(extensions.get(), std::move(extension)) && request &&
                  X509_REQ_set_version(request.get(), 0) == 1 && X509_REQ_set_subject_name(request.get(), subject.get()) == 1 &&
                  X509_REQ_set_pubkey(request.get(), key.get()) == 1 && X509_REQ_add_extensions(request.get(), extensions.get()) == 1 &&
                  X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0;
  const bssl::UniquePtr<BIO> out(BIO_new(BIO_s_mem()));
  if (!ok || !out || PEM_write_bio_X509_REQ(out.get(), request.get()) != 1) return Internal("making the signing request");
  return TakeText(out.get());
}

absl::StatusOr<std::string> MakeCa(std::string_view key_pem, const CaOptions& options) {
  GATEPOST_ASSIGN_OR_RETURN(const bssl::UniquePtr<EVP_PKEY> key, internal::ParsePrivateKey(key_pem));
  Draft draft{options.common_name, options.days, options.now, true, {}, {}, {}, ""};
  return Sign(draft, key.get(), nullptr, key.get());
}

absl::StatusOr<std::string> IssueLeaf(std::string_view ca_certificate_pem, std::string_view ca_key_pem, std::string_view key_pem,
                                      const LeafOptions& options) {
  GATEPOST_ASSIGN_OR_RETURN(const auto ca, internal::ParseCertificates(ca_certificate_pem, kMostChain));
  GATEPOST_ASSIGN_OR_RETURN(const bssl::UniquePtr<EVP_PKEY> ca_key, internal::ParsePrivateKey(ca_key_pem));
  GATEPOST_ASSIGN_OR_RETURN(const bssl::UniquePtr<EVP_PKEY> key, internal::ParsePrivateKey(key_pem));
  if (X509_check_private_key(ca.front().get(), ca_key.get()) != 1) {
    ERR_clear_error();
    return Invalid("the CA's key is not its certificate's");
  }
  Draft draft{options.common_name, options.days,      options.now,       options.is_ca,
              options.uris,        options.dns_names, options.addresses, "serverAuth,clientAuth"};
  return Sign(draft, key.get(), ca.front().get(), ca_key.get());
}

absl::StatusOr<std::vector<CertificateFacts>> ParseChain(std::string_view chain_pem) {
  if (chain_pem.size() > kMostChainOctets) return Invalid("the certificate chain is longer than 64 KiB");
  GATEPOST_ASSIGN_OR_RETURN(const auto chain, internal::ParseCertificates(chain_pem, kMostChain));
  std::vector<CertificateFacts> facts;
  for (size_t i = 0; i < chain.size(); ++i) {
    GATEPOST_ASSIGN_OR_RETURN(CertificateFacts one, FactsOf(chain[i].get()));
    facts.push_back(std::move(one));
    if (i == 0) continue;
    const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(chain[i].get()));
    const bool signed_by = key && X509_verify(chain[i - 1].get(), key.get()) == 1;
    ERR_clear_error();
    if (!signed_by) return Invalid(StrCat("certificate ", i, " of the chain is not signed by the one behind it"));
  }
  return facts;
}

absl::Status CheckCaBundle(std::string_view bundle_pem) {
  if (bundle_pem.size() > kMostBundleOctets) return Invalid("the CA bundle is longer than 256 KiB");
  return internal::ParseCertificates(bundle_pem, kMostBundle).status();
}

absl::StatusOr<KeyFacts> ParseKey(std::string_view key_pem) {
  GATEPOST_ASSIGN_OR_RETURN(const bssl::UniquePtr<EVP_PKEY> key, internal::ParsePrivateKey(key_pem));
  return FactsOf(key.get());
}

absl::Status KeyMatches(std::string_view chain_pem, std::string_view key_pem) {
  GATEPOST_ASSIGN_OR_RETURN(const auto chain, internal::ParseCertificates(chain_pem, kMostChain));
  GATEPOST_ASSIGN_OR_RETURN(const bssl::UniquePtr<EVP_PKEY> key, internal::ParsePrivateKey(key_pem));
  const bool matches = X509_check_private_key(chain.front().get(), key.get()) == 1;
  ERR_clear_error();
  return matches ? absl::OkStatus() : Invalid("the private key is not the certificate's");
}

absl::Status SignedBy(std::string_view leaf_pem, std::string_view ca_bundle_pem) {
  GATEPOST_ASSIGN_OR_RETURN(const auto chain, internal::ParseCertificates(leaf_pem, kMostChain));
  GATEPOST_ASSIGN_OR_RETURN(const auto bundle, internal::ParseCertificates(ca_bundle_pem, kMostBundle));
  for (const auto& ca : bundle) {
    const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(ca.get()));
    const bool signed_by = key && X509_verify(chain.front().get(), key.get()) == 1;
    ERR_clear_error();
    if (signed_by) return absl::OkStatus();
  }
  return Invalid("the certificate is signed by none of the CAs");
}

}  // namespace gatepost::tls
