// Bearer tokens: signatures, claims, issuers, and a source of keys that fails.
#include <absl/synchronization/notification.h>
#include <cjose/cjose.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "services/auth/jwt.h"
#include "services/auth/token_issuers.h"
#include "services/base/base64.h"
#include "services/base/fake_clock.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

constexpr char kIssuer[] = "https://issuer.example";
constexpr int64_t kNow = 1'800'000'000;

std::string EncodeUrl(std::string_view octets) {
  std::string text = base::Base64Encode(octets);
  while (text.ends_with('=')) text.pop_back();
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

// A key pair.
class Signer {
 public:
  Signer(const std::string& kid, bool ec, size_t bits = 2'048) : kid_(kid) {
    cjose_err error;
    const uint8_t exponent[] = {1, 0, 1};
    jwk_ = ec ? cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &error)
              : cjose_jwk_create_RSA_random(bits, exponent, sizeof exponent, &error);
    EXPECT_NE(jwk_, nullptr) << error.message;
    cjose_jwk_set_kid(jwk_, kid.data(), kid.size(), &error);
  }
  ~Signer() { cjose_jwk_release(jwk_); }
  // The public half, with more members.
  std::string Public(const std::string& more = "") const {
    cjose_err error;
    char* json = cjose_jwk_to_json(jwk_, false, &error);
    std::string text(json);
    free(json);
    return more.empty() ? text : text.substr(0, text.size() - 1) + "," + more + "}";
  }
  std::string Sign(const std::string& algorithm, const std::string& claims, const std::string& crit = "") const {
    cjose_err error;
    cjose_header_t* header = cjose_header_new(&error);
    cjose_header_set(header, "alg", algorithm.c_str(), &error);
    if (!kid_.empty()) cjose_header_set(header, "kid", kid_.c_str(), &error);
    if (!crit.empty()) cjose_header_set_raw(header, "crit", crit.c_str(), &error);
    cjose_jws_t* jws =
        cjose_jws_sign(jwk_, header, reinterpret_cast<const uint8_t*>(claims.data()), claims.size(), &error);
    EXPECT_NE(jws, nullptr) << error.message;
    const char* text = nullptr;
    EXPECT_TRUE(cjose_jws_export(jws, &text, &error));
    std::string token(text);
    cjose_jws_release(jws);
    cjose_header_release(header);
    return token;
  }

 private:
  const std::string kid_;
  cjose_jwk_t* jwk_ = nullptr;
};

const Signer& Rsa() {
  static const Signer signer("rsa", false);
  return signer;
}
const Signer& Ec() {
  static const Signer signer("ec", true);
  return signer;
}
std::string Jwks(const std::vector<std::string>& keys) {
  std::string text = R"({"keys":[)";
  for (size_t i = 0; i < keys.size(); ++i) text += (i == 0 ? "" : ",") + keys[i];
  return text + "]}";
}
std::string Claims(const std::string& more = "", int64_t expires = kNow + 300, const std::string& issuer = kIssuer,
                   const std::string& audience = R"("gatepost")") {
  return R"({"iss":")" + issuer + R"(","aud":)" + audience + R"(,"email":"alice@example.com","exp":)" +
         std::to_string(expires) + (more.empty() ? "" : "," + more) + "}";
}
JwtRules Rules() {
  return {.issuer = kIssuer, .audience = "gatepost", .login_claim = "email", .skew = std::chrono::seconds(60)};
}
base::WallTime At(int64_t seconds) { return base::WallTime(std::chrono::seconds(seconds)); }

// "login" or "!reason".
std::string Verify(const std::string& token, const std::string& jwks, const JwtRules& rules = Rules()) {
  const auto keys = JwtKeys::Parse(jwks);
  if (!keys.ok()) return "no keys";
  const JwtVerdict verdict = VerifyJwt(token, **keys, rules, At(kNow));
  return verdict.login.empty() ? "!" + std::string(verdict.reason) : verdict.login;
}

TEST(JwtTest, ThreeAlgorithmsAreVerified) {
  const std::string jwks = Jwks({Rsa().Public(), Ec().Public()});
  EXPECT_EQ(Verify(Rsa().Sign("RS256", Claims()), jwks), "alice@example.com");
  EXPECT_EQ(Verify(Rsa().Sign("PS256", Claims()), jwks), "alice@example.com");
  EXPECT_EQ(Verify(Ec().Sign("ES256", Claims()), jwks), "alice@example.com");
  EXPECT_EQ(Verify(Rsa().Sign("RS512", Claims()), jwks), "!algorithm");
}

TEST(JwtTest, NoneAndConfusedKeysAreRefused) {
  const std::string jwks = Jwks({Rsa().Public(), Ec().Public()});
  const std::string claims = EncodeUrl(Claims());
  EXPECT_EQ(Verify(EncodeUrl(R"({"alg":"none"})") + "." + claims + ".", jwks), "!not_a_jwt");
  EXPECT_EQ(Verify(EncodeUrl(R"({"alg":"none"})") + "." + claims + ".AAAA", jwks), "!algorithm");
  EXPECT_EQ(
      Verify(EncodeUrl(R"({"alg":"HS256","kid":"rsa"})") + "." + claims + "." + EncodeUrl(std::string(32, 'x')), jwks),
      "!algorithm");
  EXPECT_EQ(Verify(EncodeUrl(R"({"alg":"rs256"})") + "." + claims + ".AAAA", jwks), "!algorithm");
  EXPECT_EQ(Verify(EncodeUrl(R"({"alg":"ES256","kid":"rsa"})") + "." + claims + ".AAAA", jwks), "!signature");
  const Signer other("rsa", false);
  EXPECT_EQ(Verify(other.Sign("RS256", Claims()), jwks), "!signature");
  std::string changed = Rsa().Sign("RS256", Claims());
  changed.replace(changed.find('.') + 1, claims.size(), EncodeUrl(Claims("", kNow + 301)));
  EXPECT_EQ(Verify(changed, jwks), "!signature");
}

TEST(JwtTest, AKeyIsForItsOwnAlgorithmAndUse) {
  EXPECT_EQ(Verify(Rsa().Sign("PS256", Claims()), Jwks({Rsa().Public(R"("alg":"RS256")")})), "!signature");
  EXPECT_EQ(Verify(Rsa().Sign("RS256", Claims()), Jwks({Rsa().Public(R"("alg":"RS256")")})), "alice@example.com");
  EXPECT_EQ(Verify(Rsa().Sign("RS256", Claims()), Jwks({Rsa().Public(R"("use":"enc")")})), "no keys");
  EXPECT_EQ(Verify(Rsa().Sign("RS256", Claims()), Jwks({Rsa().Public(R"("alg":"RSA-OAEP")")})), "no keys");
  const Signer weak("weak", false, 1'024);
  EXPECT_EQ(Verify(weak.Sign("RS256", Claims()), Jwks({weak.Public()})), "no keys");
}

TEST(JwtTest, NothingCriticalIsUnderstood) {
  EXPECT_EQ(Verify(Rsa().Sign("RS256", Claims(), R"(["exp"])"), Jwks({Rsa().Public()})), "!critical");
}

TEST(JwtTest, ClaimsAreHeldAgainstTheIssuersRules) {
  const std::string jwks = Jwks({Ec().Public()});
  const auto verify = [&](const std::string& claims) { return Verify(Ec().Sign("ES256", claims), jwks); };
  EXPECT_EQ(verify(Claims("", kNow - 59)), "alice@example.com") << "within the skew";
  EXPECT_EQ(verify(Claims("", kNow - 60)), "!expired");
  EXPECT_EQ(verify(Claims(R"("nbf":)" + std::to_string(kNow + 60))), "alice@example.com");
  EXPECT_EQ(verify(Claims(R"("nbf":)" + std::to_string(kNow + 61))), "!not_yet_valid");
  EXPECT_EQ(verify(Claims(R"("iat":)" + std::to_string(kNow + 61))), "!not_yet_valid");
  EXPECT_EQ(verify(Claims(R"("nbf":"soon")")), "!not_yet_valid");
  EXPECT_EQ(verify(Claims("", kNow + 300, "https://other.example")), "!issuer");
  EXPECT_EQ(verify(Claims("", kNow + 300, kIssuer, R"("other")")), "!audience");
  EXPECT_EQ(verify(Claims("", kNow + 300, kIssuer, R"(["other","gatepost"])")), "alice@example.com");
  EXPECT_EQ(verify(Claims("", kNow + 300, kIssuer, "7")), "!audience");
  EXPECT_EQ(verify(Claims(R"("email_verified":false)")), "!email_not_verified");
  EXPECT_EQ(verify(Claims(R"("email_verified":true)")), "alice@example.com");
  EXPECT_EQ(verify(R"({"iss":"https://issuer.example","aud":"gatepost","email":"a@b"})"), "!expiry");
  EXPECT_EQ(verify(R"({"iss":"https://issuer.example","aud":"gatepost","exp":1e300,"email":7})"), "!login_claim");
  EXPECT_EQ(verify("[]"), "!not_a_jwt");
}

TEST(JwtTest, RefusesWhatIsNoToken) {
  const std::string jwks = Jwks({Ec().Public()});
  for (const std::string& token : {std::string(), std::string("."), std::string(".."), std::string("a.b.c"),
                                   std::string("a.b.c.d"), std::string(10'000, 'a'), std::string(5'000, '.')}) {
    EXPECT_EQ(Verify(token, jwks), "!not_a_jwt");
  }
  // cjose aborts on base64 of 4n + 1 characters.
  EXPECT_EQ(Verify(Ec().Sign("ES256", Claims()) + "AAA", jwks), "!not_a_jwt");
  EXPECT_EQ(Verify("a.b.c", Jwks({R"({"kty":"EC","crv":"P-256","x":"AAAAA","y":"AAAAA"})"})), "no keys");
  EXPECT_EQ(Verify("a.b.c", Jwks({R"({"kty":"RSA","n":"AAAAA","e":"AQAB"})"})), "no keys");
  EXPECT_EQ(Verify(EncodeUrl(std::string(2'000, '[')) + "." + EncodeUrl("{}") + ".x", jwks), "!not_a_jwt") << "depth";
}

TEST(TokenIssuersFileTest, TheFileSaysWhoseTokensAreTaken) {
  const auto issuers = ParseTokenIssuers(
      R"({"issuers":[{"name":"a","iss":"https://a","aud":"x","jwks":"/etc/a.json","login_claim":"upn","skew_seconds":10}]})");
  ASSERT_TRUE(issuers.ok()) << issuers.status();
  EXPECT_EQ(issuers->front().rules.login_claim, "upn");
  EXPECT_EQ(issuers->front().rules.skew, std::chrono::seconds(10));
  for (const char* bad :
       {"", "[]", "{}", R"({"issuers":[]})", R"({"issuers":[{"name":"a","iss":"b","aud":"c"}]})",
        R"({"issuers":[{"name":"a","iss":"b","aud":"c","jwks":"http://a/"}]})",
        R"({"issuers":[{"name":"a","iss":"b","jwks":"/a"}]})",
        R"({"issuers":[{"name":"a","iss":"b","aud":"c","jwks":"/a","skew_seconds":601}]})",
        R"({"issuers":[{"name":"a","iss":"b","aud":"c","jwks":"/a"},{"name":"a","iss":"d","aud":"c","jwks":"/a"}]})"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseTokenIssuers(bad).status())) << bad;
  }
}

class FakeSource final : public KeySource {
 public:
  absl::StatusOr<std::string> Fetch(const std::string&) override {
    absl::MutexLock lock(&mutex_);
    ++fetches_;
    if (text_.empty()) return absl::UnavailableError("down");
    return text_;
  }
  void Serve(std::string text) {
    absl::MutexLock lock(&mutex_);
    text_ = std::move(text);
  }
  int fetches() {
    absl::MutexLock lock(&mutex_);
    return fetches_;
  }

 private:
  absl::Mutex mutex_;
  std::string text_;
  int fetches_ = 0;
};

class TokenIssuersTest : public testing::Test {
 protected:
  void SetUp() override { clock_.SetWall(At(kNow)); }
  void Begin() {
    TokenIssuer issuer{.name = "issuer", .rules = Rules(), .jwks = "/keys"};
    std::vector<TokenIssuer> issuers;
    issuers.push_back(std::move(issuer));
    issuers_ = std::make_unique<TokenIssuers>(std::move(issuers), source_, clock_, log_);
  }
  std::string Ask(const std::string& token, const std::vector<std::string>& allowed = {}) {
    sasl::TokenVerdict verdict;
    absl::Notification done;
    issuers_->Judge(token, allowed, [&](sasl::TokenVerdict answer) {
      verdict = std::move(answer);
      done.Notify();
    });
    done.WaitForNotification();
    if (verdict.unavailable) return "unavailable";
    return verdict.login.empty() ? "!" + std::string(verdict.reason) : verdict.login;
  }

  base::FakeClock clock_;
  FakeSource source_;
  base::Log log_{clock_, {.fd = 2}};
  std::unique_ptr<TokenIssuers> issuers_;
};

TEST_F(TokenIssuersTest, ATokenOfAKnownIssuerIsTaken) {
  source_.Serve(Jwks({Rsa().Public()}));
  Begin();
  EXPECT_EQ(Ask(Rsa().Sign("RS256", Claims())), "alice@example.com");
  EXPECT_EQ(Ask(Rsa().Sign("RS256", Claims()), {"issuer"}), "alice@example.com");
  EXPECT_EQ(Ask(Rsa().Sign("RS256", Claims()), {"another"}), "!issuer");
  EXPECT_EQ(Ask(Rsa().Sign("RS256", Claims("", kNow + 300, "https://other.example"))), "!issuer");
  EXPECT_EQ(Ask("junk"), "!not_a_jwt");
}

TEST_F(TokenIssuersTest, WithoutKeysNobodyCanSay) {
  Begin();
  EXPECT_EQ(Ask(Rsa().Sign("RS256", Claims())), "unavailable");
  const int fetches = source_.fetches();
  EXPECT_EQ(Ask(Rsa().Sign("RS256", Claims())), "unavailable") << "within the back-off";
  EXPECT_EQ(source_.fetches(), fetches);
  source_.Serve(Jwks({Rsa().Public()}));
  clock_.Advance(std::chrono::minutes(5));
  EXPECT_EQ(Ask(Rsa().Sign("RS256", Claims())), "alice@example.com");
}

TEST_F(TokenIssuersTest, AnUnknownKeyIsAskedForAtMostEveryThirtySeconds) {
  source_.Serve(Jwks({Rsa().Public()}));
  Begin();
  EXPECT_EQ(Ask(Rsa().Sign("RS256", Claims())), "alice@example.com");
  source_.Serve(Jwks({Ec().Public()}));
  const int fetches = source_.fetches();
  EXPECT_EQ(Ask(Ec().Sign("ES256", Claims())), "!signature");
  EXPECT_EQ(source_.fetches(), fetches);
  clock_.Advance(TokenIssuers::kBetweenFetches);
  EXPECT_EQ(Ask(Ec().Sign("ES256", Claims())), "alice@example.com");
}

TEST_F(TokenIssuersTest, WhatIsKnownIsBelievedWhileTheSourceIsDown) {
  source_.Serve(Jwks({Rsa().Public()}));
  Begin();
  EXPECT_EQ(Ask(Rsa().Sign("RS256", Claims())), "alice@example.com");
  source_.Serve("");
  clock_.Advance(TokenIssuers::kRefresh);
  EXPECT_EQ(Ask(Rsa().Sign("RS256", Claims("", kNow + 3'600))), "alice@example.com");
}

}  // namespace
}  // namespace gatepost::auth
