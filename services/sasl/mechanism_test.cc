#include "services/sasl/mechanism.h"

#include <gtest/gtest.h>

namespace gatepost::sasl {
namespace {

using std::string_literals::operator""s;

bool IsMalformed(const Step& step) { return std::holds_alternative<Malformed>(step); }

// threats.md A4.
TEST(PlainTest, TakesAuthzidLoginAndPassword) {
  const Step step = MakePlain()->First("admin\0alice@example.com\0pass word"s);
  const auto* claim = std::get_if<PasswordClaim>(&step);
  ASSERT_NE(claim, nullptr);
  EXPECT_EQ(claim->authorization, "admin");
  EXPECT_EQ(claim->login, "alice@example.com");
  EXPECT_EQ(claim->password.view(), "pass word");
}

TEST(PlainTest, AsksWithAnEmptyChallengeWhenNothingWasSent) {
  const auto plain = MakePlain();
  const Step step = plain->First(std::nullopt);
  ASSERT_TRUE(std::holds_alternative<Challenge>(step));
  EXPECT_EQ(std::get<Challenge>(step).octets, "");
  EXPECT_TRUE(std::holds_alternative<PasswordClaim>(plain->Next("\0u\0p"s)));
}

TEST(PlainTest, RefusesWrongNumbersOfNuls) {
  for (const std::string& message :
       {""s, "u"s, "u\0p"s, "\0\0"s, "\0u\0p\0x"s, "\0u\0p\0"s, "\0\0\0\0"s, "\0u\0"s, "\0\0p"s}) {
    EXPECT_TRUE(IsMalformed(MakePlain()->First(message))) << message.size();
  }
}

TEST(PlainTest, RefusesControlsInNamesAndBadUtf8Anywhere) {
  for (const std::string& message :
       {"\0u\x01\0p"s, "\0u\x7f\0p"s, "a\n\0u\0p"s, "\0\xff\0p"s, "\0u\0\xc0\x80"s, "\0\xed\xa0\x80\0p"s}) {
    EXPECT_TRUE(IsMalformed(MakePlain()->First(message)));
  }
}

TEST(PlainTest, BoundsTheNameAt255OctetsAndTheMessageAtTwelveKibOfBase64) {
  EXPECT_FALSE(IsMalformed(MakePlain()->First("\0"s + std::string(255, 'n') + "\0p"s)));
  EXPECT_TRUE(IsMalformed(MakePlain()->First("\0"s + std::string(256, 'n') + "\0p"s)));
  EXPECT_FALSE(IsMalformed(MakePlain()->First("\0u\0"s + std::string(kMostOctets - 3, 'p'))));
  EXPECT_TRUE(IsMalformed(MakePlain()->First("\0u\0"s + std::string(kMostOctets - 2, 'p'))));
}

// threats.md A5.
TEST(LoginTest, PromptsExactlyAsOutlookExpects) {
  const auto login = MakeLogin();
  Step step = login->First(std::nullopt);
  ASSERT_TRUE(std::holds_alternative<Challenge>(step));
  EXPECT_EQ(std::get<Challenge>(step).octets, "Username:");
  step = login->Next("alice");
  ASSERT_TRUE(std::holds_alternative<Challenge>(step));
  EXPECT_EQ(std::get<Challenge>(step).octets, "Password:");
  step = login->Next("secret");
  ASSERT_TRUE(std::holds_alternative<PasswordClaim>(step));
  EXPECT_EQ(std::get<PasswordClaim>(step).login, "alice");
  EXPECT_EQ(std::get<PasswordClaim>(step).password.view(), "secret");
}

TEST(LoginTest, AnInitialResponseIsTheName) {
  const auto login = MakeLogin();
  const Step step = login->First("alice");
  ASSERT_TRUE(std::holds_alternative<Challenge>(step));
  EXPECT_EQ(std::get<Challenge>(step).octets, "Password:");
  EXPECT_TRUE(std::holds_alternative<PasswordClaim>(login->Next("secret")));
}

// One exchange is one try, whoever drives it.
TEST(MechanismTest, AfterAClaimOrARefusalEverythingIsMalformed) {
  const auto plain = MakePlain();
  EXPECT_FALSE(IsMalformed(plain->First("\0u\0p"s)));
  EXPECT_TRUE(IsMalformed(plain->Next("\0u\0q"s)));
  const auto asked = MakePlain();
  asked->First(std::nullopt);
  EXPECT_TRUE(IsMalformed(asked->Next("u")));
  EXPECT_TRUE(IsMalformed(asked->Next("\0u\0p"s)));
  const auto login = MakeLogin();
  login->First("alice");
  EXPECT_FALSE(IsMalformed(login->Next("one")));
  EXPECT_TRUE(IsMalformed(login->Next("two")));
  const auto refused = MakeLogin();
  EXPECT_TRUE(IsMalformed(refused->First("")));
  EXPECT_TRUE(IsMalformed(refused->Next("alice")));
}

TEST(LoginTest, NothingIsCutAtANul) {
  EXPECT_TRUE(IsMalformed(MakeLogin()->First("alice\0admin"s)));
  const auto login = MakeLogin();
  login->First("alice");
  EXPECT_TRUE(IsMalformed(login->Next("secret\0"s)));
}

TEST(LoginTest, BoundsTheNameAt255Octets) {
  EXPECT_FALSE(IsMalformed(MakeLogin()->First(std::string(255, 'n'))));
  EXPECT_TRUE(IsMalformed(MakeLogin()->First(std::string(256, 'n'))));
}

TEST(LoginTest, EmptyNamesAndPasswordsAreMalformed) {
  EXPECT_TRUE(IsMalformed(MakeLogin()->First("")));
  const auto login = MakeLogin();
  login->First("alice");
  EXPECT_TRUE(IsMalformed(login->Next("")));
}

}  // namespace
}  // namespace gatepost::sasl
