#include "services/net/dns_message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/base/strings.h"
#include "services/net/dns_test_message.h"

namespace gatepost::net {
namespace {

using std::chrono::seconds;

using testing_dns::Answer;
using testing_dns::kA;
using testing_dns::kAaaa;
using testing_dns::kCname;
using testing_dns::kPtr;
using testing_dns::kTxt;
using testing_dns::Name;
using testing_dns::Question;
using testing_dns::Record;
using testing_dns::V4;

DnsRecords Parse(std::string_view message, std::string_view name, DnsType type) {
  const std::optional<DnsRecords> records = ParseDnsAnswer(message, name, type);
  EXPECT_TRUE(records.has_value());
  return records.value_or(DnsRecords{});
}

using Names = std::vector<std::string>;

TEST(DnsMessageTest, AddressesAndTheLeastTtl) {
  const DnsRecords v4 =
      Parse(Answer("mx.example", kA, {Record(Question(), kA, 300, V4(1)), Record(Question(), kA, 60, V4(2))}),
            "MX.example", DnsType::kA);
  ASSERT_EQ(v4.addresses.size(), 2u);
  EXPECT_EQ(v4.addresses[1].ToString(), "192.0.2.2");
  EXPECT_EQ(v4.ttl, seconds(60));
  EXPECT_FALSE(v4.more);
  const std::string octets("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
  const DnsRecords v6 =
      Parse(Answer("mx.example", kAaaa, {Record(Question(), kAaaa, 60, octets)}), "mx.example", DnsType::kAaaa);
  ASSERT_EQ(v6.addresses.size(), 1u);
  EXPECT_EQ(v6.addresses[0].ToString(), "2001:db8::1");
}

TEST(DnsMessageTest, NoRecordIsNoData) {
  EXPECT_TRUE(Parse(Answer("mx.example", kA, {}), "mx.example", DnsType::kA).empty());
  // Another owner's, another type's, another class's.
  EXPECT_TRUE(Parse(Answer("mx.example", kA,
                           {Record(Name("other.example"), kA, 60, V4(1)), Record(Question(), kTxt, 60, "\x01x"),
                            Record(Question(), kA, 60, V4(1), 3)}),
                    "mx.example", DnsType::kA)
                  .empty());
}

// RFC 2317: the alias of a reverse name holds a slash.
TEST(DnsMessageTest, AliasesAreFollowedInAnyOrder) {
  const std::string delegated = "1.0/25.2.0.192.in-addr.arpa";
  const DnsRecords records = Parse(Answer("1.2.0.192.in-addr.arpa", kPtr,
                                          {Record(Name(delegated), kPtr, 300, Name("Mail.Example")),
                                           Record(Question(), kCname, 30, Name("1.0/25.2.0.192.IN-ADDR.arpa"))}),
                                   "1.2.0.192.in-addr.arpa", DnsType::kPtr);
  EXPECT_EQ(records.names, Names{"mail.example"});
  EXPECT_EQ(records.ttl, seconds(30));
}

TEST(DnsMessageTest, EightAliasesAndNotOneMoreAndALoopLeadsNowhere) {
  for (const int aliases : {8, 9}) {
    std::vector<std::string> chain{Record(Name(base::StrCat("a", aliases)), kA, 60, V4(1))};
    for (int i = 0; i < aliases; ++i)
      chain.push_back(Record(Name(base::StrCat("a", i)), kCname, 60, Name(base::StrCat("a", i + 1))));
    EXPECT_EQ(Parse(Answer("a0", kA, chain), "a0", DnsType::kA).empty(), aliases == 9);
  }
  EXPECT_TRUE(Parse(Answer("a", kA,
                           {Record(Name("a"), kCname, 60, Name("b")), Record(Name("b"), kCname, 60, Name("a")),
                            Record(Name("c"), kA, 60, V4(1))}),
                    "a", DnsType::kA)
                  .empty());
}

// threats.md I4, H7: what an attacker's reverse zone may hold.
TEST(DnsMessageTest, NamesThatAreNoHostNamesAreLeftOut) {
  const std::string reverse = "1.2.0.192.in-addr.arpa";
  std::vector<std::string> bad = {
      Name("mail\r\nQUIT.example"),
      Name("%s%n.example"),
      Name("a b.example"),
      Name("under_score.example"),
      Name("-a.example"),
      Name("a-.example"),
      Name("m\xc3\xa4il.example"),
      Name("192.0.2.1"),
      std::string(1, '\0'),  // the root
      std::string("\x0ctrusted.evil\x07"
                  "example\0",
                  22),  // a dot in a label
      std::string("\x05"
                  "a\0b.c\x07"
                  "example\0",
                  15),
  };
  std::vector<std::string> records;
  for (const std::string& name : bad) records.push_back(Record(Question(), kPtr, 60, name));
  records.push_back(Record(Question(), kPtr, 60, Name("xn--mil-qla.Example")));
  EXPECT_EQ(Parse(Answer(reverse, kPtr, records), reverse, DnsType::kPtr).names, Names{"xn--mil-qla.example"});
}

TEST(DnsMessageTest, ANameHas253OctetsAndNotOneMore) {
  const std::string reverse = "1.2.0.192.in-addr.arpa";
  const std::string label(63, 'a');
  const std::string longest = base::StrCat(label, ".", label, ".", label, ".", std::string(61, 'b'));
  ASSERT_EQ(longest.size(), 253u);
  EXPECT_EQ(Parse(Answer(reverse, kPtr, {Record(Question(), kPtr, 60, Name(longest))}), reverse, DnsType::kPtr).names,
            Names{longest});
  EXPECT_FALSE(ParseDnsAnswer(Answer(reverse, kPtr, {Record(Question(), kPtr, 60, Name(longest + "b"))}), reverse,
                              DnsType::kPtr));
  EXPECT_FALSE(ParseDnsAnswer(Answer(reverse, kPtr, {Record(Question(), kPtr, 60, Name(std::string(64, 'a')))}),
                              reverse, DnsType::kPtr));
  EXPECT_TRUE(IsHostName(longest));
  EXPECT_FALSE(IsHostName(longest + "b"));
}

TEST(DnsMessageTest, OfAThousandRecordsThirtyTwoAreLookedAt) {
  const std::string reverse = "1.2.0.192.in-addr.arpa";
  for (const size_t count : {32u, 33u, 1000u}) {
    std::vector<std::string> records;
    for (size_t i = 0; i < count; ++i)
      records.push_back(Record(Question(), kPtr, 60, Name(base::StrCat("h", i, ".example"))));
    const DnsRecords got = Parse(Answer(reverse, kPtr, records), reverse, DnsType::kPtr);
    EXPECT_EQ(got.names.size(), 32u);
    EXPECT_EQ(got.more, count > 32);
  }
}

TEST(DnsMessageTest, WhatIsCutOrLiesAboutItsLengthIsMalformed) {
  const std::string whole = Answer(
      "a.example", kA, {Record(Question(), kCname, 60, Name("b.example")), Record(Name("b.example"), kA, 60, V4(1))});
  ASSERT_FALSE(Parse(whole, "a.example", DnsType::kA).empty());
  for (size_t n = 0; n < whole.size(); ++n)
    EXPECT_FALSE(ParseDnsAnswer(whole.substr(0, n), "a.example", DnsType::kA)) << n;
  EXPECT_FALSE(ParseDnsAnswer(Answer("a", kA, {Record(Question(), kA, 60, "\x01\x02\x03")}), "a", DnsType::kA));
  EXPECT_FALSE(ParseDnsAnswer(Answer("a", kAaaa, {Record(Question(), kAaaa, 60, V4(1))}), "a", DnsType::kAaaa));
  EXPECT_FALSE(
      ParseDnsAnswer(Answer("a", kPtr, {Record(Question(), kPtr, 60, Name("b.example") + "x")}), "a", DnsType::kPtr));
}

TEST(DnsMessageTest, ACompressionPointerLeadsBackwardsOnly) {
  const std::string itself = Answer("a", kA, {}) + Record("\xc0\x13", kA, 60, V4(1));  // at 19: itself
  std::string counted = itself;
  counted[7] = 1;
  EXPECT_FALSE(ParseDnsAnswer(counted, "a", DnsType::kA));
  counted[20] = '\x20';
  EXPECT_FALSE(ParseDnsAnswer(counted, "a", DnsType::kA));
  counted[20] = '\x0c';
  EXPECT_TRUE(ParseDnsAnswer(counted, "a", DnsType::kA));
}

TEST(DnsMessageTest, ReverseAndBlockListNames) {
  EXPECT_EQ(ReverseName(*base::IpAddress::Parse("192.0.2.1")), "1.2.0.192.in-addr.arpa");
  EXPECT_EQ(ReverseName(*base::IpAddress::Parse("2001:db8::1")),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
  EXPECT_EQ(BlockListName(*base::IpAddress::Parse("127.0.0.2"), "bl.example"), "2.0.0.127.bl.example");
  // RFC 5782 2.4.
  EXPECT_EQ(BlockListName(*base::IpAddress::Parse("2001:db8:1:2:3:4:567:89ab"), "ugly.example.com"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com");
}

}  // namespace
}  // namespace gatepost::net
