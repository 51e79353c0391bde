// SCRAM, NTLM, EXTERNAL and what is served, over real gRPC. threats.md A6, A9, A11.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "services/auth/limits.h"
#include "services/auth/scram_secret.h"
#include "services/auth/test_clients.h"
#include "services/auth/test_world.h"
#include "services/base/base64.h"

namespace gatepost::auth {
namespace {

using v1::AuthenticateResponse;
using v1::Failure;
using std::string_literals::operator""s;

constexpr char kLogin[] = "alice@example.com";
constexpr char kPassword[] = "correct horse";
const std::string kExporter(32, 'x');

std::string Say(const AuthenticateResponse& response) {
  if (response.has_success()) return "success";
  if (response.has_challenge()) return "challenge";
  if (response.has_failure()) return Failure::Category_Name(response.failure().category());
  return "?";
}

class MechanismsTest : public testing::Test {
 protected:
  void SetUp() override { world_.AddUser("alice", kLogin, kPassword); }

  v1::Start StartOf(const std::string& mechanism, const std::string& exporter = "") {
    v1::Start start;
    start.set_mechanism(mechanism);
    start.mutable_channel_binding()->set_tls_exporter(exporter);
    start.mutable_peer()->set_address("192.0.2.1");
    return start;
  }
  void Begin(EdgeStream& edge, uint64_t id, v1::Start start, std::optional<std::string> initial) {
    if (initial) start.set_initial_response(*initial);
    v1::AuthenticateRequest request;
    request.set_exchange_id(id);
    *request.mutable_start() = std::move(start);
    edge.Write(request);
  }
  // A whole SCRAM login, by octets of the test's choosing where given.
  std::string Scram(const std::string& mechanism, const std::string& login, const std::string& password,
                    const std::string& exporter, const std::string& client_exporter, const std::string& authzid = "") {
    EdgeStream edge(world_);
    ScramClient client(mechanism.c_str(), login, password, authzid, client_exporter);
    Begin(edge, 1, StartOf(mechanism, exporter), client.Step(""));
    AuthenticateResponse answer = edge.Answer();
    if (!answer.has_challenge()) return Say(answer);
    edge.Respond(1, client.Step(answer.challenge().data()));
    answer = edge.Answer();
    if (!answer.has_success()) return Say(answer);
    EXPECT_TRUE(answer.success().has_final());
    client.Step(answer.success().final());
    EXPECT_EQ(client.code(), GSASL_OK) << "the server's signature";
    return "success " + answer.success().user();
  }
  void SetNtlm(bool ntlm) {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name("users/alice");
    request.mutable_user()->set_ntlm(ntlm);
    request.mutable_update_mask()->add_paths("ntlm");
    v1::User user;
    grpc::ClientContext context;
    const grpc::Status status = world_.Users()->UpdateUser(&context, request, &user);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  TestWorld world_;
};

TEST_F(MechanismsTest, ScramProvesWhoKnowsThePasswordAndThatWeDo) {
  EXPECT_EQ(Scram("SCRAM-SHA-256", kLogin, kPassword, "", ""), "success users/alice");
  EXPECT_EQ(Scram("SCRAM-SHA-256", kLogin, "wrong", "", ""), "CREDENTIALS");
  EXPECT_EQ(Scram("SCRAM-SHA-256", "nobody@example.com", kPassword, "", ""), "CREDENTIALS");
  world_.Disable("alice");
  EXPECT_EQ(Scram("SCRAM-SHA-256", kLogin, kPassword, "", ""), "CREDENTIALS");
}

TEST_F(MechanismsTest, ANewPasswordIsInForceForScramAtOnce) {
  world_.SetPassword("alice", "new one");
  EXPECT_EQ(Scram("SCRAM-SHA-256", kLogin, kPassword, "", ""), "CREDENTIALS");
  EXPECT_EQ(Scram("SCRAM-SHA-256", kLogin, "new one", "", ""), "success users/alice");
}

TEST_F(MechanismsTest, ScramActsAsNobodyElse) {
  EXPECT_EQ(Scram("SCRAM-SHA-256", kLogin, kPassword, "", "", kLogin), "success users/alice");
  EXPECT_EQ(Scram("SCRAM-SHA-256", kLogin, kPassword, "", "", "bob@example.com"), "CREDENTIALS");
}

// threats.md A9.
TEST_F(MechanismsTest, PlusIsBoundToItsConnection) {
  EXPECT_EQ(Scram("SCRAM-SHA-256-PLUS", kLogin, kPassword, kExporter, kExporter), "success users/alice");
  EXPECT_EQ(Scram("SCRAM-SHA-256-PLUS", kLogin, kPassword, std::string(32, 'y'), kExporter), "CREDENTIALS");
  EXPECT_EQ(Scram("SCRAM-SHA-256-PLUS", kLogin, kPassword, "", kExporter), "MECHANISM");
}

// threats.md A9: y while -PLUS is offered, p= of another binding, m=, a nonce of another exchange, messages out of
// order.
TEST_F(MechanismsTest, ScramRefusesDowngradesAndForeignMessages) {
  const struct {
    const char* mechanism;
    std::string first, exporter, expected;
  } kCases[] = {
      {"SCRAM-SHA-256", "y,,n=" + std::string(kLogin) + ",r=abc", kExporter, "CREDENTIALS"},
      {"SCRAM-SHA-256", "y,,n=" + std::string(kLogin) + ",r=abc", "", "challenge"},
      {"SCRAM-SHA-256", "n,,n=" + std::string(kLogin) + ",r=abc", kExporter, "challenge"},
      {"SCRAM-SHA-256", "p=tls-exporter,,n=u,r=abc", kExporter, "CREDENTIALS"},
      {"SCRAM-SHA-256-PLUS", "n,,n=u,r=abc", kExporter, "CREDENTIALS"},
      {"SCRAM-SHA-256-PLUS", "p=tls-unique,,n=u,r=abc", kExporter, "CREDENTIALS"},
      {"SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=u,r=abc", kExporter, "challenge"},
      {"SCRAM-SHA-256", "n,,m=x,n=u,r=abc", "", "MALFORMED"},
      {"SCRAM-SHA-256", "c=biws,r=abc,p=AAAA", "", "MALFORMED"},
      {"SCRAM-SHA-256", "n,,n=u\0,r=abc"s, "", "MALFORMED"},
  };
  EdgeStream edge(world_);
  uint64_t id = 0;
  for (const auto& test : kCases) {
    Begin(edge, ++id, StartOf(test.mechanism, test.exporter), test.first);
    EXPECT_EQ(Say(edge.Answer()), test.expected) << test.mechanism << " " << test.first;
  }
  Begin(edge, ++id, StartOf("SCRAM-SHA-256"), "n,,n=" + std::string(kLogin) + ",r=abc");
  EXPECT_EQ(Say(edge.Answer()), "challenge");
  edge.Respond(id, "c=biws,r=another,p=" + base::Base64Encode(std::string(32, 'p')));
  EXPECT_NE(Say(edge.Answer()), "success");
}

// threats.md A9: 2^31 iterations in a stored record reach no client.
TEST_F(MechanismsTest, IterationsBeyondTheBoundAreNotUsed) {
  const std::string key = base::Base64Encode(std::string(32, 'k'));
  ASSERT_TRUE(
      world_.store
          .Commit({{{"scram/alice",
                     "SCRAM-SHA-256$2147483648:" + base::Base64Encode(std::string(16, 's')) + "$" + key + ":" + key,
                     {}}},
                   {},
                   {}})
          .ok());
  EdgeStream edge(world_);
  Begin(edge, 1, StartOf("SCRAM-SHA-256"), "n,,n=" + std::string(kLogin) + ",r=abc");
  const AuthenticateResponse answer = edge.Answer();
  ASSERT_TRUE(answer.has_challenge());
  EXPECT_TRUE(answer.challenge().data().ends_with(",i=" + std::to_string(kLeastScramIterations)))
      << answer.challenge().data();
}

// threats.md A6: the same octets but for the nonce, and a salt that does not change between tries.
TEST_F(MechanismsTest, ScramAnswersUnknownDisabledAndMistakenUsersAlike) {
  world_.AddUser("gone", "gone@example.com", kPassword);
  world_.Disable("gone");
  const auto first_answer = [&](const std::string& login) {
    EdgeStream edge(world_);
    Begin(edge, 1, StartOf("SCRAM-SHA-256"), "n,,n=" + login + ",r=abc");
    return edge.Answer().challenge().data();
  };
  const auto salt = [](const std::string& challenge) { return challenge.substr(challenge.find(",s=")); };
  std::set<size_t> sizes;
  for (const std::string& login : {std::string(kLogin), "gone@example.com"s, "nobody@example.com"s, "x"s}) {
    const std::string one = first_answer(login), two = first_answer(login);
    EXPECT_EQ(salt(one), salt(two)) << login;
    sizes.insert(one.size());
    EXPECT_EQ(Scram("SCRAM-SHA-256", login, "wrong", "", ""), "CREDENTIALS");
  }
  EXPECT_EQ(sizes.size(), 1u);
}

TEST_F(MechanismsTest, NtlmIsServedWhileAUserHasAHash) {
  EdgeStream edge(world_);
  const auto serves = [&] {
    while (true) {
      const auto message = edge.Read();
      if (!message) return false;
      if (!message->has_mechanisms()) continue;
      const auto& names = message->mechanisms().names();
      return std::find(names.begin(), names.end(), "NTLM") != names.end();
    }
  };
  EXPECT_FALSE(serves());
  SetNtlm(true);
  world_.SetPassword("alice", kPassword);
  world_.sasl.Tick();
  EXPECT_TRUE(serves());
  SetNtlm(false);
  world_.sasl.Tick();
  EXPECT_FALSE(serves());
}

TEST_F(MechanismsTest, NtlmProvesWhoKnowsThePassword) {
  SetNtlm(true);
  world_.SetPassword("alice", kPassword);
  world_.sasl.Tick();
  const auto login = [&](const std::string& user, const std::string& password) {
    EdgeStream edge(world_);
    v1::Start start = StartOf("NTLM");
    start.set_default_domain("example.com");
    Begin(edge, 1, start, NtlmHello());
    AuthenticateResponse answer = edge.Answer();
    if (!answer.has_challenge()) return Say(answer);
    edge.Respond(1, NtlmAnswer(answer.challenge().data(), user, password));
    answer = edge.Answer();
    return answer.has_success() ? "success " + answer.success().user() : Say(answer);
  };
  EXPECT_EQ(login("alice", kPassword), "success users/alice");
  EXPECT_EQ(login("Alice@EXAMPLE.com", kPassword), "success users/alice");
  EXPECT_EQ(login("alice", "wrong"), "CREDENTIALS");
  EXPECT_EQ(login("nobody", kPassword), "CREDENTIALS");
}

TEST_F(MechanismsTest, FailuresOfEveryMechanismAreThrottled) {
  std::string last;
  for (int i = 0; i <= 10; ++i) last = Scram("SCRAM-SHA-256", kLogin, "wrong", "", "");
  EXPECT_EQ(last, "THROTTLED");
}

TEST_F(MechanismsTest, ExternalTakesWhomTheCertificateNames) {
  const std::string mapped(64, 'a');
  v1::UpdateUserRequest request;
  request.mutable_user()->set_name("users/alice");
  request.mutable_user()->add_certificates(mapped);
  request.mutable_update_mask()->add_paths("certificates");
  v1::User user;
  grpc::ClientContext context;
  ASSERT_TRUE(world_.Users()->UpdateUser(&context, request, &user).ok());

  const auto login = [&](const std::string& sha256, const std::vector<std::string>& emails,
                         const std::string& authzid) {
    EdgeStream edge(world_);
    v1::Start start = StartOf("EXTERNAL");
    if (!sha256.empty()) {
      v1::Certificate& certificate = *start.mutable_peer()->mutable_certificate();
      certificate.set_sha256(sha256);
      for (const std::string& email : emails) certificate.add_emails(email);
    }
    Begin(edge, 1, start, authzid);
    const AuthenticateResponse answer = edge.Answer();
    return answer.has_success() ? "success " + answer.success().user() : Say(answer);
  };
  const std::string other(64, 'b');
  EXPECT_EQ(login(other, {"Alice@example.com"}, ""), "success users/alice");
  EXPECT_EQ(login(mapped, {}, ""), "success users/alice");
  EXPECT_EQ(login(mapped, {}, kLogin), "success users/alice");
  EXPECT_EQ(login(mapped, {}, "bob@example.com"), "CREDENTIALS");
  EXPECT_EQ(login(other, {"nobody@example.com"}, ""), "CREDENTIALS");
  EXPECT_EQ(login(other, {}, ""), "CREDENTIALS");
  EXPECT_EQ(login("", {}, kLogin), "CREDENTIALS") << "no certificate";
  world_.Disable("alice");
  EXPECT_EQ(login(mapped, {}, ""), "CREDENTIALS");
}

TEST_F(MechanismsTest, ACertificateIsOneUsers) {
  world_.AddUser("bob", "bob@example.com", "p");
  const auto set = [&](const std::string& user_id, const std::string& certificate) {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name("users/" + user_id);
    if (!certificate.empty()) request.mutable_user()->add_certificates(certificate);
    request.mutable_update_mask()->add_paths("certificates");
    v1::User user;
    grpc::ClientContext context;
    return world_.Users()->UpdateUser(&context, request, &user).error_code();
  };
  const std::string certificate(64, 'a');
  EXPECT_EQ(set("alice", certificate), grpc::StatusCode::OK);
  EXPECT_EQ(set("bob", certificate), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(set("alice", ""), grpc::StatusCode::OK);
  EXPECT_EQ(set("bob", certificate), grpc::StatusCode::OK);
  EXPECT_EQ(set("bob", std::string(63, 'a')), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(set("bob", std::string(64, 'A')), grpc::StatusCode::INVALID_ARGUMENT);
}

// No keytab: a running exchange hears that nobody can say.
TEST_F(MechanismsTest, GssapiWithoutAKeytabIsUnavailable) {
  EdgeStream edge(world_);
  Begin(edge, 1, StartOf("GSSAPI"), "token");
  EXPECT_EQ(Say(edge.Answer()), "UNAVAILABLE");
}

TEST(GssapiTest, AKeytabWithoutAKeyOfOursIsNotServed) {
  const std::string path = testing::TempDir() + "/junk.keytab";
  const GssapiServer server(path, "");
  EXPECT_FALSE(server.Available());
  // The second: a keytab's first octets, and no key.
  for (const std::string& octets : {"junk"s, "\5\2"s, ""s}) {
    std::ofstream(path, std::ios::trunc) << octets;
    EXPECT_FALSE(server.Available());
  }
  EXPECT_FALSE(GssapiServer("", "").Available());
  EXPECT_FALSE(GssapiServer(testing::TempDir(), "").Available());
}

TEST(GssapiTest, APrincipalIsAUserOfAKnownRealm) {
  const std::vector<RealmDomain> realms = {{"EXAMPLE.COM", "example.com"}, {"OTHER", "other.example"}};
  EXPECT_EQ(LoginOfPrincipal("alice@EXAMPLE.COM", realms), "alice@example.com");
  EXPECT_EQ(LoginOfPrincipal("bob@OTHER", realms), "bob@other.example");
  for (const char* bad : {"alice@example.com", "alice@ELSE", "alice/admin@EXAMPLE.COM", "a\\@b@EXAMPLE.COM", "alice",
                          "@EXAMPLE.COM", "", "a@b@EXAMPLE.COM"}) {
    EXPECT_EQ(LoginOfPrincipal(bad, realms), "") << bad;
  }
}

}  // namespace
}  // namespace gatepost::auth
