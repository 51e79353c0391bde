// Bearer tokens that are JWTs (RFC 7519, RFC 8725): signed with RS256, PS256 or ES256 by a key of the issuer's JWKS
// (RFC 7517), verified by cjose. What cjose leaves to its caller is checked here: the algorithm is one of these three
// and the key's own, nothing is critical, and every claim. Pure; thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/clock.h"

struct _cjose_jwk_int;

namespace gatepost::auth {

// The keys of one issuer.
class JwtKeys {
 public:
  // INVALID_ARGUMENT: not a JWKS, larger than 1 MiB, or without a key that can be used. Keys of other kinds, too short
  // ones (RSA under 2,048 bits) and those meant for something else are passed over; of the rest the first 100 are
  // taken.
  static absl::StatusOr<std::shared_ptr<const JwtKeys>> Parse(std::string_view jwks);

  bool Has(std::string_view kid) const;
  size_t size() const { return keys_.size(); }

 private:
  friend class JwtVerification;
  struct Release {
    void operator()(_cjose_jwk_int* key) const;
  };
  struct Key {
    std::string kid;
    std::string algorithm;  // empty: any of its kind
    bool ec = false;
    std::unique_ptr<_cjose_jwk_int, Release> jwk;
  };
  std::vector<Key> keys_;
};

// What is read of a token before its signature is verified: to find the issuer and the key, and for nothing else.
struct JwtHints {
  std::string issuer;
  std::string kid;  // empty: none
};
// Empty hints: not a JWT.
JwtHints ReadJwtHints(std::string_view token);

struct JwtRules {
  std::string issuer;
  std::string audience;
  std::string login_claim;  // e.g. "email"
  std::chrono::seconds skew{60};
};

struct JwtVerdict {
  std::string login;        // empty: refused
  std::string_view reason;  // a word of a closed set, for our log
};
JwtVerdict VerifyJwt(std::string_view token, const JwtKeys& keys, const JwtRules& rules, base::WallTime now);

}  // namespace gatepost::auth
