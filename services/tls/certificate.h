// Keys and certificates as PEM texts: made, taken apart, held against each other. For the config service, gatepostctl pki, tests.
// No I/O; thread-safe. Nothing here puts a key into an error text.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/clock.h"
#include "services/base/ip_address.h"

namespace gatepost::tls {

enum class KeyType { kEcdsaP256, kEcdsaP384, kRsa };

// A new private key, PKCS #8 PEM. RSA: 3,072 bits. P-384 is not made here.
absl::StatusOr<std::string> GenerateKey(KeyType type);

// What a server's self-signed certificate says.
struct SelfSignedOptions {
  std::string common_name;
  std::vector<std::string> dns_names;
  std::vector<base::IpAddress> addresses;
  int days = 397;
  base::WallTime now = std::chrono::system_clock::now();
};
// A certificate for TLS servers, PEM. `key_pem` signs it. INVALID_ARGUMENT: the key, no name, or one that is longer than 253 octets
// (a URI: 2,048) or not printable ASCII; of all that are made here.
absl::StatusOr<std::string> SelfSign(std::string_view key_pem, const SelfSignedOptions& options);

// What a CA is asked to sign (PKCS #10, RFC 2986). Empty attributes are left out.
struct SigningRequestOptions {
  std::string common_name;  // at most 64 characters
  std::string organization;
  std::string organizational_unit;
  std::string locality;
  std::string state_or_province;
  std::string country;  // two capital letters
  std::vector<std::string> dns_names;
};
// The request, PEM; `key_pem` signs it. INVALID_ARGUMENT: the key, no name, or one as of SelfSign(); an attribute that X.520 refuses.
absl::StatusOr<std::string> MakeSigningRequest(std::string_view key_pem, const SigningRequestOptions& options);

// A CA of our own for service identities.
struct CaOptions {
  std::string common_name;
  int days = 3653;
  base::WallTime now = std::chrono::system_clock::now();
};
absl::StatusOr<std::string> MakeCa(std::string_view key_pem, const CaOptions& options);

// A leaf of that CA for mTLS, client and server alike. `is_ca` and more than one URI exist for the tests of who refuses them.
struct LeafOptions {
  std::string common_name;
  std::vector<std::string> uris;
  std::vector<std::string> dns_names;
  std::vector<base::IpAddress> addresses;
  int days = 397;
  bool is_ca = false;
  base::WallTime now = std::chrono::system_clock::now();
};
absl::StatusOr<std::string> IssueLeaf(std::string_view ca_certificate_pem, std::string_view ca_key_pem, std::string_view key_pem,
                                      const LeafOptions& options);

// What a certificate says.
struct CertificateFacts {
  std::string subject;  // RFC 2253
  std::string issuer;
  std::string serial_hex;
  std::vector<std::string> dns_names;
  std::vector<std::string> addresses;
  std::vector<std::string> uris;
  std::vector<std::string> emails;
  base::WallTime not_before;
  base::WallTime not_after;
  KeyType key_type = KeyType::kEcdsaP256;
  int key_bits = 0;
  bool is_ca = false;
  bool self_signed = false;
  std::string sha256_hex;  // of the DER
};

// A PEM chain, the leaf first: at most 10 certificates, 64 KiB, 100 names each. Each must be signed by the next.
// INVALID_ARGUMENT says what is wrong.
absl::StatusOr<std::vector<CertificateFacts>> ParseChain(std::string_view chain_pem);

// Same, for a bundle of CAs: any number up to 256 KiB, in any order.
absl::Status CheckCaBundle(std::string_view bundle_pem);

struct KeyFacts {
  KeyType type = KeyType::kEcdsaP256;
  int bits = 0;
};
// PKCS #8, SEC1 or PKCS #1, not encrypted; ECDSA P-256 or P-384, or RSA of 2,048 bits and more. INVALID_ARGUMENT else.
absl::StatusOr<KeyFacts> ParseKey(std::string_view key_pem);

// OK when the key is the first certificate's. INVALID_ARGUMENT else.
absl::Status KeyMatches(std::string_view chain_pem, std::string_view key_pem);

// OK when `chain_pem`'s leaf is signed by one of the CAs (no look at time or names).
absl::Status SignedBy(std::string_view leaf_pem, std::string_view ca_bundle_pem);

}  // namespace gatepost::tls
