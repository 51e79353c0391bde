// threats: E1, E3, E4, E5, E6, E7, P4. limits: local part, path, EHLO's domain.
#include "services/smtp/address.h"

#include <gtest/gtest.h>

#include <string>

namespace gatepost::smtp {
namespace {

// The canonical form of a forward path, or "" when it is refused; checks that it parses to an equal path.
std::string Canonical(const std::string& path) {
  const PathResult<ForwardPath> result = ParseForwardPath(path);
  if (!result.path) return "";
  EXPECT_EQ(result.consumed, path.size());
  const std::string canonical = result.path->canonical();
  const PathResult<ForwardPath> again = ParseForwardPath("<" + canonical + ">");
  EXPECT_TRUE(again.path.has_value()) << canonical;
  if (again.path) EXPECT_EQ(*again.path, *result.path) << canonical;
  return canonical;
}

TEST(Address, AcceptsMailboxes) {
  EXPECT_EQ(Canonical("<a@b.example>"), "a@b.example");
  EXPECT_EQ(Canonical("<User.Name+tag@EXAMPLE.Com>"), "User.Name+tag@example.com");
  EXPECT_EQ(Canonical("<!#$%&'*+-/=?^_`{|}~@x>"), "!#$%&'*+-/=?^_`{|}~@x");
  EXPECT_EQ(Canonical("<a@localhost>"), "a@localhost");
  EXPECT_EQ(Canonical("<a@xn--bcher-kva.example>"), "a@xn--bcher-kva.example");
}

TEST(Address, QuotedStringsAreKeptByTheirMeaning) {
  EXPECT_EQ(Canonical("<\"a\"@d>"), "a@d");
  EXPECT_EQ(Canonical("<\"\\a\"@d>"), "a@d");
  EXPECT_EQ(Canonical("<\"a b\"@d>"), "\"a b\"@d");
  EXPECT_EQ(Canonical("<\"a\\\"b\"@d>"), "\"a\\\"b\"@d");
  EXPECT_EQ(Canonical("<\"a\\\\\"@d>"), "\"a\\\\\"@d");
  EXPECT_EQ(Canonical("<\"\"@d>"), "\"\"@d");
  EXPECT_EQ(Canonical("<\"a.b\"@d>"), "a.b@d");
  EXPECT_EQ(Canonical("<\"a..b\"@d>"), "\"a..b\"@d");
  EXPECT_EQ(Canonical("<\"a@b>\"@d>"), "\"a@b>\"@d");
  EXPECT_EQ(ParseMailbox("\"a\"@D"), ParseMailbox("a@d"));
  EXPECT_NE(ParseMailbox("A@d"), ParseMailbox("a@d"));
}

TEST(Address, RefusesWhatTheGrammarDoesNotHave) {
  for (const char* path : {"<a>",
                           "<@d>",
                           "<a@>",
                           "<>",
                           "<a@b",
                           "<a@@b>",
                           "<a@b@c>",
                           "<.a@b>",
                           "<a.@b>",
                           "<a..b@c>",
                           "<a b@c>",
                           "<a@b c>",
                           "<a@b.>",
                           "<a@.b>",
                           "<a@b..c>",
                           "<a@-b>",
                           "<a@b->",
                           "<a@b_c>",
                           "<a@b,c>",
                           "<(c)a@b>",
                           "<a@b(c)>",
                           "<\"a@b>",
                           "<\"a\"b@c>",
                           "<\"a\\",
                           "<\"a\\\"@b>",
                           "<a@b\\>",
                           "< a@b>",
                           "<a@b >",
                           "<<a@b>>",
                           "<a@[>",
                           "<victim@in.example.>",
                           "<ext!victim>",
                           "<\"postmaster\">"}) {
    EXPECT_EQ(Canonical(path), "") << path;
  }
  EXPECT_EQ(Canonical(std::string("<a\0@b>", 6)), "");
  EXPECT_EQ(Canonical("<b@in.example\r\nDATA>"), "");
  EXPECT_EQ(Canonical("<\"b\r\nDATA\"@in>"), "");
}

TEST(Address, RoutingCharactersAreSeen) {
  for (const char* path : {"<victim%ext.example@in.example>", "<ext.example!victim@in.example>",
                           "<\"victim@ext.example\"@in.example>", "<\"victim%ext\"@in.example>"}) {
    const PathResult<ForwardPath> result = ParseForwardPath(path);
    ASSERT_TRUE(result.path) << path;
    EXPECT_TRUE(result.path->mailbox.has_routing_characters()) << path;
    EXPECT_EQ(result.path->mailbox.domain, "in.example");
  }
  EXPECT_FALSE(ParseForwardPath("<a.b+c@in.example>").path->mailbox.has_routing_characters());
}

TEST(Address, SourceRoutesAreStripped) {
  EXPECT_EQ(Canonical("<@in.example,@x:victim@ext.example>"), "victim@ext.example");
  EXPECT_EQ(Canonical("<@x:a@b>"), "a@b");
  for (const char* path :
       {"<@x>", "<@x:>", "<@x,:a@b>", "<@x,y:a@b>", "<@:a@b>", "<@x@y:a@b>", "<@[127.0.0.1]:a@b>", "<@x:postmaster>"}) {
    EXPECT_EQ(Canonical(path), "") << path;
  }
}

TEST(Address, LiteralsAreStrict) {
  EXPECT_EQ(Canonical("<a@[127.0.0.1]>"), "a@[127.0.0.1]");
  EXPECT_EQ(Canonical("<a@[IPv6:::1]>"), "a@[IPv6:::1]");
  EXPECT_EQ(Canonical("<a@[ipv6:2001:DB8:0:0::1]>"), "a@[IPv6:2001:db8::1]");
  EXPECT_EQ(Canonical("<a@[IPv6:::ffff:127.0.0.1]>"), "a@[127.0.0.1]");
  for (const char* path : {"<a@[0x7f000001]>", "<a@[127.1]>", "<a@[256.1.1.1]>", "<a@[IPv6:1:2]>", "<a@[x:y]>",
                           "<a@[127.0.0.1>", "<a@[]>", "<a@[::1]>", "<a@[IPv6:127.0.0.1]>", "<a@[127.0.0.1].b>",
                           "<a@b.[127.0.0.1]>", "<a@[IPv6:fe80::1%eth0]>", "<a@[ 127.0.0.1]>", "<a@[IPv6:]>"}) {
    EXPECT_EQ(Canonical(path), "") << path;
  }
}

TEST(Address, PostmasterNeedsNoDomain) {
  const PathResult<ForwardPath> result = ParseForwardPath("<Postmaster>");
  ASSERT_TRUE(result.path);
  EXPECT_TRUE(result.path->postmaster_alone());
  EXPECT_EQ(Canonical("<Postmaster>"), "Postmaster");
  EXPECT_FALSE(ParseReversePath("<postmaster>").path);
}

TEST(Address, OnlyAReversePathMayBeNull) {
  ASSERT_TRUE(ParseReversePath("<>").path);
  EXPECT_TRUE(ParseReversePath("<>").path->null());
  EXPECT_EQ(ParseReversePath("<>").path->canonical(), "");
  EXPECT_FALSE(ParseReversePath("<\"\"@d>").path->null());
  EXPECT_FALSE(ParseForwardPath("<>").path);
}

TEST(Address, BracketsAreDue) {
  EXPECT_EQ(ParseForwardPath("a@b").error, AddressError::kNoBrackets);
  EXPECT_EQ(ParseForwardPath("").error, AddressError::kNoBrackets);
  EXPECT_EQ(ParseForwardPath("<a@b").error, AddressError::kSyntax);
}

TEST(Address, WhatFollowsThePathIsLeft) {
  const PathResult<ReversePath> result = ParseReversePath("<a@b> SIZE=1");
  ASSERT_TRUE(result.path);
  EXPECT_EQ(result.consumed, 5u);
}

TEST(Address, LocalPartOf64OctetsIsTheLimit) {
  EXPECT_NE(Canonical("<" + std::string(64, 'a') + "@d>"), "");
  EXPECT_EQ(Canonical("<" + std::string(65, 'a') + "@d>"), "");
  EXPECT_NE(Canonical("<\"" + std::string(62, ' ') + "\"@d>"), "");
  EXPECT_EQ(Canonical("<\"" + std::string(63, ' ') + "\"@d>"), "");
}

std::string DomainOf(size_t size) {
  std::string domain;
  while (domain.size() + 64 < size) domain += std::string(63, 'd') + ".";
  if (domain.size() + 63 < size) domain += "d.";
  return domain + std::string(size - domain.size(), 'd');
}

TEST(Address, PathOf256OctetsIsTheLimit) {
  EXPECT_EQ(DomainOf(252).size(), 252u);
  EXPECT_NE(Canonical("<a@" + DomainOf(252) + ">"), "");
  EXPECT_EQ(Canonical("<a@" + DomainOf(253) + ">"), "");
  EXPECT_EQ(Canonical("<@x:a@" + DomainOf(252) + ">"), "");
}

TEST(Address, PathOf256OctetsIsTheLimitInALabelsToo) {
  // "xn--" and "-yff": 58 octets where there were 52.
  const std::string label = "\u00fc" + std::string(50, 'a');
  const std::string path = "<a@" + label + '.' + label + '.' + label + '.' + label + '.';
  EXPECT_TRUE(ParseForwardPath(path + std::string(16, 'd') + '>', true).path);
  EXPECT_FALSE(ParseForwardPath(path + std::string(17, 'd') + '>', true).path);
  EXPECT_LT(path.size() + 18, 256u);
}

TEST(Address, LabelOf63AndDomainOf255OctetsAreTheLimits) {
  EXPECT_TRUE(ParseDomain(std::string(63, 'a')));
  EXPECT_FALSE(ParseDomain(std::string(64, 'a')));
  EXPECT_TRUE(ParseDomain(DomainOf(255)));
  EXPECT_FALSE(ParseDomain(DomainOf(256)));
}

TEST(Address, BeyondAsciiNeedsSmtpUtf8) {
  for (const char* path : {"<us\xc3\xa9r@b>",
                           "<a@b\xc3\xbc"
                           "cher.example>",
                           "<\"\xc3\xa9\"@b>", "<a\xe5\x98\x8d@b>"}) {
    EXPECT_EQ(ParseForwardPath(path).error, AddressError::kNotAscii) << path;
    EXPECT_FALSE(ParseForwardPath(path).path);
    EXPECT_TRUE(ParseForwardPath(path, /*utf8=*/true).path) << path;
  }
  EXPECT_EQ(ParseForwardPath("<\xff@b>").error, AddressError::kSyntax);
  EXPECT_FALSE(ParseForwardPath("<\xc0\xae@b>", /*utf8=*/true).path);
}

TEST(Address, ULabelsBecomeALabels) {
  EXPECT_EQ(ParseDomain("b\xc3\xbc"
                        "cher.example",
                        true),
            "xn--bcher-kva.example");
  EXPECT_EQ(ParseDomain("B\xc3\x9c"
                        "CHER.example",
                        true),
            "xn--bcher-kva.example");
  EXPECT_EQ(ParseDomain("bu\xcc\x88"
                        "cher.example",
                        true),
            "xn--bcher-kva.example")
      << "NFD";
  EXPECT_FALSE(ParseDomain("b\u00fccher.example"));
}

TEST(Address, NothingTurnsIntoSyntax) {
  for (const char* path :
       {"<a@b\u3002example>", "<a@b\uff20example>", "<a@b\ufe6bexample>", "<a@b\uff0eexample>", "<a@\u2100.example>",
        "<victim\uff20ext.example@in>", "<victim\ufe6bext@in>", "<a\uff0e\uff0eb@in>", "<a\u3002b@in>",
        "<v\uff05ext@in>", "<ext\uff01v@in>", "<\"a\u0085\"@in>", "<a\u2028b@in>"}) {
    const PathResult<ForwardPath> result = ParseForwardPath(path, /*utf8=*/true);
    EXPECT_FALSE(result.path) << path;
    EXPECT_EQ(result.error, AddressError::kSyntax) << path;
  }
}

TEST(Address, AddressesAreComparedInNfcAndLookalikesDiffer) {
  EXPECT_EQ(ParseMailbox("caf\u00e9@d", true), ParseMailbox("cafe\u0301@d", true));
  EXPECT_EQ(ParseMailbox("a@b\u00fccher", true), ParseMailbox("a@xn--bcher-kva", true));
  EXPECT_NE(ParseMailbox("caf\u00e9@d", true), ParseMailbox("cafe@d", true));
  EXPECT_NE(ParseMailbox("a@ex\u0430mple.com", true), ParseMailbox("a@example.com", true));
  EXPECT_NE(ParseMailbox("\u0430@d", true), ParseMailbox("a@d", true));
  EXPECT_EQ(ParseMailbox("cafe\u0301@d", true)->canonical(), "cafe\u0301@d") << "what is passed on is what was said";
}

TEST(Address, AnALabelThatStandsForNothingIsRefused) {
  for (bool utf8 : {false, true}) {
    EXPECT_EQ(ParseForwardPath("<a@xn--99999999.example>", utf8).error, AddressError::kSyntax);
    EXPECT_FALSE(ParseForwardPath("<a@xn--99999999.example>", utf8).path);
  }
}

TEST(Address, ManyCommentsTakeNoLonger) {
  EXPECT_EQ(Canonical("<" + std::string(1000, '(') + "a@b>"), "");
  EXPECT_EQ(Canonical("<\"" + std::string(100000, '\\') + "\"@b>"), "");
}

TEST(ClientName, IsLenientWithinReason) {
  for (const char* name : {"mx.example", "[192.0.2.1]", "[IPv6:::1]", "MY_PC", "localhost"})
    EXPECT_TRUE(IsClientName(name)) << name;
  for (const char* name : {"", "a b", "a\x07", "caf\xc3\xa9", "<a>", "a(b)", "a;b", "\"a\""})
    EXPECT_FALSE(IsClientName(name)) << name;
  EXPECT_TRUE(IsClientName(std::string(255, 'a')));
  EXPECT_FALSE(IsClientName(std::string(256, 'a')));
}

TEST(Xtext, DecodesStrictly) {
  EXPECT_EQ(DecodeXtext("e+3Dmc2@example.com"), "e=mc2@example.com");
  EXPECT_EQ(DecodeXtext("+00"), std::string(1, '\0'));
  EXPECT_EQ(DecodeXtext(""), "");
  for (const char* text : {"hey+A", "he+YY", "a+3d", "a=b", "+", "a b", "\xc3\xa9"})
    EXPECT_FALSE(DecodeXtext(text)) << text;
  EXPECT_EQ(EncodeXtext(std::string("a+=\0\xff b", 7)), "a+2B+3D+00+FF+20b");
  EXPECT_EQ(DecodeXtext(EncodeXtext("a+=\r\n")), "a+=\r\n");
}

}  // namespace
}  // namespace gatepost::smtp
