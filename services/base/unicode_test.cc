// threats: E6 (local parts).
#include "services/base/unicode.h"

#include <gtest/gtest.h>

namespace gatepost::base {
namespace {

TEST(Unicode, NfcMakesAlikeWhatReadsAlike) {
  EXPECT_EQ(ToNfc("cafe\u0301"), "caf\u00e9");
  EXPECT_EQ(ToNfc("caf\u00e9"), "caf\u00e9");
  EXPECT_EQ(ToNfc("\u0430"), "\u0430") << "a lookalike stays one";
  EXPECT_EQ(ToNfc("\uff20"), "\uff20");
  EXPECT_EQ(ToNfc(""), "");
  EXPECT_EQ(ToNfc("\xff"), "\xff");
}

TEST(Unicode, HiddenSyntaxIsSeen) {
  for (const char* text : {"a\uff20b", "a\ufe6bb", "a\uff0eb", "a\u2024b", "a\u2026", "a\ufe52", "a\u3002b", "a\uff61b",
                           "a\uff05b", "a\ufe6a",  "a\uff01b", "\u203c",   "\uff1c",  "\uff1e",  "\uff02",   "\uff3c",
                           "\u0085",   "\u0080",   "\u009f",   "\u2028",   "\u2029",  "a\r",     "a\nb",     "\x7f"}) {
    EXPECT_TRUE(HidesSyntax(text)) << text;
  }
  EXPECT_TRUE(HidesSyntax(std::string_view("a\0b", 3)));
  // What composition takes away does not make up for what comes out.
  EXPECT_TRUE(HidesSyntax("<\u0338victim\uff20far.example"));
  EXPECT_TRUE(HidesSyntax("<\u0338victim\uff05far.example"));
}

TEST(Unicode, OrdinaryTextHidesNothing) {
  for (const char* text : {"", "a.b@c", "caf\u00e9", "cafe\u0301", "\u5f20\u4f1f", "\u0438\u0432\u0430\u043d.x",
                           "\uff41", "\u00a0", "\U0001f600", "a%b!c"}) {
    EXPECT_FALSE(HidesSyntax(text)) << text;
  }
}

}  // namespace
}  // namespace gatepost::base
