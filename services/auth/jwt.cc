#include "services/auth/jwt.h"

#include <cjose/cjose.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>

#include "services/auth/json.h"
#include "services/base/base64.h"
#include "services/base/strings.h"
#include "services/sasl/mechanism.h"

namespace gatepost::auth {
namespace {

using google::protobuf::Struct;

constexpr size_t kMostJwks = 1 << 20;
constexpr size_t kMostKeys = 100;
constexpr size_t kLeastRsaBits = 2'048;
constexpr int kEcBits = 256;
// Without a key id this many keys are tried.
constexpr size_t kMostTried = 8;

struct Algorithm {
  std::string_view name;
  bool ec;
};
constexpr std::array<Algorithm, 3> kAlgorithms = {{{"RS256", false}, {"PS256", false}, {"ES256", true}}};

const Algorithm* FindAlgorithm(std::string_view name) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.name == name) return &algorithm;
  }
  return nullptr;
}

// RFC 7515 2: base64url without padding.
std::optional<std::string> DecodeUrl(std::string_view text) {
  std::string plain(text);
  for (char& c : plain) {
    if (c == '+' || c == '/' || c == '=') return std::nullopt;
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  plain.append((4 - plain.size() % 4) % 4, '=');
  return base::Base64Decode(plain);
}

struct Parts {
  Struct header, claims;
};

std::optional<Parts> Split(std::string_view token) {
  if (token.size() > sasl::kMostOctets) return std::nullopt;
  const std::vector<std::string_view> texts = base::Split(token, '.');
  if (texts.size() != 3 || texts[2].empty()) return std::nullopt;
  const std::optional<std::string> header = DecodeUrl(texts[0]), claims = DecodeUrl(texts[1]);
  // The signature too: cjose aborts on base64 of 4n + 1 characters.
  if (!header || !claims || !DecodeUrl(texts[2])) return std::nullopt;
  std::optional<Struct> header_object = ParseJsonObject(*header, token.size());
  std::optional<Struct> claims_object = ParseJsonObject(*claims, token.size());
  if (!header_object || !claims_object) return std::nullopt;
  return Parts{*std::move(header_object), *std::move(claims_object)};
}

// What cjose is given of a key: whatever else is in there is nobody's business here. nullopt: a number is missing, or
// is not base64url, on which cjose aborts.
std::optional<Struct> PublicMembers(const Struct& members, bool ec) {
  Struct plain;
  for (const char* name : {"kty", ec ? "crv" : ""}) {
    if (*name != '\0') (*plain.mutable_fields())[name].set_string_value(StringMember(members, name));
  }
  for (const char* name : {ec ? "x" : "n", ec ? "y" : "e"}) {
    const std::string number = StringMember(members, name);
    if (number.empty() || !DecodeUrl(number)) return std::nullopt;
    (*plain.mutable_fields())[name].set_string_value(number);
  }
  return plain;
}

struct ReleaseJws {
  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};

bool SignatureIsRight(std::string_view token, const cjose_jwk_t* key, std::string_view algorithm) {
  cjose_err error;
  const std::unique_ptr<cjose_jws_t, ReleaseJws> jws(cjose_jws_import(token.data(), token.size(), &error));
  if (jws == nullptr || !cjose_jws_verify(jws.get(), key, &error)) return false;
  // What was verified is what we read: a header that two parsers read differently is nobody's.
  const char* verified = cjose_header_get(cjose_jws_get_protected(jws.get()), CJOSE_HDR_ALG, &error);
  return verified != nullptr && algorithm == verified;
}

// Seconds since 1970, RFC 7519 2.
bool IsBefore(double a, double b) { return a < b; }

std::string_view JudgeClaims(const Struct& claims, const JwtRules& rules, base::WallTime now) {
  if (StringMember(claims, "iss") != rules.issuer) return "issuer";
  const std::vector<std::string> audience = StringsMember(claims, "aud");
  if (std::find(audience.begin(), audience.end(), rules.audience) == audience.end()) return "audience";
  const double seconds = std::chrono::duration<double>(now.time_since_epoch()).count();
  const auto skew = static_cast<double>(rules.skew.count());
  const std::optional<double> expires = NumberMember(claims, "exp");
  if (!expires || !std::isfinite(*expires)) return "expiry";
  if (!IsBefore(seconds, *expires + skew)) return "expired";
  for (const char* name : {"nbf", "iat"}) {
    if (!HasMember(claims, name)) continue;
    const std::optional<double> since = NumberMember(claims, name);
    if (!since || !std::isfinite(*since) || IsBefore(seconds + skew, *since)) return "not_yet_valid";
  }
  // Said of `email` by OpenID Connect; an address that somebody typed is nobody's login.
  const auto verified = claims.fields().find("email_verified");
  if (rules.login_claim == "email" && verified != claims.fields().end() && !verified->second.bool_value())
    return "email_not_verified";
  return {};
}

}  // namespace

void JwtKeys::Release::operator()(_cjose_jwk_int* key) const { cjose_jwk_release(key); }

absl::StatusOr<std::shared_ptr<const JwtKeys>> JwtKeys::Parse(std::string_view jwks) {
  const std::optional<Struct> object = ParseJsonObject(jwks, kMostJwks);
  if (!object) return absl::InvalidArgumentError("not a JSON object of at most 1 MiB");
  const auto list = object->fields().find("keys");
  if (list == object->fields().end()) return absl::InvalidArgumentError("not a JWKS: there is no member `keys`");
  auto keys = std::make_shared<JwtKeys>();
  for (const google::protobuf::Value& value : list->second.list_value().values()) {
    if (keys->keys_.size() == kMostKeys) break;
    const Struct& members = value.struct_value();
    const std::string use = StringMember(members, "use");
    Key key;
    key.kid = StringMember(members, "kid");
    key.algorithm = StringMember(members, "alg");
    const std::string type = StringMember(members, "kty");
    key.ec = type == "EC";
    if ((type != "RSA" && !key.ec) || (!use.empty() && use != "sig")) continue;
    if (!key.algorithm.empty()) {
      const Algorithm* algorithm = FindAlgorithm(key.algorithm);
      if (algorithm == nullptr || algorithm->ec != key.ec) continue;
    }
    if (key.ec && StringMember(members, "crv") != "P-256") continue;
    const std::optional<Struct> plain = PublicMembers(members, key.ec);
    if (!plain) continue;
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(*plain, &json).ok()) continue;
    cjose_err error;
    key.jwk.reset(cjose_jwk_import(json.data(), json.size(), &error));
    if (key.jwk == nullptr) continue;
    const size_t bits = cjose_jwk_get_keysize(key.jwk.get(), &error);
    if (key.ec ? bits != kEcBits : bits < kLeastRsaBits) continue;
    keys->keys_.push_back(std::move(key));
  }
  if (keys->keys_.empty()) return absl::InvalidArgumentError("the JWKS has no key for RS256, PS256 or ES256");
  return std::shared_ptr<const JwtKeys>(std::move(keys));
}

bool JwtKeys::Has(std::string_view kid) const {
  return std::any_of(keys_.begin(), keys_.end(), [&](const Key& key) { return key.kid == kid; });
}

JwtHints ReadJwtHints(std::string_view token) {
  const std::optional<Parts> parts = Split(token);
  if (!parts) return {};
  return {StringMember(parts->claims, "iss"), StringMember(parts->header, "kid")};
}

class JwtVerification {
 public:
  static bool AnyKeyVerifies(std::string_view token, const JwtKeys& keys, std::string_view kid,
                             const Algorithm& algorithm) {
    size_t tried = 0;
    for (const JwtKeys::Key& key : keys.keys_) {
      if (!kid.empty() && key.kid != kid) continue;
      if (key.ec != algorithm.ec || (!key.algorithm.empty() && key.algorithm != algorithm.name)) continue;
      if (tried++ == kMostTried) return false;
      if (SignatureIsRight(token, key.jwk.get(), algorithm.name)) return true;
    }
    return false;
  }
};

JwtVerdict VerifyJwt(std::string_view token, const JwtKeys& keys, const JwtRules& rules, base::WallTime now) {
  const std::optional<Parts> parts = Split(token);
  if (!parts) return {{}, "not_a_jwt"};
  const Algorithm* algorithm = FindAlgorithm(StringMember(parts->header, "alg"));
  if (algorithm == nullptr) return {{}, "algorithm"};
  if (HasMember(parts->header, "crit")) return {{}, "critical"};
  if (!JwtVerification::AnyKeyVerifies(token, keys, StringMember(parts->header, "kid"), *algorithm))
    return {{}, "signature"};
  if (const std::string_view reason = JudgeClaims(parts->claims, rules, now); !reason.empty()) return {{}, reason};
  std::string login = StringMember(parts->claims, rules.login_claim);
  if (login.empty()) return {{}, "login_claim"};
  return {std::move(login), {}};
}

}  // namespace gatepost::auth
