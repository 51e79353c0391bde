// threats.md L6: which chains of clients are refused, and that none is looked at beyond its bounds.
#include "services/tls/client_verifier.h"

#include <gtest/gtest.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/x509v3.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/base/fake_clock.h"
#include "services/base/strings.h"
#include "services/tls/certificate.h"
#include "services/tls/pem.h"

namespace gatepost::tls::internal {
namespace {

using std::chrono::hours;

struct Party {
  bssl::UniquePtr<X509> certificate;
  std::string key_pem;
  bssl::UniquePtr<EVP_PKEY> key;

  std::string pem() const {
    const bssl::UniquePtr<BIO> out(BIO_new(BIO_s_mem()));
    EXPECT_EQ(PEM_write_bio_X509(out.get(), certificate.get()), 1);
    return TakeText(out.get());
  }
  std::string sha256() const { return ParseChain(pem())->front().sha256_hex; }
};

// What a certificate of a test says; what certificate.h refuses to make is made here.
struct Draft {
  std::string common_name = "client";
  std::string subject_alt_names;  // "email:a@b.example,DNS:c.example"
  std::string extended_key_usage = "clientAuth";
  bool is_ca = false;
  base::WallTime not_before = std::chrono::system_clock::now() - hours(1);
  base::WallTime not_after = std::chrono::system_clock::now() + hours(1);
};

void Extend(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const bssl::UniquePtr<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, const_cast<char*>(value.c_str())));
  ASSERT_TRUE(extension) << value;
  ASSERT_EQ(X509_add_ext(certificate, extension.get(), -1), 1);
}

// issuer == nullptr: self-signed.
Party Make(const Draft& draft, const Party* issuer) {
  Party party;
  party.key_pem = *GenerateKey(KeyType::kEcdsaP256);
  party.key = *ParsePrivateKey(party.key_pem);
  party.certificate.reset(X509_new());
  X509* certificate = party.certificate.get();
  static long serial = 0;
  EXPECT_EQ(X509_set_version(certificate, X509_VERSION_3), 1);
  EXPECT_EQ(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial), 1);
  ASN1_TIME_set(X509_getm_notBefore(certificate), std::chrono::system_clock::to_time_t(draft.not_before));
  ASN1_TIME_set(X509_getm_notAfter(certificate), std::chrono::system_clock::to_time_t(draft.not_after));
  X509_NAME* subject = X509_get_subject_name(certificate);
  EXPECT_EQ(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const uint8_t*>(draft.common_name.data()),
                                       static_cast<int>(draft.common_name.size()), -1, 0),
            1);
  X509_set_issuer_name(certificate, issuer == nullptr ? subject : X509_get_subject_name(issuer->certificate.get()));
  X509_set_pubkey(certificate, party.key.get());
  Extend(certificate, NID_basic_constraints, draft.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!draft.extended_key_usage.empty() && !draft.is_ca) Extend(certificate, NID_ext_key_usage, draft.extended_key_usage);
  if (!draft.subject_alt_names.empty()) Extend(certificate, NID_subject_alt_name, draft.subject_alt_names);
  EXPECT_GT(X509_sign(certificate, issuer == nullptr ? party.key.get() : issuer->key.get(), EVP_sha256()), 0);
  return party;
}

class ClientVerifierTest : public testing::Test {
 protected:
  std::unique_ptr<const ClientVerifier> Verifier() {
    auto made = ClientVerifier::Make(ca_.pem(), refused_, clock_ ? &*clock_ : nullptr);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  static void Append(STACK_OF(CRYPTO_BUFFER)* stack, const Party& party) {
    uint8_t* der = nullptr;
    const int size = i2d_X509(party.certificate.get(), &der);
    ASSERT_TRUE(bssl::PushToStack(stack, bssl::UniquePtr<CRYPTO_BUFFER>(CRYPTO_BUFFER_new(der, static_cast<size_t>(size), nullptr))));
    OPENSSL_free(der);
  }
  ClientVerifier::Judgement Judge(const std::vector<const Party*>& chain) {
    const bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> stack(sk_CRYPTO_BUFFER_new_null());
    for (const Party* party : chain) Append(stack.get(), *party);
    return Verifier()->Judge(stack.get());
  }
  // "": accepted.
  std::string Why(const Draft& draft) {
    const Party client = Make(draft, &ca_);
    const ClientVerifier::Judgement judgement = Judge({&client});
    EXPECT_EQ(judgement.why == nullptr, judgement.certificate != nullptr);
    return judgement.why == nullptr ? "" : judgement.why;
  }

  const Party ca_ = Make({.common_name = "CA", .is_ca = true}, nullptr);
  std::vector<std::string> refused_;
  std::optional<base::FakeClock> clock_;
};

TEST_F(ClientVerifierTest, SaysWhatAVerifiedCertificateSays) {
  const Party client = Make({.common_name = "Alice, of Example", .subject_alt_names = "email:alice@example.com,DNS:a.example.com"}, &ca_);
  const ClientVerifier::Judgement judgement = Judge({&client});
  ASSERT_EQ(judgement.why, nullptr);
  EXPECT_EQ(judgement.certificate->subject, "CN=Alice\\, of Example");
  EXPECT_EQ(judgement.certificate->emails, std::vector<std::string>{"alice@example.com"});
  EXPECT_EQ(judgement.certificate->dns_names, std::vector<std::string>{"a.example.com"});
  EXPECT_EQ(judgement.certificate->sha256_hex, client.sha256());
}

TEST_F(ClientVerifierTest, TheNamesOfItsCasAreSentUnlessTheyAreTooMany) {
  EXPECT_EQ(Verifier()->ca_names().size(), 1u);
  std::string bundle;
  for (int i = 0; i < 150; ++i) {
    bundle += Make({.common_name = "CA with a name of a certain length, number " + std::to_string(i), .is_ca = true}, nullptr).pem();
  }
  EXPECT_TRUE((*ClientVerifier::Make(bundle, {}, nullptr))->ca_names().empty());
}

TEST_F(ClientVerifierTest, AnUnknownCaIsRefused) {
  const Party other = Make({.common_name = "CA", .is_ca = true}, nullptr);
  const Party client = Make({}, &other);
  const ClientVerifier::Judgement judgement = Judge({&client, &other});
  ASSERT_NE(judgement.why, nullptr);
  EXPECT_EQ(judgement.certificate, nullptr);
  const Party self_signed = Make({}, nullptr);
  EXPECT_EQ(Judge({&self_signed}).alert, SSL_AD_UNKNOWN_CA);
}

TEST_F(ClientVerifierTest, ValidityIsThatOfTheMoment) {
  const base::WallTime now = std::chrono::system_clock::now();
  EXPECT_EQ(Why({.not_before = now - hours(48), .not_after = now - hours(24)}), "certificate has expired");
  EXPECT_EQ(Why({.not_before = now + hours(24), .not_after = now + hours(48)}), "certificate is not yet valid");
  const Party client = Make({}, &ca_);
  clock_.emplace(now);
  EXPECT_EQ(Judge({&client}).why, nullptr);
  clock_->Advance(hours(2));
  EXPECT_EQ(Judge({&client}).alert, SSL_AD_CERTIFICATE_EXPIRED);
}

TEST_F(ClientVerifierTest, AnExtendedKeyUsageMustAllowClients) {
  EXPECT_EQ(Why({.extended_key_usage = ""}), "");
  EXPECT_EQ(Why({.extended_key_usage = "serverAuth,clientAuth"}), "");
  EXPECT_EQ(Why({.extended_key_usage = "serverAuth"}), "unsupported certificate purpose");
  EXPECT_EQ(Why({.extended_key_usage = "emailProtection"}), "unsupported certificate purpose");
}

TEST_F(ClientVerifierTest, ANulOrAControlCharacterInANameIsRefused) {
  constexpr std::string_view kWhy = "a client certificate with a name or key that is not taken";
  EXPECT_EQ(Why({.common_name = "alice\nroot"}), kWhy);
  EXPECT_EQ(Why({.common_name = std::string("alice\0.evil", 11)}), kWhy);
  EXPECT_EQ(Why({.common_name = "Zo\xc3\xab"}), "");
  // The extension's text stops at a NUL: the octet is put in afterwards, and the whole signed again.
  Party client = Make({.subject_alt_names = "email:alice@example.com"}, &ca_);
  X509_EXTENSION* names = X509_get_ext(client.certificate.get(), X509_get_ext_by_NID(client.certificate.get(), NID_subject_alt_name, -1));
  ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(names);
  std::string der(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)), static_cast<size_t>(ASN1_STRING_length(value)));
  der[der.find("@example") + 1] = '\0';
  ASN1_STRING_set(value, der.data(), static_cast<int>(der.size()));
  ASSERT_GT(X509_sign(client.certificate.get(), ca_.key.get(), EVP_sha256()), 0);
  const ClientVerifier::Judgement judgement = Judge({&client});
  ASSERT_NE(judgement.why, nullptr);
  EXPECT_EQ(judgement.why, kWhy);
}

std::string Names(int count) {
  std::string names;
  for (int i = 0; i < count; ++i) base::StrAppend(&names, i == 0 ? "" : ",", "DNS:n", i, ".example.com");
  return names;
}

TEST_F(ClientVerifierTest, AHundredNamesAreTakenAndNoMore) {
  EXPECT_EQ(Why({.subject_alt_names = Names(100)}), "");
  EXPECT_EQ(Why({.subject_alt_names = Names(101)}), "a client certificate with a name or key that is not taken");
}

TEST_F(ClientVerifierTest, FiveCertificatesAreTakenAndNoMore) {
  std::deque<Party> parties;
  const Party* issuer = &ca_;
  for (int i = 0; i < 4; ++i) {
    issuer = &parties.emplace_front(Make({.common_name = "intermediate " + std::to_string(i), .is_ca = true}, issuer));
  }
  const Party client = Make({}, issuer);
  std::vector<const Party*> chain{&client};
  for (const Party& party : parties) chain.push_back(&party);
  ASSERT_EQ(chain.size(), 5u);
  EXPECT_STREQ(Judge(chain).why, nullptr);
  chain.push_back(&ca_);
  ASSERT_NE(Judge(chain).why, nullptr);
  EXPECT_STREQ(Judge(chain).why, "more than 5 client certificates");
}

TEST_F(ClientVerifierTest, ALeafIssuesNothing) {
  const Party leaf = Make({.common_name = "leaf"}, &ca_);
  const Party client = Make({}, &leaf);
  EXPECT_NE(Judge({&client, &leaf}).why, nullptr);
}

TEST_F(ClientVerifierTest, ARefusedFingerprintCountsAnywhereInTheChain) {
  const Party intermediate = Make({.common_name = "intermediate", .is_ca = true}, &ca_);
  const Party client = Make({}, &intermediate);
  EXPECT_EQ(Judge({&client, &intermediate}).why, nullptr);
  for (const Party* refused : {&client, &intermediate, &ca_}) {
    refused_ = {std::string(64, '0'), refused->sha256(), std::string(64, 'f')};
    const ClientVerifier::Judgement judgement = Judge({&client, &intermediate});
    ASSERT_NE(judgement.why, nullptr);
    EXPECT_EQ(judgement.alert, SSL_AD_CERTIFICATE_REVOKED);
  }
}

TEST_F(ClientVerifierTest, OctetsThatAreNoCertificateAreRefused) {
  const bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> stack(sk_CRYPTO_BUFFER_new_null());
  const Party client = Make({}, &ca_);
  Append(stack.get(), client);
  constexpr uint8_t kNone[] = {0x30, 0x03, 0x02, 0x01, 0x00};
  bssl::PushToStack(stack.get(), bssl::UniquePtr<CRYPTO_BUFFER>(CRYPTO_BUFFER_new(kNone, sizeof kNone, nullptr)));
  EXPECT_STREQ(Verifier()->Judge(stack.get()).why, "a client certificate that cannot be parsed");
}

}  // namespace
}  // namespace gatepost::tls::internal
