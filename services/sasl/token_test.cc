#include <gtest/gtest.h>

#include "services/sasl/mechanism.h"

namespace gatepost::sasl {
namespace {

using std::string_literals::operator""s;

bool IsMalformed(const Step& step) { return std::holds_alternative<Malformed>(step); }
// Of NeedToken; else empty.
std::string TokenOf(const Step& step) {
  const auto* need = std::get_if<NeedToken>(&step);
  return need == nullptr ? "" : need->token;
}

TEST(OauthBearerTest, TakesTheTokenAndWhoTheClientWantsToBe) {
  const auto bearer = MakeOauthBearer();
  EXPECT_EQ(TokenOf(bearer->First("n,a=alice=3D=2C@example.com,\1host=mx\1port=587\1auth=Bearer a.b-c_~+/==\1\1")),
            "a.b-c_~+/==");
  const Step step = bearer->Provide(TokenVerdict{"alice@example.com", ""});
  const auto* proved = std::get_if<Proved>(&step);
  ASSERT_NE(proved, nullptr);
  EXPECT_EQ(proved->login, "alice@example.com");
  EXPECT_EQ(proved->authorization, "alice=,@example.com");
  EXPECT_FALSE(proved->final);
}

TEST(OauthBearerTest, TakesTheShortestForms) {
  EXPECT_EQ(TokenOf(MakeOauthBearer()->First("n,,\1auth=Bearer t\1\1")), "t");
  EXPECT_EQ(TokenOf(MakeOauthBearer()->First("y,,\1auth=bEARER  t\1\1")), "t");
  const auto asked = MakeOauthBearer();
  EXPECT_TRUE(std::holds_alternative<Challenge>(asked->First(std::nullopt)));
  EXPECT_EQ(TokenOf(asked->Next("n,,\1auth=Bearer t\1\1")), "t");
}

// threats.md A5: junk ends an exchange, and never hangs it.
TEST(OauthBearerTest, RefusesWhatIsNotOfItsForm) {
  for (const std::string& message : {""s,
                                     "\1"s,
                                     "n"s,
                                     "n,,"s,
                                     "n,,\1"s,
                                     "n,,\1\1"s,
                                     "p=tls-exporter,,\1auth=Bearer t\1\1"s,
                                     "x,,\1auth=Bearer t\1\1"s,
                                     "n,b=u,\1auth=Bearer t\1\1"s,
                                     "n,a=,\1auth=Bearer t\1\1"s,
                                     "n,a=u=3,\1auth=Bearer t\1\1"s,
                                     "n,,\1auth=Bearer t\1"s,
                                     "n,,\1auth=Bearer t\1\1x"s,
                                     "n,,\1auth=Basic t\1\1"s,
                                     "n,,\1auth=Bearer \1\1"s,
                                     "n,,\1auth=Bearer t\1auth=Bearer u\1\1"s,
                                     "n,,\1=x\1auth=Bearer t\1\1"s,
                                     "n,,\1h0st=x\1auth=Bearer t\1\1"s,
                                     "n,,\1auth=Bearer t\0\1\1"s,
                                     "n,,\1auth=Bearer \xc3\xa9\1\1"s,
                                     "n,,auth=Bearer t\1\1"s}) {
    EXPECT_TRUE(IsMalformed(MakeOauthBearer()->First(message))) << message;
  }
}

// protocol.md 3: 334 with the same JSON for every reason, then whatever the client says, then 535.
TEST(OauthBearerTest, ARefusedTokenIsToldByAChallengeWhoseAnswerIsIgnored) {
  for (const std::string& answer : {"\1"s, ""s, "n,,\1auth=Bearer good\1\1"s}) {
    for (const char* reason : {"expired", "signature"}) {
      const auto bearer = MakeOauthBearer();
      bearer->First("n,,\1auth=Bearer t\1\1");
      const Step step = bearer->Provide(TokenVerdict{"", reason});
      ASSERT_TRUE(std::holds_alternative<Challenge>(step));
      EXPECT_EQ(std::get<Challenge>(step).octets, R"({"status":"invalid_token","schemes":"bearer"})");
      const Step last = bearer->Next(answer);
      ASSERT_TRUE(std::holds_alternative<Rejected>(last));
      EXPECT_EQ(std::get<Rejected>(last).reason, reason);
      EXPECT_TRUE(IsMalformed(bearer->Next(answer)));
    }
  }
}

// 454, not 535: clients drop a credential that is refused.
TEST(OauthBearerTest, ATokenThatNobodyCanJudgeIsNotRefused) {
  const auto bearer = MakeOauthBearer();
  bearer->First("n,,\1auth=Bearer t\1\1");
  EXPECT_TRUE(std::holds_alternative<Unavailable>(
      bearer->Provide(TokenVerdict{.login = "", .reason = "no_keys", .unavailable = true})));
}

TEST(Xoauth2Test, TakesUserAndToken) {
  const auto mechanism = MakeXoauth2();
  EXPECT_EQ(TokenOf(mechanism->First("user=alice@example.com\1auth=Bearer ya29.x\1\1")), "ya29.x");
  const Step step = mechanism->Provide(TokenVerdict{"alice@example.com", ""});
  ASSERT_TRUE(std::holds_alternative<Proved>(step));
  EXPECT_EQ(std::get<Proved>(step).authorization, "alice@example.com");
}

TEST(Xoauth2Test, RefusesWhatIsNotOfItsForm) {
  for (const std::string& message :
       {""s, "user=\1auth=Bearer t\1\1"s, "user=a\1auth=Bearer t\1"s, "user=a\1\1"s, "auth=Bearer t\1\1"s,
        "user=a\1auth=Bearer\1\1"s, "user=a\n\1auth=Bearer t\1\1"s}) {
    EXPECT_TRUE(IsMalformed(MakeXoauth2()->First(message))) << message;
  }
}

TEST(TokenTest, IsBoundedAtTwelveKibOfBase64) {
  const auto message = [](size_t octets) {
    const std::string head = "n,,\1auth=Bearer ", tail = "\1\1";
    return head + std::string(octets - head.size() - tail.size(), 't') + tail;
  };
  EXPECT_FALSE(IsMalformed(MakeOauthBearer()->First(message(kMostOctets))));
  EXPECT_TRUE(IsMalformed(MakeOauthBearer()->First(message(kMostOctets + 1))));
}

TEST(TokenTest, OneExchangeIsOneToken) {
  const auto bearer = MakeOauthBearer();
  bearer->First("n,,\1auth=Bearer t\1\1");
  EXPECT_TRUE(IsMalformed(bearer->Next("n,,\1auth=Bearer u\1\1")));
  EXPECT_TRUE(IsMalformed(bearer->Provide(TokenVerdict{"alice", ""})));
  EXPECT_TRUE(IsMalformed(MakeOauthBearer()->Provide(TokenVerdict{"alice", ""})));
}

TEST(ExternalTest, AsksAndTakesANameOrNone) {
  const auto external = MakeExternal();
  EXPECT_TRUE(std::holds_alternative<Challenge>(external->First(std::nullopt)));
  Step step = external->Next("");
  ASSERT_TRUE(std::holds_alternative<CertificateClaim>(step));
  EXPECT_EQ(std::get<CertificateClaim>(step).authorization, "");
  step = MakeExternal()->First("alice@example.com");
  ASSERT_TRUE(std::holds_alternative<CertificateClaim>(step));
  EXPECT_EQ(std::get<CertificateClaim>(step).authorization, "alice@example.com");
}

TEST(ExternalTest, RefusesNamesThatAreNone) {
  for (const std::string& name : {"a\0b"s, "a\n"s, "\xff"s, std::string(256, 'n')}) {
    EXPECT_TRUE(IsMalformed(MakeExternal()->First(name)));
  }
  const auto external = MakeExternal();
  external->First("alice");
  EXPECT_TRUE(IsMalformed(external->Next("bob")));
}

}  // namespace
}  // namespace gatepost::sasl
