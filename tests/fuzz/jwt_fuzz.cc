// Tokens and key sets from any octets: a token up to the first line feed, a JWKS behind it. Nobody is let in who has no
// key.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "services/auth/jwt.h"
#include "services/base/check.h"

namespace {

// A key of RFC 7515 A.3.
constexpr std::string_view kKeys =
    R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gatepost::auth;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\n');
  const std::string_view token = input.substr(0, end);
  static const auto keys = JwtKeys::Parse(kKeys);
  GATEPOST_CHECK(keys.ok());
  const JwtRules rules{.issuer = "joe", .audience = "gatepost", .login_claim = "email"};
  const gatepost::base::WallTime now(std::chrono::seconds(1'300'819'000));
  ReadJwtHints(token);
  const JwtVerdict verdict = VerifyJwt(token, **keys, rules, now);
  GATEPOST_CHECK(verdict.login.empty() && !verdict.reason.empty());
  if (end == input.npos) return 0;
  const auto others = JwtKeys::Parse(input.substr(end + 1));
  if (others.ok()) {
    GATEPOST_CHECK((*others)->size() > 0);
    VerifyJwt(token, **others, rules, now);
  }
  return 0;
}
