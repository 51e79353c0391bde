#include "services/base/strings.h"

#include <gtest/gtest.h>

#include "services/base/clock.h"

namespace gatepost::base {
namespace {

TEST(StringsTest, Utf8IsStrict) {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x93\xa7", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(IsValidUtf8(good));
  for (const char* bad : {"\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\x80", "\xc3", "\xe2\x82", "a\xff"}) {
    EXPECT_FALSE(IsValidUtf8(bad));
  }
}

TEST(StringsTest, HexRoundTrips) {
  std::string octets;
  EXPECT_TRUE(HexDecode("00fFa1", &octets));
  EXPECT_EQ(HexEncode(octets), "00ffa1");
  EXPECT_FALSE(HexDecode("0", &octets));
  EXPECT_FALSE(HexDecode("0g", &octets));
}

TEST(StringsTest, SplitKeepsEmptyParts) {
  EXPECT_EQ(Split("", ',').size(), 1u);
  EXPECT_EQ(Split("a,,b", ',').size(), 3u);
}

TEST(StringsTest, StrCatTakesViewsCharactersAndNumbers) {
  EXPECT_EQ(StrCat("a", std::string_view("b"), 'c', 42, -7L, uint64_t{18446744073709551615U}),
            "abc42-718446744073709551615");
}

TEST(StringsTest, CaseIsOfAsciiAlone) {
  EXPECT_TRUE(EqualsIgnoreCase("Ehlo", "EHLO"));
  EXPECT_FALSE(EqualsIgnoreCase("EHLO", "EHLO "));
  EXPECT_FALSE(EqualsIgnoreCase("@", "`"));
  EXPECT_FALSE(EqualsIgnoreCase("[", "{"));
  EXPECT_FALSE(EqualsIgnoreCase("\xc9", "\xe9"));
  EXPECT_EQ(AsciiLower("A\xc9Z@["), "a\xc9z@[");
  EXPECT_EQ(AsciiUpper("a\xe9z`{"), "A\xe9Z`{");
  EXPECT_TRUE(StartsWithIgnoreCase("FROM:<a>", "from:"));
  EXPECT_FALSE(StartsWithIgnoreCase("FRO", "from:"));
}

TEST(StringsTest, TrimsSpacesAndTabsAtBothEnds) {
  EXPECT_EQ(Trim(" \t a b\t "), "a b");
  EXPECT_EQ(Trim(" \t"), "");
}

TEST(StringsTest, ConstantTimeEqualsIsEquality) {
  EXPECT_TRUE(ConstantTimeEquals("", ""));
  EXPECT_TRUE(ConstantTimeEquals(std::string_view("a\0b", 3), std::string_view("a\0b", 3)));
  EXPECT_FALSE(ConstantTimeEquals(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
  EXPECT_FALSE(ConstantTimeEquals("a", "ab"));
}

TEST(ClockTest, FormatsInUtc) {
  const WallTime time(std::chrono::milliseconds(1'795'518'227'123));
  EXPECT_EQ(FormatRfc3339(time), "2026-11-24T11:03:47.123Z");
  EXPECT_EQ(FormatRfc5322(time), "Tue, 24 Nov 2026 11:03:47 +0000");
  const WallTime leap_day(std::chrono::milliseconds(1'835'395'200'007));
  EXPECT_EQ(FormatRfc3339(leap_day), "2028-02-29T00:00:00.007Z");
}

}  // namespace
}  // namespace gatepost::base
