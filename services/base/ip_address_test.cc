#include "services/base/ip_address.h"

#include <gtest/gtest.h>

namespace gatepost::base {
namespace {

std::string Canonical(std::string_view text) {
  const absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
  return address.ok() ? address->ToString() : "refused";
}

TEST(IpAddressTest, WritesAsRfc5952) {
  EXPECT_EQ(Canonical("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(Canonical("2001:DB8:0:0:0:0:0:1"), "2001:db8::1");
  EXPECT_EQ(Canonical("::"), "::");
}

TEST(IpAddressTest, AMappedAddressIsIpv4) {
  EXPECT_EQ(Canonical("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(Canonical("::ffff:c000:201"), "192.0.2.1");
  EXPECT_EQ(*IpAddress::Parse("::ffff:1.2.3.4"), *IpAddress::Parse("1.2.3.4"));
}

TEST(IpAddressTest, IsStrict) {
  for (const char* text :
       {"", "1.2.3", "1.2.3.4.5", "127.1", "0x7f.0.0.1", "0x7f000001", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4",
        "1..2.3", ":::", "1:2", "fe80::1%eth0", "::1%1", "12345::", "::ffff:256.1.1.1", "[::1]", "::1/128"}) {
    EXPECT_EQ(Canonical(text), "refused") << text;
  }
  EXPECT_FALSE(IpAddress::Parse(std::string_view("::1\0x", 5)).ok());
}

TEST(IpPrefixTest, TakesLengthsAndMasks) {
  EXPECT_EQ(IpPrefix::Parse("10.0.0.0/8")->ToString(), "10.0.0.0/8");
  EXPECT_EQ(IpPrefix::Parse("10.0.0.0/255.0.0.0")->ToString(), "10.0.0.0/8");
  EXPECT_EQ(IpPrefix::Parse("0.0.0.0/0.0.0.0")->length, 0);
  EXPECT_EQ(IpPrefix::Parse("192.0.2.7")->length, 32);
  EXPECT_EQ(IpPrefix::Parse("2001:db8::/32")->ToString(), "2001:db8::/32");
}

// R9: masks that are no masks, bits beyond the mask.
TEST(IpPrefixTest, RefusesWhatIsNoSubnet) {
  for (const char* text :
       {"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/08", "10.0.0.1/8", "10.0.0.0/255.0.255.0",
        "10.0.0.0/0.0.0.255", "2001:db8::/129", "2001:db8::1/32", "2001:db8::/255.0.0.0", "/8"}) {
    EXPECT_FALSE(IpPrefix::Parse(text).ok()) << text;
  }
}

// A mapped prefix is the IPv4 subnet that it names, counted from bit 96.
TEST(IpPrefixTest, AMappedPrefixCountsAll128Bits) {
  EXPECT_EQ(IpPrefix::Parse("::ffff:10.0.0.0/104")->ToString(), "10.0.0.0/8");
  EXPECT_EQ(IpPrefix::Parse("::ffff:0:0/96")->ToString(), "0.0.0.0/0");
  EXPECT_EQ(IpPrefix::Parse("::ffff:192.0.2.1/128")->ToString(), "192.0.2.1/32");
  for (const char* text :
       {"::ffff:10.0.0.0/8", "::ffff:0.0.0.0/95", "::ffff:10.0.0.0/129", "::ffff:10.0.0.0/255.0.0.0"}) {
    EXPECT_FALSE(IpPrefix::Parse(text).ok()) << text;
  }
}

TEST(IpPrefixTest, ContainsItsBordersAndNotTheirNeighbours) {
  const IpPrefix prefix = *IpPrefix::Parse("192.0.2.128/25");
  EXPECT_TRUE(prefix.Contains(*IpAddress::Parse("192.0.2.128")));
  EXPECT_TRUE(prefix.Contains(*IpAddress::Parse("192.0.2.255")));
  EXPECT_FALSE(prefix.Contains(*IpAddress::Parse("192.0.2.127")));
  EXPECT_FALSE(prefix.Contains(*IpAddress::Parse("192.0.3.0")));
  EXPECT_FALSE(IpPrefix::Parse("0.0.0.0/0")->Contains(*IpAddress::Parse("::1")));
}

TEST(IpRangeTest, IsOfOneFamilyAndInOrder) {
  const IpRange range = *IpRange::Parse("192.0.2.10-192.0.2.20");
  EXPECT_TRUE(range.Contains(*IpAddress::Parse("192.0.2.10")));
  EXPECT_TRUE(range.Contains(*IpAddress::Parse("192.0.2.20")));
  EXPECT_FALSE(range.Contains(*IpAddress::Parse("192.0.2.21")));
  EXPECT_FALSE(range.Contains(*IpAddress::Parse("192.0.2.9")));
  for (const char* text : {"192.0.2.20-192.0.2.10", "192.0.2.1-::1", "192.0.2.1", "-", "192.0.2.1-"})
    EXPECT_FALSE(IpRange::Parse(text).ok()) << text;
}

TEST(EndpointTest, WantsBracketsAroundIpv6Alone) {
  EXPECT_EQ(Endpoint::Parse("[2001:db8::1]:25")->ToString(), "[2001:db8::1]:25");
  EXPECT_EQ(Endpoint::Parse("192.0.2.1:65535")->port, 65535);
  for (const char* text : {"192.0.2.1", "192.0.2.1:65536", "192.0.2.1:", "192.0.2.1:+1", "192.0.2.1:025",
                           "[192.0.2.1]:25", "2001:db8::1:x", "[::1]"}) {
    EXPECT_FALSE(Endpoint::Parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace gatepost::base
