// R15: a request made by the service, signed by a CA (OpenSSL's), installed. The key stays where it was made; what does not answer
// the request is refused, with everything that is wrong with it.
#include <google/protobuf/text_format.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "services/config/catalogue.h"
#include "services/config/test_world.h"
#include "services/config/unit_builder.h"
#include "services/store/test_folder.h"
#include "services/tls/certificate.h"

namespace gatepost::config {
namespace {

using google::protobuf::TextFormat;

class SigningRequestTest : public testing::Test {
 protected:
  SigningRequestTest() {
    world_.clock.SetWall(std::chrono::system_clock::now());
    Openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 -subj '/CN=Test CA'");
  }

  // Runs `openssl`; its standard output.
  std::string Openssl(const std::string& arguments) {
    const std::string command = "cd " + folder_.path() + " && openssl " + arguments + " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    std::string output;
    std::array<char, 4096> buffer;
    while (size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
    EXPECT_EQ(pclose(pipe), 0) << command << "\n" << output;
    return output;
  }
  std::string Read(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder_.path() + "/" + name).rdbuf();
    return text.str();
  }
  void Write(const std::string& name, const std::string& text) { std::ofstream(folder_.path() + "/" + name) << text; }

  // What the CA answers: with the names that were asked for, or with others ("DNS:x.example").
  std::string Sign(const std::string& csr, const std::string& names = "", int days = 30) {
    Write("request.pem", csr);
    Write("names.cnf", "subjectAltName=" + names + "\n");
    Openssl("x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out answer.pem -days " + std::to_string(days) +
            (names.empty() ? " -copy_extensions copy" : " -extfile names.cnf"));
    return Read("answer.pem");
  }

  absl::StatusOr<v1::Certificate> Request(const std::string& fields) {
    v1::CreateSigningRequestRequest request;
    EXPECT_TRUE(TextFormat::ParseFromString("name: 'certificates/mail' " + fields, &request));
    call_ = Call{"caller", {}, {}, 0, 0};
    return catalogue_.CreateSigningRequest(request, &call_);
  }
  absl::StatusOr<v1::Certificate> Install(const std::string& chain, const std::string& fields = "") {
    v1::InstallCertificateRequest request;
    EXPECT_TRUE(TextFormat::ParseFromString("name: 'certificates/mail' " + fields, &request));
    request.set_certificate_chain_pem(chain);
    call_ = Call{"caller", {}, {}, 0, 0};
    return catalogue_.Install(request, &call_);
  }
  absl::Status CreateServer(const std::string& certificate) {
    v1::CreateVirtualServerRequest request;
    request.set_virtual_server_id("a");
    request.mutable_virtual_server()->set_fqdn("a.example");
    request.mutable_virtual_server()->add_certificates(certificate);
    call_ = Call{"caller", {}, {}, 0, 0};
    return catalogue_.Create(request, &call_).status();
  }
  absl::StatusOr<store::Record> Stored(const std::string& key) { return (*world_.store.Read())->Get(key); }
  std::string Descriptions() {
    std::string text;
    for (const Violation& violation : call_.violations.list()) text += violation.field + ": " + violation.description + "\n";
    return text;
  }

  const store::TestFolder folder_;
  TestWorld world_;
  CertificateMaker maker_{world_.clock};
  Catalogue catalogue_{world_.repository, maker_, world_.hosts, world_.clock, world_.random};
  Call call_;
};

TEST_F(SigningRequestTest, SaysWhatWasAskedAndIsSignedByItsKey) {
  const auto made = Request(R"(dns_names: "Mail.Example.com" dns_names: "smtp.example.com"
                               subject { organization: "Example, Inc." locality: "Zoetermeer" country: "NL" })");
  ASSERT_TRUE(made.ok()) << made.status();
  Write("request.pem", made->signing_request().pem());
  const std::string text = Openssl("req -in request.pem -verify -noout -text -nameopt RFC2253");
  EXPECT_NE(text.find("verify OK"), std::string::npos) << text;
  EXPECT_NE(text.find("CN=mail.example.com,O=Example\\, Inc.,L=Zoetermeer,C=NL"), std::string::npos) << text;
  EXPECT_NE(text.find("DNS:mail.example.com, DNS:smtp.example.com"), std::string::npos) << text;
  EXPECT_NE(text.find("prime256v1"), std::string::npos) << text;
  EXPECT_EQ(made->signing_request().dns_names(0), "mail.example.com");
  EXPECT_EQ(made->certificate_chain_pem(), "");
  EXPECT_FALSE(made->has_facts());
  EXPECT_EQ(made->display_name(), "mail");
  EXPECT_EQ(made->SerializeAsString().find("PRIVATE KEY"), std::string::npos);
}

TEST_F(SigningRequestTest, RsaHas3072Bits) {
  const auto made = Request("dns_names: 'mail.example.com' key_type: RSA");
  ASSERT_TRUE(made.ok()) << made.status();
  Write("request.pem", made->signing_request().pem());
  EXPECT_NE(Openssl("req -in request.pem -noout -text").find("(3072 bit)"), std::string::npos);
}

TEST_F(SigningRequestTest, ALongNameIsNoCommonName) {
  const std::string name = std::string(60, 'a') + ".example.com";
  const auto made = Request("dns_names: '" + name + "'");
  ASSERT_TRUE(made.ok()) << made.status();
  Write("request.pem", made->signing_request().pem());
  const std::string text = Openssl("req -in request.pem -noout -text");
  EXPECT_EQ(text.find("CN = "), std::string::npos) << text;
  EXPECT_NE(text.find("DNS:" + name), std::string::npos) << text;
}

TEST_F(SigningRequestTest, AllViolationsAreNamed) {
  const auto made = Request(R"(dns_names: "mail.example.com" dns_names: "no name" key_type: ECDSA_P384
                               subject { organization: "a\nb" locality: ")" +
                            std::string(129, 'x') + R"(" country: "nl" })");
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  std::string fields;
  for (const Violation& violation : call_.violations.list()) fields += violation.field + " ";
  EXPECT_EQ(fields, "dns_names[1] key_type subject.organization subject.locality subject.country ");
  EXPECT_EQ(Request("").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SigningRequestTest, TheAnswerIsInstalledWithTheRequestsKey) {
  const std::string csr = Request("dns_names: 'mail.example.com'")->signing_request().pem();
  const std::string request_key = *world_.repository.RequestKeyOf(*Stored("requestKeys/mail"));
  const auto installed = Install(Sign(csr) + Read("ca.pem"));
  ASSERT_TRUE(installed.ok()) << installed.status() << Descriptions();
  EXPECT_EQ(installed->facts().dns_names(0), "mail.example.com");
  EXPECT_EQ(installed->facts().issuer(), "CN=Test CA");
  EXPECT_FALSE(installed->has_signing_request());
  EXPECT_EQ(world_.repository.CertificateKeyOf(*Stored("certificateKeys/mail"))->private_key_pem(), request_key);
  EXPECT_EQ(Stored("requestKeys/mail").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(CreateServer("certificates/mail").ok());
  EXPECT_EQ(Install(Read("answer.pem")).status().code(), absl::StatusCode::kFailedPrecondition) << "it has been answered";
}

TEST_F(SigningRequestTest, WhatIsInUseStaysInUseUntilTheAnswerIsThere) {
  v1::CreateCertificateRequest create;
  ASSERT_TRUE(TextFormat::ParseFromString(
      "certificate_id: 'mail' certificate { self_signed { dns_names: 'mail.example.com' } }", &create));
  const auto before = catalogue_.Create(create, &call_);
  ASSERT_TRUE(before.ok());
  ASSERT_TRUE(CreateServer("certificates/mail").ok());
  const std::string key = world_.repository.CertificateKeyOf(*Stored("certificateKeys/mail"))->private_key_pem();
  UnitBuilder units(world_.repository);
  const std::string csr = Request("dns_names: 'mail.example.com'")->signing_request().pem();

  const v1::Unit waiting = (*units.Build("default", std::nullopt))->pieces.front().unit();
  ASSERT_EQ(waiting.certificates_size(), 1);
  EXPECT_EQ(waiting.certificates(0).certificate_chain_pem(), before->certificate_chain_pem());
  EXPECT_FALSE(waiting.certificates(0).has_signing_request());
  EXPECT_EQ(waiting.secrets(0).certificate_key().private_key_pem(), key);
  EXPECT_EQ(waiting.SerializeAsString().find(*world_.repository.RequestKeyOf(*Stored("requestKeys/mail"))), std::string::npos);

  ASSERT_TRUE(Install(Sign(csr)).ok()) << Descriptions();
  const v1::Unit after = (*units.Build("default", std::nullopt))->pieces.front().unit();
  EXPECT_EQ(after.certificates(0).certificate_chain_pem(), Read("answer.pem"));
  EXPECT_NE(after.secrets(0).certificate_key().private_key_pem(), key);
}

TEST_F(SigningRequestTest, WithoutACertificateNoVirtualServerMayNameIt) {
  ASSERT_TRUE(Request("dns_names: 'mail.example.com'").ok());
  EXPECT_EQ(CreateServer("certificates/mail").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(Descriptions().find("virtual_server.certificates[0]: has no certificate yet"), std::string::npos) << Descriptions();
}

TEST_F(SigningRequestTest, ASecondRequestReplacesTheFirstOnlyWhenTold) {
  const std::string first = Request("dns_names: 'mail.example.com'")->signing_request().pem();
  EXPECT_EQ(Request("dns_names: 'mail.example.com'").status().code(), absl::StatusCode::kFailedPrecondition);
  const auto second = Request("dns_names: 'mail.example.com' replace: true");
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(Install(Sign(first)).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(Descriptions().find("not for the key of the request"), std::string::npos) << Descriptions();
  EXPECT_TRUE(Install(Sign(second->signing_request().pem())).ok());
}

TEST_F(SigningRequestTest, AnAnswerIsForEveryNameThatWasAskedFor) {
  const std::string csr = Request("dns_names: 'mail.example.com' dns_names: 'a.example.org' dns_names: 'b.c.example.net'")->signing_request().pem();
  EXPECT_FALSE(Install(Sign(csr, "DNS:other.example.com,DNS:*.example.org,DNS:*.example.net")).ok());
  EXPECT_EQ(Descriptions(),
            "certificate_chain_pem: is not for mail.example.com, which was asked for\n"
            "certificate_chain_pem: is not for b.c.example.net, which was asked for\n");
  EXPECT_TRUE(Install(Sign(csr, "DNS:MAIL.example.com,DNS:*.example.org,DNS:b.c.example.net")).ok()) << Descriptions();
}

TEST_F(SigningRequestTest, AnAnswerIsInOrderAndNotExpired) {
  const std::string csr = Request("dns_names: 'mail.example.com'")->signing_request().pem();
  EXPECT_FALSE(Install("").ok());
  EXPECT_FALSE(Install("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n").ok());
  const std::string answer = Sign(csr);
  EXPECT_FALSE(Install(Read("ca.pem") + answer).ok());
  EXPECT_FALSE(Install(Read("ca.pem")).ok());
  EXPECT_NE(Descriptions().find("is a CA's"), std::string::npos) << Descriptions();
  world_.clock.Advance(std::chrono::hours(24 * 31));
  EXPECT_FALSE(Install(answer).ok());
  EXPECT_NE(Descriptions().find("CN=mail.example.com has expired"), std::string::npos) << Descriptions();
}

TEST_F(SigningRequestTest, NothingIsStoredByValidateOnly) {
  const auto judged = Request("dns_names: 'mail.example.com' validate_only: true");
  ASSERT_TRUE(judged.ok());
  EXPECT_EQ(Stored("certificates/mail").status().code(), absl::StatusCode::kNotFound);
  const std::string csr = Request("dns_names: 'mail.example.com'")->signing_request().pem();
  ASSERT_TRUE(Install(Sign(csr), "validate_only: true").ok()) << Descriptions();
  EXPECT_TRUE(Stored("requestKeys/mail").ok());
}

TEST_F(SigningRequestTest, EtagsAndUnknownNames) {
  EXPECT_EQ(Install("x").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Request("dns_names: 'mail.example.com' etag: 'x-1'").status().code(), absl::StatusCode::kNotFound);
  const auto made = Request("dns_names: 'mail.example.com'");
  EXPECT_EQ(Request("dns_names: 'mail.example.com' replace: true etag: 'x-1'").status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Request("dns_names: 'mail.example.com' replace: true etag: '" + made->etag() + "'").ok());
  EXPECT_EQ(Install("x", "etag: '" + made->etag() + "'").status().code(), absl::StatusCode::kAborted);
}

TEST_F(SigningRequestTest, WhatWaitsMayBeRenamedImportedAndDeleted) {
  ASSERT_TRUE(Request("dns_names: 'mail.example.com'").ok());
  v1::UpdateCertificateRequest update;
  ASSERT_TRUE(TextFormat::ParseFromString("certificate { name: 'certificates/mail' display_name: 'x' }", &update));
  const auto renamed = catalogue_.Update(update, &call_);
  ASSERT_TRUE(renamed.ok()) << renamed.status();
  EXPECT_TRUE(renamed->has_signing_request());
  const std::string key = *tls::GenerateKey(tls::KeyType::kEcdsaP256);
  update.mutable_certificate()->set_private_key_pem(key);
  update.mutable_certificate()->set_certificate_chain_pem(*tls::SelfSign(key, {.common_name = "x", .dns_names = {"x.example"}}));
  const auto imported = catalogue_.Update(update, &call_);
  ASSERT_TRUE(imported.ok()) << imported.status() << Descriptions();
  EXPECT_TRUE(imported->has_signing_request()) << "its answer may come yet";
  v1::DeleteCertificateRequest remove;
  remove.set_name("certificates/mail");
  ASSERT_TRUE(catalogue_.Delete(remove, &call_).ok());
  for (const char* collection : {"certificates/", "certificateKeys/", "requestKeys/"}) {
    EXPECT_EQ(Stored(std::string(collection) + "mail").status().code(), absl::StatusCode::kNotFound);
  }
}

}  // namespace
}  // namespace gatepost::config
