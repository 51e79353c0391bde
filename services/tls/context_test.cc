// What a server is like towards clients with their own idea of versions, suites, names, sessions and certificates.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "services/base/fake_clock.h"
#include "services/tls/certificate.h"
#include "services/tls/context.h"
#include "services/tls/test_handshakes.h"

namespace gatepost::tls {
namespace {

// threats.md L4.
TEST_F(OpensslTest, OldVersionsAndWeakSuitesAreRefused) {
  for (const char* arguments : {"-tls1 -cipher DEFAULT@SECLEVEL=0", "-tls1_1 -cipher DEFAULT@SECLEVEL=0", "-tls1_2 -cipher AES128-SHA",
                                "-tls1_2 -cipher AES128-GCM-SHA256", "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA",
                                "-tls1_2 -cipher aNULL:eNULL@SECLEVEL=0", "-groups P-521",
                                "-tls1_2 -cipher DEFAULT@SECLEVEL=0 -sigalgs ECDSA+SHA1:RSA+SHA1"}) {
    EXPECT_FALSE(Connect(arguments).connected) << arguments;
  }
  for (const char* suite : {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}) {
    const Outcome outcome = Connect(std::string("-tls1_2 -cipher ") + suite);
    EXPECT_TRUE(outcome.connected) << suite;
    EXPECT_EQ(outcome.facts.version, 0x0303);
  }
  EXPECT_EQ(Connect("-tls1_3 -groups P-256").facts.version, 0x0304);
}

// threats.md L4.
TEST_F(OpensslTest, AClientCannotRenegotiate) {
  input_ = "< <(echo R)";
  read_first_ = true;
  EXPECT_TRUE(Connect("-tls1_2").connected);
  EXPECT_EQ(read_error_, net::StreamError::kTls) << read_error_.message();
}

// threats.md L4.
TEST_F(OpensslTest, NoEarlyDataIsOfferedAndNothingIsCompressed) {
  options_.ticket_keys.emplace_back();
  const std::string output = Connect("-tls1_3").output;
  EXPECT_NE(output.find("Max Early Data: 0"), std::string::npos) << output;
  EXPECT_NE(output.find("Compression: NONE"), std::string::npos) << output;
}

// threats.md L3.
TEST_F(OpensslTest, AlpnIsSmtpOrNone) {
  EXPECT_TRUE(Connect("-alpn smtp").connected);
  EXPECT_TRUE(Connect("").connected);
  const Outcome http = Connect("-alpn h2,http/1.1");
  EXPECT_FALSE(http.connected);
  EXPECT_NE(http.output.find("no application protocol"), std::string::npos) << http.output;
}

TEST_F(OpensslTest, AFloorOfTls13IsHeld) {
  options_.tls13_only = true;
  EXPECT_FALSE(Connect("-tls1_2").connected);
  EXPECT_TRUE(Connect("-tls1_3").connected);
}

// threats.md L2: SNI chooses the certificate, an unknown or absent name the default one.
TEST_F(OpensslTest, SniChoosesTheCertificate) {
  const std::string key = *GenerateKey(KeyType::kEcdsaP256);
  options_.identities.push_back({*SelfSign(key, {.common_name = "other", .dns_names = {"*.other.example"}}), key});
  EXPECT_NE(Connect("-servername mail.example.com").output.find("CN = mail.example.com"), std::string::npos);
  EXPECT_NE(Connect("-servername a.other.example").output.find("CN = other"), std::string::npos);
  EXPECT_NE(Connect("-servername a.b.other.example").output.find("CN = mail.example.com"), std::string::npos);
  EXPECT_NE(Connect("-servername unknown.example").output.find("CN = mail.example.com"), std::string::npos);
  EXPECT_NE(Connect("-noservername").output.find("CN = mail.example.com"), std::string::npos);
}

TEST_F(OpensslTest, AnRsaOnlyClientGetsTheRsaCertificate) {
  const std::string key = *GenerateKey(KeyType::kRsa);
  options_.identities.push_back({*SelfSign(key, {.common_name = "rsa", .dns_names = {"mail.example.com"}}), key});
  EXPECT_NE(Connect("-sigalgs RSA-PSS+SHA256:RSA+SHA256").output.find("CN = rsa"), std::string::npos);
  EXPECT_NE(Connect("").output.find("CN = mail.example.com"), std::string::npos);
  // It verifies both kinds, but TLS 1.2's suites name one: the name asked for must not choose the other.
  for (const char* suite : {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"}) {
    EXPECT_NE(Connect(std::string("-tls1_2 -cipher ") + suite).output.find("CN = rsa"), std::string::npos) << suite;
  }
  const std::string ecdsa_alone = Connect("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256 -servername unknown.example").output;
  EXPECT_NE(ecdsa_alone.find("CN = mail.example.com"), std::string::npos);
}

// protocol.md 5: a client that puts AES-128 first among TLS 1.3's suites gets TLS 1.2, where the suites can be chosen.
TEST_F(OpensslTest, AFloorOf256BitsIsHeldWhateverTheClientPrefers) {
  options_.min_cipher_bits = 256;
  struct Row {
    const char* arguments;
    int version;  // 0: refused
  };
  for (const Row& row : {Row{"", 0x0304}, Row{"-ciphersuites TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256", 0x0304},
                         Row{"-ciphersuites TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256", 0x0304},
                         // BoringSSL knows no CCM.
                         Row{"-ciphersuites TLS_AES_128_CCM_SHA256:TLS_AES_256_GCM_SHA384", 0x0304},
                         Row{"-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384", 0x0303},
                         Row{"-ciphersuites TLS_AES_128_GCM_SHA256 -cipher ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305", 0x0303},
                         Row{"-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", 0x0303},
                         Row{"-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384", 0}, Row{"-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", 0},
                         Row{"-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", 0},
                         Row{"-ciphersuites TLS_AES_128_GCM_SHA256 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", 0}}) {
    const Outcome outcome = Connect(row.arguments);
    EXPECT_EQ(outcome.connected, row.version != 0) << row.arguments << outcome.detail;
    if (!outcome.connected) continue;
    EXPECT_EQ(outcome.facts.version, row.version) << row.arguments;
    EXPECT_EQ(outcome.facts.cipher_bits, 256) << row.arguments;
  }
  options_.tls13_only = true;
  EXPECT_FALSE(Connect("-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384").connected);
  EXPECT_TRUE(Connect("").connected);
}

TEST_F(OpensslTest, AFloorOf128BitsLeavesTheChoiceToTheClient) {
  const Outcome outcome = Connect("-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(outcome.facts.version, 0x0304);
  EXPECT_EQ(outcome.facts.cipher_bits, 128);
}

// threats.md L2.
TEST_F(OpensslTest, AnUnknownNameIsRefusedWherePolicySaysSo) {
  options_.refuse_unknown_names = true;
  const std::string key = *GenerateKey(KeyType::kEcdsaP256);
  options_.identities.push_back({*SelfSign(key, {.common_name = "other", .dns_names = {"*.other.example"}}), key});
  for (const char* arguments : {"-servername mail.example.com", "-servername MAIL.Example.com", "-servername mail.example.com.",
                                "-servername a.other.example", "-noservername"}) {
    EXPECT_TRUE(Connect(arguments).connected) << arguments;
  }
  for (const char* arguments : {"-servername unknown.example", "-servername a.b.other.example", "-servername other.example"}) {
    const Outcome outcome = Connect(arguments);
    EXPECT_FALSE(outcome.connected) << arguments;
    EXPECT_NE(outcome.output.find("unrecognized name"), std::string::npos) << outcome.output;
  }
}

class SessionTest : public OpensslTest {
 protected:
  SessionTest() {
    ticket_key_.name.fill(1);
    ticket_key_.hmac_key.fill(2);
    ticket_key_.aes_key.fill(3);
    options_.ticket_keys = {ticket_key_};
  }
  void Begin(const std::string& arguments) {
    const Outcome outcome = Connect(arguments + " -sess_out " + file_);
    ASSERT_TRUE(outcome.connected) << outcome.detail;
    EXPECT_FALSE(outcome.facts.resumed);
  }
  Outcome Resume(const std::string& arguments) { return Connect(arguments + " -sess_in " + file_); }

  TicketKey ticket_key_;
  const std::string file_ = testing::TempDir() + "/session" + std::to_string(getpid());
};

// Each is sealed and sent in every session, and a mail client uses one.
TEST_F(SessionTest, Tls13GivesOneTicket) {
  const std::string said = Connect("-tls1_3").output;
  const std::string_view arrived = "Post-Handshake New Session Ticket arrived";
  const size_t first = said.find(arrived);
  ASSERT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find(arrived, first + 1), std::string::npos) << said;
}

// threats.md L1: a ticket of one scope never resumes in another; the same keys elsewhere do resume.
TEST_F(SessionTest, TicketsResumeWithinTheirScopeAlone) {
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    const std::string base = std::string(version) + " -servername mail.example.com ";
    Begin(base);
    EXPECT_TRUE(Resume(base).facts.resumed) << version;
    options_.session_scope = "virtualServers/other";
    const Outcome other = Resume(base);
    EXPECT_TRUE(other.connected);
    EXPECT_FALSE(other.facts.resumed) << version;
    options_.session_scope = "virtualServers/test";
    options_.ticket_keys.front().name.fill(9);
    const Outcome unknown = Resume(base);
    EXPECT_TRUE(unknown.connected);
    EXPECT_FALSE(unknown.facts.resumed) << version;
    options_.ticket_keys.push_back(ticket_key_);  // the previous key still opens
    EXPECT_TRUE(Resume(base).facts.resumed) << version;
    options_.ticket_keys = {ticket_key_};
  }
}

// threats.md L1; RFC 6066 section 3.
TEST_F(SessionTest, ASessionIsOneNames) {
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    Begin(version + " -servername mail.example.com");
    EXPECT_TRUE(Resume(version + " -servername MAIL.example.com").facts.resumed) << version;
    for (const char* name : {" -servername other.example", " -noservername"}) {
      const Outcome outcome = Resume(version + name);
      EXPECT_TRUE(outcome.connected);
      EXPECT_FALSE(outcome.facts.resumed) << version << name;
    }
  }
}

// threats.md L1.
TEST_F(SessionTest, NoSessionOutlivesAChangeOfTheTlsPolicy) {
  const ServerContext::Options before = options_;
  const std::vector<std::function<void()>> changes{
      [&] { options_.min_cipher_bits = 256; },
      [&] { options_.refuse_unknown_names = true; },
      [&] {
        options_.client_certificates = ClientCertificateMode::kRequested;
        options_.client_ca_bundle_pem = Ecdsa().certificate;
      },
      [&] {
        options_.client_certificates = ClientCertificateMode::kRequested;
        options_.client_ca_bundle_pem = Ecdsa().certificate;
        options_.refused_fingerprints = {std::string(64, 'a')};
      }};
  const std::string arguments = "-tls1_3 -servername mail.example.com";
  for (const auto& change : changes) {
    options_ = before;
    Begin(arguments);
    change();
    const Outcome outcome = Resume(arguments);
    EXPECT_TRUE(outcome.connected) << outcome.detail;
    EXPECT_FALSE(outcome.facts.resumed);
  }
  options_ = before;
  const std::string tls12_too = "-servername mail.example.com";
  Begin(tls12_too);
  options_.tls13_only = true;
  EXPECT_FALSE(Resume(tls12_too).facts.resumed);
}

class ClientCertificateTest : public SessionTest {
 protected:
  ClientCertificateTest() {
    options_.client_certificates = ClientCertificateMode::kMandatory;
    options_.client_ca_bundle_pem = ca_;
    options_.clock = &clock_;
    Write("client.pem", certificate_);
    Write("client.key", key_);
  }
  static std::string Path(const std::string& name) { return testing::TempDir() + "/" + std::to_string(getpid()) + name; }
  static void Write(const std::string& name, const std::string& text) { std::ofstream(Path(name)) << text; }

  base::FakeClock clock_{std::chrono::system_clock::now()};
  const std::string ca_key_ = *GenerateKey(KeyType::kEcdsaP256);
  const std::string ca_ = *MakeCa(ca_key_, {.common_name = "Client CA"});
  const std::string key_ = *GenerateKey(KeyType::kEcdsaP256);
  const std::string certificate_ =
      *IssueLeaf(ca_, ca_key_, key_, {.common_name = "alice", .dns_names = {"alice.example"}, .days = 1});
  const std::string shown_ = " -cert " + Path("client.pem") + " -key " + Path("client.key");
};

TEST_F(ClientCertificateTest, AMandatoryOneIsVerifiedAndKnown) {
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    const Outcome outcome = Connect(version + shown_);
    ASSERT_TRUE(outcome.connected) << outcome.detail;
    ASSERT_NE(outcome.facts.client_certificate, nullptr);
    EXPECT_EQ(outcome.facts.client_certificate->subject, "CN=alice");
    EXPECT_EQ(outcome.facts.client_certificate->dns_names, std::vector<std::string>{"alice.example"});
    EXPECT_EQ(outcome.facts.client_certificate->sha256_hex, ParseChain(certificate_)->front().sha256_hex);
    EXPECT_NE(outcome.output.find("CN = Client CA"), std::string::npos) << "the CA's name is sent";
    const Outcome without = Connect(version);
    EXPECT_FALSE(without.connected);
    EXPECT_EQ(without.detail, "PEER_DID_NOT_RETURN_A_CERTIFICATE");
  }
}

TEST_F(ClientCertificateTest, ARequestedOneMayBeAbsentButNotBad) {
  options_.client_certificates = ClientCertificateMode::kRequested;
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    const Outcome without = Connect(version);
    EXPECT_TRUE(without.connected) << without.detail;
    EXPECT_EQ(without.facts.client_certificate, nullptr);
    EXPECT_NE(Connect(version + shown_).facts.client_certificate, nullptr);
    options_.client_ca_bundle_pem = Ecdsa().certificate;
    const Outcome unknown = Connect(version + shown_);
    EXPECT_FALSE(unknown.connected);
    EXPECT_NE(unknown.detail.find("issuer certificate"), std::string::npos) << unknown.detail;
    options_.client_ca_bundle_pem = ca_;
  }
}

TEST_F(ClientCertificateTest, WithoutARequestNoneIsSeen) {
  options_.client_certificates = ClientCertificateMode::kNotRequested;
  const Outcome outcome = Connect(shown_);
  EXPECT_TRUE(outcome.connected);
  EXPECT_EQ(outcome.facts.client_certificate, nullptr);
  EXPECT_EQ(outcome.output.find("CN = Client CA"), std::string::npos);
}

// limits.md: 64 KiB of certificates.
TEST_F(ClientCertificateTest, SixtyFourKibibytesOfCertificatesAreTakenAndNoMore) {
  for (const size_t uris : {31, 33}) {
    LeafOptions options{.common_name = "alice", .days = 1};
    for (size_t i = 0; i < uris; ++i) options.uris.push_back("spiffe://x/" + std::string(2'000, 'a') + std::to_string(i));
    Write("large.pem", *IssueLeaf(ca_, ca_key_, key_, options));
    for (const std::string version : {"-tls1_2", "-tls1_3"}) {
      const Outcome outcome = Connect(version + " -cert " + Path("large.pem") + " -key " + Path("client.key"));
      EXPECT_EQ(outcome.connected, uris == 31) << outcome.detail;
      if (!outcome.connected) EXPECT_EQ(outcome.detail, "EXCESSIVE_MESSAGE_SIZE");
    }
  }
}

// limits.md: before any is parsed.
TEST_F(ClientCertificateTest, LongChainsAreBoundedByOctetsAndByNumber) {
  std::string chain;
  for (int i = 0; i < 100; ++i) chain += certificate_;
  Write("chain.pem", chain);
  const std::string arguments = shown_ + " -cert_chain " + Path("chain.pem");
  for (const std::string version : {"-tls1_2", "-tls1_3"}) EXPECT_EQ(Connect(version + arguments).detail, "more than 5 client certificates");
  while (chain.size() < (100 << 10)) chain += certificate_;
  Write("chain.pem", chain);
  for (const std::string version : {"-tls1_2", "-tls1_3"}) EXPECT_EQ(Connect(version + arguments).detail, "EXCESSIVE_MESSAGE_SIZE");
}

TEST_F(ClientCertificateTest, AResumedSessionsCertificateIsJudgedAgain) {
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    Begin(version + shown_);
    const Outcome resumed = Resume(version);
    ASSERT_TRUE(resumed.facts.resumed) << resumed.detail;
    ASSERT_NE(resumed.facts.client_certificate, nullptr);
    EXPECT_EQ(resumed.facts.client_certificate->subject, "CN=alice");
    clock_.Advance(std::chrono::hours(25));
    const Outcome expired = Resume(version);
    EXPECT_FALSE(expired.connected);
    EXPECT_EQ(expired.detail, "certificate has expired");
    clock_.SetWall(std::chrono::system_clock::now());
    // A fingerprint that is refused from now on: no session is resumed, and the full handshake fails.
    options_.refused_fingerprints = {ParseChain(certificate_)->front().sha256_hex};
    EXPECT_EQ(Resume(version + shown_).detail, "a client certificate whose fingerprint is refused");
    options_.refused_fingerprints.clear();
  }
}

// threats.md L1: what A gave to anybody is worth nothing on B, which wants a certificate.
TEST_F(ClientCertificateTest, ASessionMadeWithoutOneDoesNotReplaceIt) {
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    options_.client_certificates = ClientCertificateMode::kNotRequested;
    Begin(version);
    options_.client_certificates = ClientCertificateMode::kMandatory;
    EXPECT_FALSE(Resume(version).connected);
    const Outcome outcome = Resume(version + shown_);
    EXPECT_TRUE(outcome.connected);
    EXPECT_FALSE(outcome.facts.resumed);
    EXPECT_NE(outcome.facts.client_certificate, nullptr);
  }
}

TEST(ContextTest, RefusesAnIdentityThatDoesNotFit) {
  ServerContext::Options options;
  options.session_scope = "x";
  EXPECT_FALSE(ServerContext::Make(options).ok());
  options.identities = {{Ecdsa().certificate, *GenerateKey(KeyType::kEcdsaP256)}};
  const absl::Status status = ServerContext::Make(options).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_NE(std::string(status.message()).find("certificates[0]"), std::string::npos);
  options.identities = {{Ecdsa().certificate, Ecdsa().key}};
  options.session_scope.clear();
  EXPECT_FALSE(ServerContext::Make(options).ok());
}

TEST(ContextTest, RefusesOptionsThatAreNone) {
  ServerContext::Options options;
  options.session_scope = "x";
  options.identities = {{Ecdsa().certificate, Ecdsa().key}};
  EXPECT_TRUE(ServerContext::Make(options).ok());
  options.min_cipher_bits = 192;
  EXPECT_FALSE(ServerContext::Make(options).ok());
  options.min_cipher_bits = 256;
  options.client_certificates = ClientCertificateMode::kRequested;
  EXPECT_FALSE(ServerContext::Make(options).ok()) << "who vouches for them?";
  options.client_ca_bundle_pem = Ecdsa().certificate;
  EXPECT_TRUE(ServerContext::Make(options).ok());
  for (const std::string& fingerprint : {std::string(63, 'a'), std::string(64, 'g')}) {
    options.refused_fingerprints = {fingerprint};
    EXPECT_FALSE(ServerContext::Make(options).ok());
  }
}

}  // namespace
}  // namespace gatepost::tls
