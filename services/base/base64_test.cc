#include "services/base/base64.h"

#include <gtest/gtest.h>

#include "services/base/fake_random.h"

namespace gatepost::base {
namespace {

// RFC 4648 section 10.
TEST(Base64Test, KnowsTheRfcsVectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [octets, text] : vectors) {
    EXPECT_EQ(Base64Encode(octets), text);
    EXPECT_EQ(Base64Decode(text), octets);
  }
}

// threats.md A2; CVE-2018-6789 was about sizes 4n+1..3.
TEST(Base64Test, RefusesWhatEncodingDoesNotMake) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zm9vY", "Zm9vYg", "Zm9vYg=", "Zg===", "=Zg=", "Z=g=", "Zm 9v", "Zm9v\n",
                           "Zm9v ", "!!!!", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v====", "\xff\xff\xff\xff"}) {
    EXPECT_FALSE(Base64Decode(text).has_value()) << text;
  }
}

TEST(Base64Test, RoundTripsEverySizeWithNuls) {
  FakeRandom random(7);
  for (size_t size = 0; size < 300; ++size) {
    std::string octets(size, '\0');
    random.Fill(std::span(reinterpret_cast<uint8_t*>(octets.data()), size));
    if (size > 0) octets[size / 2] = '\0';
    EXPECT_EQ(Base64Decode(Base64Encode(octets)), octets);
  }
}

}  // namespace
}  // namespace gatepost::base
