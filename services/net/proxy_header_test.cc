#include "services/net/proxy_header.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/base/strings.h"

namespace gatepost::net {
namespace {

using State = ProxyHeader::State;

base::Endpoint At(std::string_view text) { return *base::Endpoint::Parse(text); }

std::string Hex(std::string_view digits) {
  std::string octets;
  EXPECT_TRUE(base::HexDecode(digits, &octets));
  return octets;
}

constexpr std::string_view kSignature = "0d0a0d0a000d0a515549540a";
// 192.0.2.1:4660 to 198.51.100.2:25.
constexpr std::string_view kTcp4Block =
    "c0000201c6336402"
    "1234"
    "0019";

std::string V2(std::string_view command_and_family, size_t length, std::string_view block) {
  std::string header = Hex(base::StrCat(kSignature, command_and_family));
  header.push_back(static_cast<char>(length >> 8));
  header.push_back(static_cast<char>(length));
  return header + Hex(block);
}

// What ParseProxyHeader says of all of it; and before the header is whole, that more is needed (or, from some octet on,
// that nothing will help), never anything else.
ProxyHeader Parse(std::string_view octets) {
  const ProxyHeader whole = ParseProxyHeader(octets);
  bool malformed = false;
  for (size_t n = 0; n < octets.size(); ++n) {
    const ProxyHeader part = ParseProxyHeader(octets.substr(0, n));
    if (whole.state == State::kComplete && n >= whole.octets) {
      EXPECT_EQ(part.state, State::kComplete) << n;
      EXPECT_EQ(part.octets, whole.octets);
    } else if (malformed) {
      EXPECT_EQ(part.state, State::kMalformed) << n;
    } else {
      EXPECT_NE(part.state, State::kComplete) << n;
    }
    malformed = malformed || part.state == State::kMalformed;
  }
  if (malformed) {
    EXPECT_EQ(whole.state, State::kMalformed);
  }
  return whole;
}

void ExpectMalformed(std::string_view octets) { EXPECT_EQ(Parse(octets).state, State::kMalformed) << octets; }

TEST(ProxyHeaderTest, V1NamesTheClientAndWhatFollowsIsNotTouched) {
  const ProxyHeader header = Parse("PROXY TCP4 192.0.2.1 198.51.100.2 4660 25\r\nEHLO a\r\n");
  ASSERT_EQ(header.state, State::kComplete);
  EXPECT_EQ(header.octets, 43u);
  EXPECT_EQ(header.connection, (ProxiedConnection{At("192.0.2.1:4660"), At("198.51.100.2:25")}));
}

TEST(ProxyHeaderTest, V1KnowsIPv6AndAMappedAddressIsIPv4) {
  const ProxyHeader header = Parse("PROXY TCP6 2001:DB8::1 2001:db8::2 65535 0\r\n");
  ASSERT_EQ(header.state, State::kComplete);
  EXPECT_EQ(header.connection, (ProxiedConnection{At("[2001:db8::1]:65535"), At("[2001:db8::2]:0")}));
  const ProxyHeader mapped = Parse("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 1 2\r\n");
  ASSERT_EQ(mapped.state, State::kComplete);
  EXPECT_EQ(mapped.connection, (ProxiedConnection{At("192.0.2.1:1"), At("198.51.100.2:2")}));
}

TEST(ProxyHeaderTest, V1UnknownIsTheSocketsPeer) {
  for (const std::string_view line : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff:: whatever 1 2 3\r\n"}) {
    const ProxyHeader header = Parse(line);
    EXPECT_EQ(header.state, State::kComplete);
    EXPECT_EQ(header.octets, line.size());
    EXPECT_EQ(header.connection, std::nullopt);
  }
}

TEST(ProxyHeaderTest, V1HasItsLongestLineAndNotAnOctetMore) {
  const std::string longest = "PROXY UNKNOWN " + std::string(kMostProxyV1Octets - 16, 'f') + "\r\n";
  ASSERT_EQ(longest.size(), kMostProxyV1Octets);
  EXPECT_EQ(Parse(longest).state, State::kComplete);
  ExpectMalformed("PROXY UNKNOWN " + std::string(kMostProxyV1Octets - 15, 'f') + "\r\n");
  ExpectMalformed("PROXY UNKNOWN " + std::string(kMostProxyV1Octets - 14, 'f'));
  EXPECT_EQ(Parse("PROXY UNKNOWN " + std::string(kMostProxyV1Octets - 15, 'f')).state, State::kNeedMore);
}

TEST(ProxyHeaderTest, V1IsStrict) {
  for (const std::string_view line : {
           "PROXY TCP4 192.0.2.1 198.51.100.2 4660\r\n",            // a word short
           "PROXY TCP4 192.0.2.1 198.51.100.2 4660 25 \r\n",        // one too many
           "PROXY  TCP4 192.0.2.1 198.51.100.2 4660 25\r\n",        // two spaces
           "PROXY\tTCP4 192.0.2.1 198.51.100.2 4660 25\r\n",        //
           "PROXY TCP4 192.0.2.1 198.51.100.2 4660 25\n",           // bare LF
           "PROXY TCP4 192.0.2.1 198.51.100.2 4660 25\r25\r\n",     // bare CR
           "PROXY TCP4 192.0.2.256 198.51.100.2 4660 25\r\n",       // CVE-2023-42117: wrong texts of addresses
           "PROXY TCP4 192.0.2 198.51.100.2 4660 25\r\n",           //
           "PROXY TCP4 192.0.2.01 198.51.100.2 4660 25\r\n",        //
           "PROXY TCP4 2001:db8::1 198.51.100.2 4660 25\r\n",       // the other family
           "PROXY TCP4 ::ffff:192.0.2.1 198.51.100.2 4660 25\r\n",  //
           "PROXY TCP6 192.0.2.1 198.51.100.2 4660 25\r\n",         //
           "PROXY TCP6 fe80::1%eth0 2001:db8::2 4660 25\r\n",       //
           "PROXY TCP6 1:2:3:4:5:6:7:8:9 2001:db8::2 4660 25\r\n",  //
           "PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n",        // ports
           "PROXY TCP4 192.0.2.1 198.51.100.2 +1 25\r\n",           //
           "PROXY TCP4 192.0.2.1 198.51.100.2 01 25\r\n",           //
           "PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n",              //
           "PROXY UDP4 192.0.2.1 198.51.100.2 4660 25\r\n",         // not TCP
           "PROXY tcp4 192.0.2.1 198.51.100.2 4660 25\r\n",         //
           "PROXY UNKNOWNS\r\n",                                    //
           "PROXY \r\n",                                            //
           "proxy TCP4 192.0.2.1 198.51.100.2 4660 25\r\n",         //
           "EHLO client.example\r\n",                               // no header at all
       }) {
    ExpectMalformed(line);
  }
  ExpectMalformed(std::string_view("PROXY TCP4 192.0.2.1\0 198.51.100.2 4660 25\r\n", 44));
}

TEST(ProxyHeaderTest, V2NamesTheClientAndWhatFollowsIsNotTouched) {
  const ProxyHeader header = Parse(V2("2111", 12, kTcp4Block) + "\x16\x03\x01");
  ASSERT_EQ(header.state, State::kComplete);
  EXPECT_EQ(header.octets, 28u);
  EXPECT_EQ(header.connection, (ProxiedConnection{At("192.0.2.1:4660"), At("198.51.100.2:25")}));
  const ProxyHeader v6 = Parse(V2("2121", 36,
                                  "20010db8000000000000000000000001"
                                  "20010db8000000000000000000000002"
                                  "12340019"));
  ASSERT_EQ(v6.state, State::kComplete);
  EXPECT_EQ(v6.connection, (ProxiedConnection{At("[2001:db8::1]:4660"), At("[2001:db8::2]:25")}));
  const ProxyHeader mapped = Parse(V2("2121", 36,
                                      "00000000000000000000ffffc0000201"
                                      "00000000000000000000ffffc6336402"
                                      "12340019"));
  ASSERT_EQ(mapped.state, State::kComplete);
  EXPECT_EQ(mapped.connection, header.connection);
}

TEST(ProxyHeaderTest, V2LocalAndUnspecifiedAreTheSocketsPeer) {
  for (const std::string& octets : {V2("2000", 0, ""), V2("2011", 12, kTcp4Block), V2("2031", 3, "010203"),
                                    V2("2100", 0, ""), V2("2100", 2, "ffff")}) {
    const ProxyHeader header = Parse(octets);
    EXPECT_EQ(header.state, State::kComplete);
    EXPECT_EQ(header.octets, octets.size());
    EXPECT_EQ(header.connection, std::nullopt);
  }
}

TEST(ProxyHeaderTest, V2IsStrict) {
  ExpectMalformed(V2("1111", 12, kTcp4Block));  // version 1 in binary
  ExpectMalformed(V2("2211", 12, kTcp4Block));  // no such command
  ExpectMalformed(V2("2112", 12, kTcp4Block));  // UDP
  ExpectMalformed(V2("2122", 36, std::string(72, '0')));
  ExpectMalformed(V2("2110", 12, kTcp4Block));                // neither
  ExpectMalformed(V2("2131", 216, std::string(432, '0')));    // AF_UNIX
  ExpectMalformed(V2("2111", 11, "c0000201c6336402123400"));  // shorter than its addresses
  ExpectMalformed(V2("2121", 12, kTcp4Block));
  ExpectMalformed(V2("2111", 65'535, kTcp4Block));
  ExpectMalformed(V2("2000", 65'535, ""));
  ExpectMalformed(Hex("0d0a0d0a000d0a515549540b") + Hex("2111000c") + Hex(kTcp4Block));
}

TEST(ProxyHeaderTest, V2HasItsLongestHeaderAndNotAnOctetMore) {
  const size_t most = kMostProxyOctets - 16;
  const auto padded = [](size_t length) {  // one addition of type NOOP
    const size_t value = length - 12 - 3;
    std::string block = base::StrCat(kTcp4Block, "04");
    const std::string size{static_cast<char>(value >> 8), static_cast<char>(value)};
    return V2("2111", length, block + base::HexEncode(size) + std::string(2 * value, '0'));
  };
  EXPECT_EQ(padded(most).size(), kMostProxyOctets);
  EXPECT_EQ(Parse(padded(most)).state, State::kComplete);
  ExpectMalformed(padded(most + 1));
}

TEST(ProxyHeaderTest, V2AdditionsFillTheHeaderExactly) {
  EXPECT_EQ(Parse(V2("2111", 15, base::StrCat(kTcp4Block, "040000"))).state, State::kComplete);
  EXPECT_EQ(Parse(V2("2111", 21, base::StrCat(kTcp4Block, "02000161", "ea00026162"))).state, State::kComplete);
  ExpectMalformed(V2("2111", 13, base::StrCat(kTcp4Block, "04")));
  ExpectMalformed(V2("2111", 14, base::StrCat(kTcp4Block, "0400")));
  ExpectMalformed(V2("2111", 15, base::StrCat(kTcp4Block, "040001")));
  ExpectMalformed(V2("2111", 16, base::StrCat(kTcp4Block, "04000000")));
}

// The specification's 2.2.3: over the whole header, the checksum's own octets zero.
TEST(ProxyHeaderTest, V2AChecksumThatIsThereIsVerified) {
  const std::string sound = V2("2111", 19, base::StrCat(kTcp4Block, "030004", "a9440dc1"));
  EXPECT_EQ(Parse(sound).state, State::kComplete);
  for (size_t i = 16; i < sound.size(); ++i) {
    std::string broken = sound;
    broken[i] = static_cast<char>(broken[i] ^ 1);
    EXPECT_NE(Parse(broken).state, i == 28 ? State::kMalformed : State::kComplete) << i;  // 28: no longer a checksum
  }
  ExpectMalformed(V2("2111", 19, base::StrCat(kTcp4Block, "030004", "00000000")));
  ExpectMalformed(V2("2111", 18, base::StrCat(kTcp4Block, "030003", "000000")));
}

TEST(ProxyHeaderTest, WhatWeWriteIsWhatWeRead) {
  for (const ProxiedConnection& connection : std::vector<ProxiedConnection>{
           {At("192.0.2.1:4660"), At("198.51.100.2:25")},
           {At("[2001:db8::1]:4660"), At("[2001:db8::2]:25")},
           {At("192.0.2.1:4660"), At("[2001:db8::2]:25")},
           {At("[2001:db8::1]:0"), At("198.51.100.2:65535")},
       }) {
    const std::string written = WriteProxyHeader(connection);
    const ProxyHeader header = Parse(written);
    ASSERT_EQ(header.state, State::kComplete);
    EXPECT_EQ(header.octets, written.size());
    EXPECT_EQ(header.connection, connection);
  }
  EXPECT_EQ(WriteProxyHeader({At("192.0.2.1:4660"), At("198.51.100.2:25")}), V2("2111", 12, kTcp4Block));
  EXPECT_EQ(WriteLocalProxyHeader(), V2("2000", 0, ""));
}

}  // namespace
}  // namespace gatepost::net
