// Filters and distinguished names out of octets of strangers (threats.md, "LDAP injection").
#include "services/auth/ldap_text.h"

#include <gtest/gtest.h>

namespace gatepost::auth {
namespace {

// RFC 4515 3: `(`, `)`, `*`, `\` and NUL are escaped; every other octet may be.
TEST(FilterTest, EveryOctetStandsForItselfAlone) {
  EXPECT_EQ(EscapeFilterValue("alice@example.com"), "alice@example.com");
  EXPECT_EQ(EscapeFilterValue("*"), "\\2a");
  EXPECT_EQ(EscapeFilterValue("x)(uid=*"), "x\\29\\28uid=\\2a");
  EXPECT_EQ(EscapeFilterValue(std::string("a\0b", 3)), "a\\00b");
  EXPECT_EQ(EscapeFilterValue("\\00"), "\\5c00");
  EXPECT_EQ(EscapeFilterValue("j\xc3\xb6rg "), "j\\c3\\b6rg\\20");
  EXPECT_EQ(EscapeFilterValue(""), "");
  for (int octet = 0; octet < 256; ++octet) {
    const std::string escaped = EscapeFilterValue(std::string(1, static_cast<char>(octet)));
    if (escaped.size() == 1) {
      EXPECT_TRUE(octet > 0x20 && octet < 0x7f && escaped.find_first_of("()*\\") == escaped.npos) << octet;
    } else {
      ASSERT_EQ(escaped.size(), 3u);
      EXPECT_EQ(std::stoi(escaped.substr(1), nullptr, 16), octet);
    }
  }
}

TEST(FilterTest, APlaceholderIsAllOfAValue) {
  const std::optional<FilterTemplate> filter = FilterTemplate::Parse("(&(objectClass=person)(|(mail={login})(x=y)))");
  ASSERT_TRUE(filter);
  EXPECT_EQ(filter->placeholder(), Placeholder::kLogin);
  EXPECT_EQ(filter->With("a*"), "(&(objectClass=person)(|(mail=a\\2a)(x=y)))");
  EXPECT_EQ(FilterTemplate::Parse("(uid={local_part})")->placeholder(), Placeholder::kLocalPart);
  EXPECT_EQ(FilterTemplate::Parse("(member:1.2.840.113556.1.4.1941:={dn})")->With("cn=x,dc=y"),
            "(member:1.2.840.113556.1.4.1941:=cn=x,dc=y)");
  for (const char* bad :
       {"", "(mail=x)", "(mail={login}*)", "(mail=*{login})", "(mail={login})(uid={login})", "(&(mail={login})(uid={login}))",
        "(&(mail={login})(member={dn}))", "mail={login}", "(mail={login}", "(mail={login}))", "({login}=x)", "(={login})",
        "(&mail={login})", "(mail={user})", "((mail={login}))", "(&(mail={login})x)", "x(mail={login})", "()(mail={login})",
        "(&)(mail={login})", "(!)(mail={login})"}) {
    EXPECT_FALSE(FilterTemplate::Parse(bad)) << bad;
  }
  std::string deep = "(mail={login})";
  for (int depth = 1; depth < 20; ++depth) deep = "(!" + deep + ")";
  EXPECT_TRUE(FilterTemplate::Parse(deep));
  EXPECT_FALSE(FilterTemplate::Parse("(!" + deep + ")")) << "deeper than 20";
}

TEST(DnTest, SpellingsOfOneNameAreOneKey) {
  const std::optional<std::string> key = DnKey("cn=Relay Users,ou=groups,dc=example,dc=com");
  ASSERT_TRUE(key);
  EXPECT_EQ(DnKey("CN=relay users, OU=Groups , DC=Example,DC=COM"), key);
  EXPECT_EQ(DnKey("cn=Relay\\20Users,ou=groups,dc=example,dc=com"), key);
  EXPECT_EQ(DnKey("cn=a+uid=b,dc=x"), DnKey("uid=b+cn=a,dc=x"));
  EXPECT_EQ(DnKey("cn=M\\C3\\BCller\\, J,dc=x"), DnKey("cn=M\xc3\xbcller\\2c J,dc=x"));
}

TEST(DnTest, DifferentNamesAreDifferentKeys) {
  const std::optional<std::string> key = DnKey("cn=a,dc=x");
  for (const char* other : {"cn=b,dc=x", "cn=a,dc=y", "cn=a", "cn=a,dc=x,dc=y", "uid=a,dc=x", "cn=a\\,dc=x", "cn=a+dc=x",
                            "cn=a\\2bdc\\3dx"}) {
    ASSERT_TRUE(DnKey(other)) << other;
    EXPECT_NE(DnKey(other), key) << other;
  }
  EXPECT_NE(DnKey("cn=a\\2ccn\\3d1:b"), DnKey("cn=a,cn=b")) << "a value cannot look like a part";
}

TEST(DnTest, WhatIsNoneHasNoKey) {
  for (const std::string& bad : {std::string(""), std::string("x"), std::string("=x"), std::string("cn=a,"), std::string("cn=a,,dc=x"),
                                 std::string("cn=a\0,dc=x", 10), std::string("cn=\xff"), std::string("cn=a\\")}) {
    EXPECT_FALSE(DnKey(bad)) << bad;
  }
  EXPECT_TRUE(DnKey("cn=" + std::string(8'189, 'a')));
  EXPECT_FALSE(DnKey("cn=" + std::string(8'190, 'a')));
}

}  // namespace
}  // namespace gatepost::auth
