// threats: E6 (domains).
#include "services/base/domain_name.h"

#include <gtest/gtest.h>

namespace gatepost::base {
namespace {

std::string Canonical(std::string_view name, bool international = true) {
  const absl::StatusOr<std::string> canonical = CanonicalDomain(name, 253, international);
  return canonical.ok() ? *canonical : std::string();
}

TEST(DomainName, AsciiIsLowered) {
  EXPECT_EQ(Canonical("Mail.EXAMPLE.com"), "mail.example.com");
  EXPECT_EQ(Canonical("r3---sn-p5.example"), "r3---sn-p5.example");
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "a b", "a@b", "a/b"}) {
    EXPECT_EQ(Canonical(bad), "") << bad;
  }
}

TEST(DomainName, ULabelsBecomeALabels) {
  EXPECT_EQ(Canonical("BÜCHER.example"), "xn--bcher-kva.example");
  EXPECT_EQ(Canonical("straße.example"), "xn--strae-oqa.example") << "nontransitional";
  EXPECT_EQ(Canonical("bu\u0308cher.example"), "xn--bcher-kva.example") << "NFD";
  EXPECT_EQ(Canonical("ex\u0430mple.com"), "xn--exmple-4nf.com") << "U+0430 is not 'a'";
  EXPECT_EQ(Canonical("bücher.example", /*international=*/false), "");
}

TEST(DomainName, NothingTurnsIntoADotOrAnAt) {
  for (const char* bad :
       {"a\u3002b", "a\uff0eb", "a\uff61b", "a\ufe52b", "a\u2024b", "a\uff20b", "a\ufe6bb", "\u2100.b"}) {
    EXPECT_EQ(Canonical(bad), "") << bad;
  }
  EXPECT_EQ(Canonical(std::string_view("a\0\xc3\xbc.b", 7)), "");
  EXPECT_EQ(Canonical(std::string_view("xn--bcher-kva\0.b", 16)), "");
}

TEST(DomainName, AnALabelStandsForAULabel) {
  EXPECT_EQ(Canonical("XN--Bcher-KVA.example"), "xn--bcher-kva.example");
  EXPECT_EQ(Canonical("xn--bcher-kva.example", /*international=*/false), "xn--bcher-kva.example");
  for (bool international : {false, true}) {
    for (const char* bad : {"xn--.a", "xn--a.b", "xn--99999999.a", "xn--a-ecp.a"}) {
      EXPECT_EQ(Canonical(bad, international), "") << bad;
    }
  }
  EXPECT_EQ(Canonical("xn--b\u00fccher.a"), "") << "mixed";
}

TEST(DomainName, JoinersOnlyWhereTheyBelong) {
  EXPECT_EQ(Canonical("a\u200db.example"), "") << "ZWJ between Latin letters";
  EXPECT_EQ(Canonical("\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example"), "xn--mgba3gch31f060k.example");
}

TEST(DomainName, InvalidUtf8IsRefused) {
  for (const char* bad : {"\xff.a", "a\xc0\xae\x62", "\xed\xa0\x80.a", "\xc3.a"}) EXPECT_EQ(Canonical(bad), "") << bad;
}

TEST(DomainName, LabelOf63AndTheGivenOctetsAreTheLimits) {
  EXPECT_NE(Canonical(std::string(63, 'a')), "");
  EXPECT_EQ(Canonical(std::string(64, 'a')), "");
  // Punycode makes more of it: 59 letters and one more become 63 octets or more.
  EXPECT_EQ(Canonical("\u00fc" + std::string(55, 'a')).size(), 63u);
  EXPECT_EQ(Canonical("\u00fc" + std::string(56, 'a')), "");
  const std::string name = std::string(63, 'a') + '.' + std::string(63, 'b');
  EXPECT_TRUE(CanonicalDomain(name, 127).ok());
  EXPECT_FALSE(CanonicalDomain(name, 126).ok());
}

TEST(DomainName, TheReasonIsGiven) {
  EXPECT_EQ(CanonicalDomain("a..b", 253).status().message(), "has an empty label");
  EXPECT_EQ(CanonicalDomain(std::string(2000, 'a'), 253).status().message(), "is longer than 253 octets");
  EXPECT_EQ(CanonicalDomain("xn--a", 253).status().message(), "has an invalid internationalized label");
}

}  // namespace
}  // namespace gatepost::base
