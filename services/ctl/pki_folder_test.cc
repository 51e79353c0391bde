// The folder, then what `openssl verify` and `openssl x509` say of it: an implementation that is not ours.
#include "services/ctl/pki_folder.h"

#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/base/fake_clock.h"
#include "services/base/file.h"

namespace gatepost::ctl {
namespace {

using std::chrono::hours;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr hours kDay{24};

class PkiFolderTest : public ::testing::Test {
 protected:
  PkiFolderTest() {
    char name[] = "/tmp/pki_XXXXXX";
    path_ = mkdtemp(name);
    clock_.SetWall(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
  }
  ~PkiFolderTest() override { std::filesystem::remove_all(path_); }

  PkiFolder Folder() { return PkiFolder(path_ + "/pki", clock_, random_); }

  std::string Content(const std::string& name) {
    auto text = base::ReadFile(path_ + "/pki/" + name);
    return text.ok() ? *text : "";
  }

  unsigned Mode(const std::string& name) {
    struct stat status = {};
    EXPECT_EQ(stat((path_ + "/pki/" + name).c_str(), &status), 0) << name;
    return status.st_mode & 0777;
  }

  std::string OpenSsl(const std::string& arguments) {
    std::FILE* pipe = popen(("cd " + path_ + "/pki && openssl " + arguments + " 2>&1").c_str(), "r");
    std::string out;
    char buffer[512];
    while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) out += buffer;
    pclose(pipe);
    return out;
  }

  std::string path_;
  base::FakeClock clock_;
  base::SystemRandom random_;
};

TEST_F(PkiFolderTest, InitMakesACaAndTwoKeysForTheirOwnerAlone) {
  ASSERT_TRUE(Folder().Init("example.org").ok());
  EXPECT_EQ(Mode(""), 0700u);
  EXPECT_EQ(Mode("ca.key"), 0600u);
  EXPECT_EQ(Mode("master.key"), 0600u);
  EXPECT_EQ(Mode("snapshot.key"), 0600u);
  EXPECT_EQ(Content("master.key").size(), 32u);
  EXPECT_EQ(Content("snapshot.key").size(), 32u);
  EXPECT_NE(Content("master.key"), Content("snapshot.key"));
  EXPECT_THAT(OpenSsl("x509 -in ca.crt -noout -text"), HasSubstr("CA:TRUE"));
  EXPECT_THAT(OpenSsl("x509 -in ca.crt -noout -checkend " + std::to_string(3650L * 86400)),
              HasSubstr("will not expire"));
  EXPECT_THAT(OpenSsl("x509 -in ca.crt -noout -checkend " + std::to_string(3655L * 86400)), HasSubstr("will expire"));
}

TEST_F(PkiFolderTest, InitOverwritesNothing) {
  ASSERT_TRUE(Folder().Init("example.org").ok());
  const std::string before = Content("ca.key") + Content("master.key");
  EXPECT_TRUE(absl::IsAlreadyExists(Folder().Init("example.org")));
  EXPECT_EQ(Content("ca.key") + Content("master.key"), before);
}

TEST_F(PkiFolderTest, InitRefusesWhatIsNoTrustDomain) {
  for (const char* domain : {"", "Example.org", "a/b", "a b", "spiffe://x"})
    EXPECT_TRUE(absl::IsInvalidArgument(Folder().Init(domain))) << domain;
}

TEST_F(PkiFolderTest, AnIdentityHasOneUriItsNamesAndVerifies) {
  ASSERT_TRUE(Folder().Init("example.org").ok());
  auto id = Folder().Issue({"config",
                            "main",
                            {"config.example.net"},
                            {*base::IpAddress::Parse("127.0.0.1"), *base::IpAddress::Parse("::1")}});
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*id, "spiffe://example.org/gatepost/config/main");
  EXPECT_EQ(Mode("config-main.key"), 0600u);
  EXPECT_EQ(OpenSsl("verify -x509_strict -CAfile ca.crt -purpose sslserver config-main.crt"), "config-main.crt: OK\n");
  EXPECT_EQ(OpenSsl("verify -x509_strict -CAfile ca.crt -purpose sslclient config-main.crt"), "config-main.crt: OK\n");
  EXPECT_EQ(OpenSsl("verify -CAfile ca.crt -verify_hostname config.example.net config-main.crt"),
            "config-main.crt: OK\n");
  EXPECT_EQ(OpenSsl("verify -CAfile ca.crt -verify_ip ::1 config-main.crt"), "config-main.crt: OK\n");
  EXPECT_THAT(OpenSsl("verify -CAfile ca.crt -verify_hostname other.example.net config-main.crt"),
              HasSubstr("mismatch"));
  const std::string names = OpenSsl("x509 -in config-main.crt -noout -ext subjectAltName,basicConstraints");
  EXPECT_THAT(names, HasSubstr("URI:spiffe://example.org/gatepost/config/main"));
  EXPECT_EQ(names.find("URI:"), names.rfind("URI:")) << names;
  EXPECT_THAT(names, HasSubstr("CA:FALSE"));
  EXPECT_THAT(OpenSsl("x509 -in config-main.crt -noout -checkend " + std::to_string(396L * 86400)),
              HasSubstr("will not expire"));
  EXPECT_THAT(OpenSsl("x509 -in config-main.crt -noout -checkend " + std::to_string(398L * 86400)),
              HasSubstr("will expire"));
}

TEST_F(PkiFolderTest, AnIdentityOfAnotherCaDoesNotVerify) {
  ASSERT_TRUE(Folder().Init("example.org").ok());
  ASSERT_TRUE(Folder().Issue({"edge", "default", {}, {}}).ok());
  PkiFolder other(path_ + "/other", clock_, random_);
  ASSERT_TRUE(other.Init("example.org").ok());
  EXPECT_THAT(OpenSsl("verify -CAfile ../other/ca.crt edge-default.crt"), Not(HasSubstr("edge-default.crt: OK")));
}

TEST_F(PkiFolderTest, IssueRefusesUnknownRolesAndMalformedNames) {
  ASSERT_TRUE(Folder().Init("example.org").ok());
  for (const char* role : {"", "root", "Admin", "edge/.."})
    EXPECT_TRUE(absl::IsInvalidArgument(Folder().Issue({role, "a", {}, {}}).status())) << role;
  const std::string longest = "a" + std::string(62, 'b');
  for (const std::string& name :
       {std::string(), std::string("A"), std::string("a-"), std::string("1a"), std::string("../x"), longest + "b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Folder().Issue({"admin", name, {}, {}}).status())) << name;
  }
  EXPECT_TRUE(Folder().Issue({"admin", longest, {}, {}}).ok());
}

TEST_F(PkiFolderTest, IssueOverwritesNothingAndNeedsACa) {
  EXPECT_TRUE(absl::IsFailedPrecondition(Folder().Issue({"admin", "a", {}, {}}).status()));
  ASSERT_TRUE(Folder().Init("example.org").ok());
  ASSERT_TRUE(Folder().Issue({"admin", "a", {}, {}}).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Folder().Issue({"admin", "a", {}, {}}).status()));
}

TEST_F(PkiFolderTest, RenewReplacesWhatHasUnderAThirdLeftWithTheSameNamesAndKey) {
  ASSERT_TRUE(Folder().Init("example.org").ok());
  ASSERT_TRUE(Folder().Issue({"auth", "main", {"auth.example.net"}, {*base::IpAddress::Parse("192.0.2.1")}}).ok());
  const std::string old_certificate = Content("auth-main.crt");
  const std::string old_key = Content("auth-main.key");

  // 397 days: at 264 days more than a third is left.
  clock_.Advance(264 * kDay);
  ASSERT_TRUE(Folder().Issue({"edge", "young", {}, {}}).ok());
  const std::string young = Content("edge-young.crt");
  auto early = Folder().Renew();
  ASSERT_TRUE(early.ok()) << early.status();
  EXPECT_EQ(Content("auth-main.crt"), old_certificate);

  clock_.Advance(2 * kDay);
  auto renewals = Folder().Renew();
  ASSERT_TRUE(renewals.ok()) << renewals.status();
  ASSERT_EQ(renewals->size(), 3u);
  for (const auto& renewal : *renewals)
    EXPECT_EQ(renewal.renewed, renewal.file == path_ + "/pki/auth-main.crt") << renewal.file;
  EXPECT_NE(Content("auth-main.crt"), old_certificate);
  EXPECT_EQ(Content("auth-main.key"), old_key);
  EXPECT_EQ(Content("edge-young.crt"), young);
  EXPECT_EQ(OpenSsl("verify -attime " +
                    std::to_string(std::chrono::system_clock::to_time_t(clock_.WallNow()) + 300L * 86400) +
                    " -CAfile ca.crt -verify_hostname auth.example.net auth-main.crt"),
            "auth-main.crt: OK\n");
  const std::string names = OpenSsl("x509 -in auth-main.crt -noout -ext subjectAltName");
  EXPECT_THAT(names, HasSubstr("URI:spiffe://example.org/gatepost/auth/main"));
  EXPECT_THAT(names, HasSubstr("IP Address:192.0.2.1"));
}

TEST_F(PkiFolderTest, RenewTouchesNoCertificateOfAnotherCa) {
  ASSERT_TRUE(Folder().Init("example.org").ok());
  PkiFolder other(path_ + "/other", clock_, random_);
  ASSERT_TRUE(other.Init("example.org").ok());
  ASSERT_TRUE(other.Issue({"edge", "foreign", {}, {}}).ok());
  for (const char* file : {"edge-foreign.crt", "edge-foreign.key"})
    std::filesystem::copy(path_ + "/other/" + file, path_ + "/pki/" + file);
  clock_.Advance(390 * kDay);
  const std::string before = Content("edge-foreign.crt");
  EXPECT_FALSE(Folder().Renew().ok());
  EXPECT_EQ(Content("edge-foreign.crt"), before);
}

}  // namespace
}  // namespace gatepost::ctl
