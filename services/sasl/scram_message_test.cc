#include "services/sasl/scram_message.h"

#include <gtest/gtest.h>

namespace gatepost::sasl {
namespace {

using Binding = ScramClientFirst::Binding;
using std::string_literals::operator""s;

TEST(ScramMessageTest, ReadsEveryPart) {
  const auto first = ParseScramClientFirst("p=tls-exporter,a=boss,n=al=2Cice=3D,r=fyko+d2lbbFgONRv9qkxdawL,x=1");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->binding, Binding::kUsed);
  EXPECT_EQ(first->binding_name, "tls-exporter");
  EXPECT_EQ(first->authorization, "boss");
  EXPECT_EQ(first->login, "al,ice=");
  EXPECT_EQ(first->nonce, "fyko+d2lbbFgONRv9qkxdawL");
  EXPECT_EQ(ParseScramClientFirst("y,,n=u,r=x")->binding, Binding::kNotOffered);
  EXPECT_EQ(ParseScramClientFirst("n,,n=u,r=x")->binding, Binding::kUnsupported);
}

// threats.md A9.
TEST(ScramMessageTest, RefusesWhatIsNotOfItsForm) {
  for (const std::string& message : {""s,
                                     "n"s,
                                     "n,"s,
                                     "n,,"s,
                                     "n,,n=u"s,
                                     "n,,n=u,"s,
                                     "n,,n=u,r="s,
                                     "n,,r=x,n=u"s,
                                     "n,,n=,r=x"s,
                                     "n,,n=u=2,r=x"s,
                                     "n,,n=u=4D,r=x"s,
                                     "n,a=,n=u,r=x"s,
                                     "n,b=u,n=u,r=x"s,
                                     "p=,,n=u,r=x"s,
                                     "p,,n=u,r=x"s,
                                     "p=a b,,n=u,r=x"s,
                                     "z,,n=u,r=x"s,
                                     "n,,m=ext,n=u,r=x"s,
                                     "n,,n=u,r=x,m=1"s,
                                     "n,,n=u,r=x,"s,
                                     "n,,n=u,r=x,1=2"s,
                                     "n,,n=u,r=a b"s,
                                     "n,,n=u\0,r=x"s,
                                     "n,,n=\xff,r=x"s,
                                     "n,,n=u\1,r=x"s,
                                     " n,,n=u,r=x"s}) {
    EXPECT_FALSE(ParseScramClientFirst(message)) << message;
  }
}

TEST(ScramMessageTest, BoundsTheNameAt255AndTheNonceAt1024Octets) {
  EXPECT_TRUE(ParseScramClientFirst("n,,n=" + std::string(255, 'n') + ",r=x"));
  EXPECT_FALSE(ParseScramClientFirst("n,,n=" + std::string(256, 'n') + ",r=x"));
  EXPECT_TRUE(ParseScramClientFirst("n,,n=u,r=" + std::string(1'024, 'r')));
  EXPECT_FALSE(ParseScramClientFirst("n,,n=u,r=" + std::string(1'025, 'r')));
}

}  // namespace
}  // namespace gatepost::sasl
