#include "services/tls/certificate.h"

#include <gtest/gtest.h>

namespace gatepost::tls {
namespace {

const std::string& Key() {
  static const std::string key = *GenerateKey(KeyType::kEcdsaP256);
  return key;
}

TEST(CertificateTest, ASelfSignedOneSaysWhatWasAsked) {
  SelfSignedOptions options;
  options.common_name = "mail.example.com";
  options.dns_names = {"mail.example.com", "smtp.example.com"};
  options.addresses = {*base::IpAddress::Parse("192.0.2.1"), *base::IpAddress::Parse("2001:db8::1")};
  options.days = 90;
  const std::string pem = *SelfSign(Key(), options);
  const auto facts = ParseChain(pem);
  ASSERT_TRUE(facts.ok()) << facts.status();
  const CertificateFacts& leaf = facts->front();
  EXPECT_EQ(leaf.subject, "CN=mail.example.com");
  EXPECT_EQ(leaf.dns_names, options.dns_names);
  EXPECT_EQ(leaf.addresses, (std::vector<std::string>{"192.0.2.1", "2001:db8::1"}));
  EXPECT_TRUE(leaf.self_signed);
  EXPECT_FALSE(leaf.is_ca);
  EXPECT_EQ(leaf.key_type, KeyType::kEcdsaP256);
  EXPECT_EQ(leaf.sha256_hex.size(), 64u);
  const auto valid = leaf.not_after - options.now;
  EXPECT_LT(valid, std::chrono::hours(24 * 90 + 1));
  EXPECT_GT(valid, std::chrono::hours(24 * 90 - 1));
  EXPECT_LT(leaf.not_before, options.now);
  EXPECT_TRUE(KeyMatches(pem, Key()).ok());
}

TEST(CertificateTest, RsaIsMadeWithThreeThousandBits) {
  const std::string key = *GenerateKey(KeyType::kRsa);
  const auto facts = ParseKey(key);
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->type, KeyType::kRsa);
  EXPECT_EQ(facts->bits, 3072);
}

TEST(CertificateTest, ALeafIsSignedByItsCaAndCarriesItsUri) {
  const std::string ca_key = *GenerateKey(KeyType::kEcdsaP256);
  const std::string ca = *MakeCa(ca_key, {.common_name = "Gatepost CA"});
  const std::string leaf = *IssueLeaf(ca, ca_key, Key(),
                                      {.common_name = "edge default",
                                       .uris = {"spiffe://gatepost/gatepost/edge/default"},
                                       .dns_names = {"localhost"},
                                       .addresses = {*base::IpAddress::Parse("127.0.0.1")}});
  const auto chain = ParseChain(leaf + ca);
  ASSERT_TRUE(chain.ok()) << chain.status();
  EXPECT_EQ(chain->at(0).uris, std::vector<std::string>{"spiffe://gatepost/gatepost/edge/default"});
  EXPECT_FALSE(chain->at(0).is_ca);
  EXPECT_TRUE(chain->at(1).is_ca);
  EXPECT_TRUE(SignedBy(leaf, ca).ok());
  EXPECT_FALSE(SignedBy(leaf, *MakeCa(*GenerateKey(KeyType::kEcdsaP256), {.common_name = "other"})).ok());
  // The wrong order is no chain.
  EXPECT_FALSE(ParseChain(ca + leaf).ok());
  // Another's key.
  EXPECT_FALSE(KeyMatches(leaf, ca_key).ok());
  EXPECT_FALSE(IssueLeaf(ca, Key(), Key(), {.common_name = "x"}).ok());
}

TEST(CertificateTest, RefusesWhatIsNone) {
  for (const char* text : {"", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseChain(text).status())) << text;
    EXPECT_TRUE(absl::IsInvalidArgument(CheckCaBundle(text))) << text;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ParseKey("garbage").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ParseChain(std::string((64 << 10) + 1, 'x')).status()));
}

// limits.md: at most 100 names; 10 certificates.
TEST(CertificateTest, NamesAndChainsAreBounded) {
  SelfSignedOptions options{.common_name = "x"};
  for (int i = 0; i < 100; ++i) options.dns_names.push_back("n" + std::to_string(i) + ".example");
  const std::string hundred = *SelfSign(Key(), options);
  EXPECT_TRUE(ParseChain(hundred).ok());
  options.dns_names.push_back("one-more.example");
  EXPECT_FALSE(ParseChain(*SelfSign(Key(), options)).ok());
  const std::string one = *SelfSign(Key(), {.common_name = "x", .dns_names = {"x"}});
  std::string ten;
  for (int i = 0; i < 10; ++i) ten += one;
  EXPECT_TRUE(ParseChain(ten).ok());
  EXPECT_FALSE(ParseChain(ten + one).ok());
}

// A name that could be read as another one is not put into a certificate.
TEST(CertificateTest, NamesAreCheckedBeforeTheyAreSigned) {
  const std::string longest = std::string(250, 'a') + ".de";
  EXPECT_TRUE(SelfSign(Key(), {.common_name = "x", .dns_names = {longest}}).ok());
  for (const std::string& name : {std::string(), "a" + longest, std::string("a\0b.example", 11), std::string("a b"), std::string("b\xc3\xbc"),
                                  std::string("a\r\nb")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(SelfSign(Key(), {.common_name = "x", .dns_names = {name}}).status())) << name;
  }
  const std::string ca_key = *GenerateKey(KeyType::kEcdsaP256);
  const std::string ca = *MakeCa(ca_key, {.common_name = "Gatepost CA"});
  const std::string uri = "spiffe://x/" + std::string(2037, 'a');
  EXPECT_TRUE(IssueLeaf(ca, ca_key, Key(), {.common_name = "x", .uris = {uri}}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(IssueLeaf(ca, ca_key, Key(), {.common_name = "x", .uris = {uri + "a"}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(IssueLeaf(ca, ca_key, Key(), {.common_name = "x", .uris = {std::string("spiffe://x/\0", 12)}}).status()));
}

TEST(CertificateTest, ErrorsHoldNoKey) {
  const std::string broken = Key().substr(0, Key().size() / 2);
  const absl::Status status = ParseKey(broken).status();
  EXPECT_EQ(std::string(status.message()).find("MII"), std::string::npos);
  EXPECT_FALSE(GenerateKey(KeyType::kEcdsaP384).ok());
}

}  // namespace
}  // namespace gatepost::tls
