// Credentials over real gRPC: made, bound, revoked one by one; what logs in by which, from where, and what edges are
// told. threats.md A4, A6; requirements.md 8.
#include "services/auth/credential_service.h"

#include <gtest/gtest.h>

#include <vector>

#include "services/auth/test_world.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

using v1::CreateCredentialRequest;
using v1::CreateCredentialResponse;
using v1::Credential;

constexpr char kLogin[] = "alice@example.com";
constexpr char kPassword[] = "correct horse";
constexpr char kOffice[] = "192.0.2.7";
constexpr char kElsewhere[] = "198.51.100.1";

class CredentialServiceTest : public testing::Test {
 protected:
  void SetUp() override { world_.AddUser("alice", kLogin, kPassword); }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::CredentialService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                        Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    return ((*world_.Credentials()).*method)(&context, request, response);
  }
  grpc::Status Create(const CreateCredentialRequest& request, CreateCredentialResponse* response) {
    return Call(&v1::CredentialService::Stub::CreateCredential, request, response);
  }
  static CreateCredentialRequest Request(const std::string& id, const std::string& user = "alice") {
    CreateCredentialRequest request;
    request.set_parent("users/" + user);
    request.set_credential_id(id);
    return request;
  }
  // The application password.
  std::string Add(const CreateCredentialRequest& request) {
    CreateCredentialResponse response;
    const grpc::Status status = Create(request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.application_password();
  }
  grpc::Status Get(const std::string& id, Credential* credential) {
    v1::GetCredentialRequest request;
    request.set_name("users/alice/credentials/" + id);
    return Call(&v1::CredentialService::Stub::GetCredential, request, credential);
  }
  Credential Get(const std::string& id) {
    Credential credential;
    const grpc::Status status = Get(id, &credential);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return credential;
  }
  grpc::Status Delete(const std::string& id, const std::string& etag = "") {
    v1::DeleteCredentialRequest request;
    request.set_name("users/alice/credentials/" + id);
    request.set_etag(etag);
    google::protobuf::Empty nothing;
    return Call(&v1::CredentialService::Stub::DeleteCredential, request, &nothing);
  }
  grpc::Status Update(const std::string& id, Credential credential, const std::vector<std::string>& paths,
                      Credential* result) {
    v1::UpdateCredentialRequest request;
    *request.mutable_credential() = std::move(credential);
    request.mutable_credential()->set_name("users/alice/credentials/" + id);
    for (const std::string& path : paths) request.mutable_update_mask()->add_paths(path);
    return Call(&v1::CredentialService::Stub::UpdateCredential, request, result);
  }
  void Bind(const std::string& id, const std::string& network) {
    Credential credential, result;
    if (!network.empty()) credential.add_networks(network);
    const grpc::Status status = Update(id, credential, {"networks"}, &result);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  std::vector<std::string> Ids() {
    v1::ListCredentialsRequest request;
    request.set_parent("users/alice");
    v1::ListCredentialsResponse response;
    EXPECT_TRUE(Call(&v1::CredentialService::Stub::ListCredentials, request, &response).ok());
    std::vector<std::string> ids;
    for (const Credential& credential : response.credentials())
      ids.push_back(credential.name().substr(credential.name().rfind('/') + 1));
    return ids;
  }
  v1::User GetUser() {
    v1::GetUserRequest request;
    request.set_name("users/alice");
    v1::User user;
    grpc::ClientContext context;
    EXPECT_TRUE(world_.Users()->GetUser(&context, request, &user).ok());
    return user;
  }
  v1::AuthenticateResponse Plain(const std::string& password, const std::string& client = kOffice) {
    EdgeStream edge(world_);
    edge.client = client;
    return edge.Plain(1, kLogin, password);
  }
  bool LogsIn(const std::string& password, const std::string& client = kOffice) {
    return Plain(password, client).has_success();
  }

  TestWorld world_;
};

using Names = std::vector<std::string>;

TEST_F(CredentialServiceTest, APasswordLeavesItsFormsAndEachIsACredential) {
  EXPECT_EQ(Ids(), (Names{"password", "scram"}));
  v1::UpdateUserRequest update;
  update.mutable_user()->set_name("users/alice");
  update.mutable_user()->set_ntlm(true);
  update.mutable_user()->set_password(kPassword);
  v1::User user;
  grpc::ClientContext context;
  ASSERT_TRUE(world_.Users()->UpdateUser(&context, update, &user).ok());
  EXPECT_EQ(Ids(), (Names{"nt-hash", "password", "scram"}));
  const Credential credential = Get("password");
  EXPECT_EQ(credential.kind(), Credential::PASSWORD);
  EXPECT_EQ(credential.display_name(), "password");
  EXPECT_EQ(credential.create_time().seconds(), user.password_set_time().seconds());
  EXPECT_FALSE(credential.has_last_use_time());
  EXPECT_EQ(Get("scram").kind(), Credential::SCRAM);
  EXPECT_EQ(Get("nt-hash").kind(), Credential::NT_HASH);
  Credential none;
  EXPECT_EQ(Get("nothing", &none).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Get("Nothing", &none).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(CredentialServiceTest, AnApplicationPasswordIsShownOnceAndLogsIn) {
  CreateCredentialRequest request = Request("phone");
  request.mutable_credential()->set_display_name("Alice's phone");
  CreateCredentialResponse response;
  ASSERT_TRUE(Create(request, &response).ok());
  EXPECT_EQ(response.credential().name(), "users/alice/credentials/phone");
  EXPECT_EQ(response.credential().kind(), Credential::APPLICATION_PASSWORD);
  const std::string password = response.application_password();
  EXPECT_EQ(password.size(), 34u) << "28 characters of 5 bits in seven groups";
  EXPECT_EQ(Get("phone").SerializeAsString(), response.credential().SerializeAsString());
  EXPECT_EQ(Ids(), (Names{"password", "phone", "scram"}));
  EXPECT_TRUE(LogsIn(password));
  EXPECT_TRUE(LogsIn(kPassword)) << "the password stays";
  // As people type it.
  std::string typed;
  for (const char c : password) typed += c == '-' ? ' ' : static_cast<char>(toupper(c));
  EXPECT_TRUE(LogsIn(typed));
  std::erase(typed, ' ');
  EXPECT_TRUE(LogsIn(typed));
  typed.pop_back();
  EXPECT_FALSE(LogsIn(typed));
  // It is one user's.
  world_.AddUser("bob", "bob", "p");
  EdgeStream edge(world_);
  EXPECT_FALSE(edge.Plain(1, "bob", password).has_success());
  // By LOGIN too.
  edge.Start(2, "LOGIN", kLogin);
  edge.Answer();
  edge.Respond(2, password);
  EXPECT_TRUE(edge.Answer().has_success());
}

TEST_F(CredentialServiceTest, ARepetitionGetsTheCredentialWithoutThePassword) {
  CreateCredentialRequest request = Request("phone");
  request.set_request_id("r1");
  CreateCredentialResponse first, second;
  ASSERT_TRUE(Create(request, &first).ok());
  ASSERT_TRUE(Create(request, &second).ok());
  EXPECT_EQ(second.credential().SerializeAsString(), first.credential().SerializeAsString());
  EXPECT_NE(first.application_password(), "");
  EXPECT_EQ(second.application_password(), "");
  EXPECT_TRUE(LogsIn(first.application_password()));
  request.clear_request_id();
  EXPECT_EQ(rpc::DecodeDetails(Create(request, &second)).reason, "ALREADY_EXISTS");
  request.set_credential_id("tablet");
  request.set_validate_only(true);
  ASSERT_TRUE(Create(request, &second).ok());
  EXPECT_EQ(second.application_password(), "");
  EXPECT_EQ(Ids(), (Names{"password", "phone", "scram"}));
  request.set_parent("users/nobody");
  EXPECT_EQ(Create(request, &second).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(CredentialServiceTest, AllViolationsAreReportedAtOnce) {
  CreateCredentialRequest request = Request("nt-hash");
  request.set_request_id("\t");
  Credential& credential = *request.mutable_credential();
  credential.set_display_name(std::string(101, 'x'));
  for (const char* network : {"192.0.2.0/24", "192.0.2.1/24", "::/129", "example.com", ""})
    credential.add_networks(network);
  for (const char* sender : {"a@example.com", "@", "", "a@", "a@[192.0.2.1]", "a b@example.com", "a@ex ample.com"})
    credential.add_senders(sender);
  credential.mutable_expire_time()->set_seconds(-1);
  CreateCredentialResponse response;
  Names fields;
  for (const auto& violation : rpc::DecodeDetails(Create(request, &response)).violations)
    fields.push_back(violation.field);
  EXPECT_EQ(fields,
            (Names{"credential_id", "request_id", "credential.display_name", "credential.networks[1]",
                   "credential.networks[2]", "credential.networks[3]", "credential.networks[4]",
                   "credential.senders[1]", "credential.senders[2]", "credential.senders[3]", "credential.senders[4]",
                   "credential.senders[5]", "credential.senders[6]", "credential.expire_time"}));
}

TEST_F(CredentialServiceTest, LimitsHoldAtTheLimitAndNotBeyond) {
  CreateCredentialRequest request = Request("a");
  request.mutable_credential()->set_display_name(std::string(100, 'x'));
  for (int i = 0; i < 100; ++i) {
    request.mutable_credential()->add_networks("10.0." + std::to_string(i) + ".0/24");
    request.mutable_credential()->add_senders("u" + std::to_string(i) + "@example.com");
  }
  const std::string password = Add(request);
  const v1::AuthenticateResponse answer = Plain(password, "10.0.99.255");
  EXPECT_EQ(answer.success().senders_size(), 100);
  EXPECT_FALSE(LogsIn(password, "10.0.100.0"));
  request.set_credential_id("b");
  request.mutable_credential()->add_networks("10.0.100.0/24");
  request.mutable_credential()->add_senders("u100@example.com");
  CreateCredentialResponse response;
  const auto violations = rpc::DecodeDetails(Create(request, &response)).violations;
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].field, "credential.networks");
  EXPECT_EQ(violations[1].field, "credential.senders");
}

TEST_F(CredentialServiceTest, AUserHasAtMostTwentyApplicationPasswordsAndAllLogIn) {
  Names passwords;
  for (int i = 0; i < 20; ++i) passwords.push_back(Add(Request("a" + std::to_string(i))));
  CreateCredentialResponse response;
  EXPECT_EQ(Create(Request("b"), &response).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(LogsIn(passwords.front()) && LogsIn(passwords.back()));
  v1::ListCredentialsRequest request;
  request.set_parent("users/alice");
  request.set_page_size(15);
  v1::ListCredentialsResponse page;
  ASSERT_TRUE(Call(&v1::CredentialService::Stub::ListCredentials, request, &page).ok());
  EXPECT_EQ(page.credentials_size(), 15);
  request.set_page_token(page.next_page_token());
  ASSERT_TRUE(Call(&v1::CredentialService::Stub::ListCredentials, request, &page).ok());
  EXPECT_EQ(page.credentials_size(), 7);
  EXPECT_EQ(page.next_page_token(), "");
  ASSERT_TRUE(Delete("a0").ok());
  EXPECT_TRUE(Create(Request("b"), &response).ok());
}

TEST_F(CredentialServiceTest, ACredentialLogsInFromItsNetworksAlone) {
  CreateCredentialRequest request = Request("scanner");
  request.mutable_credential()->add_networks("192.0.2.0/24");
  request.mutable_credential()->add_networks("2001:db8::/32");
  const std::string password = Add(request);
  EXPECT_TRUE(LogsIn(password, kOffice));
  EXPECT_TRUE(LogsIn(password, "::ffff:192.0.2.9"));
  EXPECT_TRUE(LogsIn(password, "2001:db8:1::1"));
  for (const char* elsewhere : {kElsewhere, "192.0.3.0", "2001:db9::1", ""}) EXPECT_FALSE(LogsIn(password, elsewhere));
  // The others are not bound by it; and the forms of a password are bound one by one.
  EXPECT_TRUE(LogsIn(kPassword, kElsewhere));
  Bind("password", "192.0.2.0/24");
  EXPECT_FALSE(LogsIn(kPassword, kElsewhere)) << "though it is remembered";
  EXPECT_TRUE(LogsIn(kPassword, kOffice));
  const auto decoy = [&](const std::string& client) {
    return std::string(
        world_.secrets
            .Find(sasl::SecretKind::kScramSha256, kLogin, *base::IpAddress::Parse(client), world_.clock.WallNow())
            ->decoy);
  };
  EXPECT_EQ(decoy(kElsewhere), "");
  Bind("scram", "192.0.2.0/24");
  EXPECT_EQ(decoy(kElsewhere), "network");
  EXPECT_EQ(decoy(kOffice), "");
  // A new password keeps what its forms are bound to.
  world_.SetPassword("alice", "another");
  EXPECT_FALSE(LogsIn("another", kElsewhere));
  EXPECT_TRUE(LogsIn("another", kOffice));
  Bind("password", "");
  EXPECT_TRUE(LogsIn("another", kElsewhere));
}

TEST_F(CredentialServiceTest, ACredentialExpires) {
  CreateCredentialRequest request = Request("guest");
  *request.mutable_credential()->mutable_expire_time() = ToTimestamp(world_.clock.WallNow() + std::chrono::minutes(1));
  const std::string password = Add(request);
  world_.clock.Advance(std::chrono::milliseconds(59'999));
  EXPECT_TRUE(LogsIn(password));
  world_.clock.Advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(LogsIn(password));
  Credential credential;
  ASSERT_TRUE(Update("guest", {}, {"expire_time"}, &credential).ok());
  EXPECT_FALSE(credential.has_expire_time());
  EXPECT_TRUE(LogsIn(password));
}

TEST_F(CredentialServiceTest, EdgesAreToldTheSendersGroupsAndAddresses) {
  CreateCredentialRequest request = Request("newsletter");
  for (const char* sender : {"News@Example.COM", "example.org",
                             "@b\xc3\xbc"
                             "cher.example",
                             "\"a b\"@example.com"})
    request.mutable_credential()->add_senders(sender);
  const std::string password = Add(request);
  const v1::Success success = Plain(password).success();
  EXPECT_EQ(Names(success.senders().begin(), success.senders().end()),
            (Names{"News@example.com", "@example.org", "@xn--bcher-kva.example", "a b@example.com"}));
  EXPECT_EQ(Plain(kPassword).success().senders_size(), 0);
  v1::UpdateUserRequest update;
  update.mutable_user()->set_name("users/alice");
  update.mutable_user()->add_addresses("sales@Example.com");
  v1::User user;
  grpc::ClientContext context;
  ASSERT_TRUE(world_.Users()->UpdateUser(&context, update, &user).ok());
  EXPECT_EQ(Plain(password).success().addresses(0), "sales@example.com");
  for (int i = 1; i < 100; ++i) update.mutable_user()->add_addresses("example.net");
  grpc::ClientContext full;
  EXPECT_TRUE(world_.Users()->UpdateUser(&full, update, &user).ok());
  update.mutable_user()->add_addresses("example.net");
  grpc::ClientContext beyond;
  EXPECT_EQ(rpc::DecodeDetails(world_.Users()->UpdateUser(&beyond, update, &user)).violations.at(0).field,
            "user.addresses");
}

TEST_F(CredentialServiceTest, AnUpdateChangesWhatItsMaskNamesAndWantsACurrentEtag) {
  Add(Request("phone"));
  const Credential made = Get("phone");
  Credential wanted, result;
  wanted.set_display_name("A phone");
  wanted.add_networks("192.0.2.1");
  wanted.set_kind(Credential::PASSWORD);
  wanted.set_etag(made.etag());
  ASSERT_TRUE(Update("phone", wanted, {"display_name", "kind"}, &result).ok());
  EXPECT_EQ(result.display_name(), "A phone");
  EXPECT_EQ(result.networks_size(), 0);
  EXPECT_EQ(result.kind(), Credential::APPLICATION_PASSWORD);
  EXPECT_EQ(Update("phone", wanted, {"display_name"}, &result).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Delete("phone", made.etag()).error_code(), grpc::StatusCode::ABORTED);
  wanted.clear_etag();
  ASSERT_TRUE(Update("phone", wanted, {}, &result).ok());
  EXPECT_EQ(result.networks(0), "192.0.2.1/32");
  Credential wrong;
  wrong.add_networks("nowhere");
  const std::vector<rpc::FieldViolation> violations =
      rpc::DecodeDetails(Update("phone", wrong, {"nothing", "networks"}, &result)).violations;
  ASSERT_EQ(violations.size(), 2u) << "all at once";
  EXPECT_EQ(violations[0].field, "update_mask");
  EXPECT_EQ(violations[1].field, "credential.networks[0]");
  EXPECT_EQ(Update("nothing", wanted, {}, &result).error_code(), grpc::StatusCode::NOT_FOUND);
  // The etag of a form is a new one with a new password.
  const std::string etag = Get("scram").etag();
  world_.SetPassword("alice", "another");
  EXPECT_NE(Get("scram").etag(), etag);
}

TEST_F(CredentialServiceTest, ARevokedCredentialEndsSessionsAndTheOthersGoOn) {
  const std::string phone = Add(Request("phone")), tablet = Add(Request("tablet"));
  EdgeStream edge(world_);
  ASSERT_TRUE(edge.Plain(1, kLogin, phone).has_success());
  world_.clock.Advance(std::chrono::seconds(5));
  ASSERT_TRUE(Delete("phone").ok());
  std::optional<v1::AuthenticateResponse> told = edge.Read();
  while (told && !told->has_revoked()) told = edge.Read();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->revoked().user(), "users/alice");
  EXPECT_FALSE(LogsIn(phone));
  EXPECT_TRUE(LogsIn(tablet));
  EXPECT_TRUE(LogsIn(kPassword));
  EXPECT_EQ(Delete("phone").error_code(), grpc::StatusCode::NOT_FOUND);
  // The password's forms: one goes, the other stays, until the password is set again.
  ASSERT_TRUE(Delete("password").ok());
  EXPECT_FALSE(LogsIn(kPassword)) << "though it is remembered";
  EXPECT_EQ(Ids(), (Names{"scram", "tablet"}));
  EXPECT_TRUE(GetUser().has_password_set_time());
  ASSERT_TRUE(Delete("scram").ok());
  EXPECT_FALSE(GetUser().has_password_set_time());
  EXPECT_TRUE(LogsIn(tablet)) << "without a password";
  world_.SetPassword("alice", "another");
  EXPECT_EQ(Ids(), (Names{"password", "scram", "tablet"}));
  EXPECT_TRUE(LogsIn("another"));
}

TEST_F(CredentialServiceTest, WhoIsDisabledOrDeletedHasNoApplicationPassword) {
  const std::string phone = Add(Request("phone"));
  world_.Disable("alice");
  EXPECT_FALSE(LogsIn(phone));
  v1::DeleteUserRequest remove;
  remove.set_name("users/alice");
  google::protobuf::Empty nothing;
  grpc::ClientContext context;
  ASSERT_TRUE(world_.Users()->DeleteUser(&context, remove, &nothing).ok());
  world_.AddUser("alice", kLogin, kPassword);
  EXPECT_FALSE(LogsIn(phone));
  EXPECT_EQ(Ids(), (Names{"password", "scram"}));
}

// threats.md A6, with what credentials are bound to: nobody learns why, nor whether the user has application passwords.
TEST_F(CredentialServiceTest, WrongNetworkExpiredAndUnknownGetTheSameOctetsForTheSameWork) {
  world_.AddUser("many", "many@example.com", kPassword);
  for (int i = 0; i < 20; ++i) Add(Request("a" + std::to_string(i), "many"));
  CreateCredentialRequest request = Request("bound");
  request.mutable_credential()->add_networks("192.0.2.0/24");
  const std::string bound = Add(request);
  request = Request("old");
  *request.mutable_credential()->mutable_expire_time() = ToTimestamp(world_.clock.WallNow());
  const std::string old = Add(request);
  world_.AddUser("indoors", "indoors@example.com", kPassword);
  v1::UpdateCredentialRequest bind;
  bind.mutable_credential()->set_name("users/indoors/credentials/password");
  bind.mutable_credential()->add_networks("192.0.2.0/24");
  Credential credential;
  ASSERT_TRUE(Call(&v1::CredentialService::Stub::UpdateCredential, bind, &credential).ok());

  const struct {
    const char* what;
    std::string authzid, login, password;
  } kCases[] = {
      {"wrong password", "", kLogin, "wrong"},
      {"unknown", "", "nobody@example.com", "wrong"},
      {"unknown, an application password", "", "nobody@example.com", bound},
      {"wrong network", "", kLogin, bound},
      {"expired", "", kLogin, old},
      {"password, wrong network", "", "indoors@example.com", kPassword},
      {"wrong password, wrong network", "", "indoors@example.com", "wrong"},
      {"many application passwords", "", "many@example.com", "wrong"},
      {"somebody else's authzid", "bob@example.com", kLogin, bound},
  };
  EdgeStream edge(world_);
  edge.client = kElsewhere;
  uint64_t id = 0;
  std::optional<std::string> octets;
  for (int round = 0; round < 3; ++round) {
    for (const auto& test : kCases) {
      const uint64_t argon2 = world_.verifier.runs(), hmac = world_.cache.runs();
      edge.Start(++id, "PLAIN", EdgeStream::PlainMessage(test.authzid, test.login, test.password));
      v1::AuthenticateResponse answer = edge.Answer();
      EXPECT_EQ(world_.verifier.runs() - argon2, 1u) << test.what;
      EXPECT_EQ(world_.cache.runs() - hmac, 1u) << test.what;
      answer.clear_exchange_id();
      if (!octets) octets = answer.SerializeAsString();
      EXPECT_EQ(answer.SerializeAsString(), *octets) << test.what;
    }
  }
  const std::string log = world_.TakeLog();
  for (const char* reason : {"wrong_password", "unknown", "network", "expired", "authzid"})
    EXPECT_NE(log.find("\"reason\":\"" + std::string(reason) + "\""), std::string::npos) << reason;
  EXPECT_EQ(log.find(bound), std::string::npos);
}

TEST_F(CredentialServiceTest, LastUseIsShownAndChangesNeitherEtagNorRevision) {
  const std::string phone = Add(Request("phone"));
  const v1::User before = GetUser();
  const std::string etag = Get("phone").etag();
  EXPECT_FALSE(before.has_last_login_time());
  ASSERT_TRUE(LogsIn(phone, "2001:db8::1"));
  EXPECT_FALSE(LogsIn("wrong", kElsewhere));
  ASSERT_TRUE(world_.last_uses.Flush().ok());
  const int64_t first = ToTimestamp(world_.clock.WallNow()).seconds();
  EXPECT_EQ(Get("phone").last_use_time().seconds(), first);
  EXPECT_EQ(Get("phone").last_use_network(), "2001:db8::/64");
  EXPECT_EQ(Get("phone").etag(), etag);
  EXPECT_FALSE(Get("password").has_last_use_time());
  EXPECT_EQ(GetUser().last_login_time().seconds(), first);
  EXPECT_EQ(GetUser().etag(), before.etag());
  // Another credential, later.
  world_.clock.Advance(std::chrono::minutes(2));
  ASSERT_TRUE(LogsIn(kPassword, kOffice));
  ASSERT_TRUE(world_.last_uses.Flush().ok());
  EXPECT_EQ(Get("phone").last_use_time().seconds(), first);
  EXPECT_EQ(Get("password").last_use_time().seconds(), first + 120);
  EXPECT_EQ(GetUser().last_login_time().seconds(), first + 120);
  v1::ListUsersResponse list;
  grpc::ClientContext context;
  ASSERT_TRUE(world_.Users()->ListUsers(&context, {}, &list).ok());
  EXPECT_EQ(list.users(0).last_login_time().seconds(), first + 120);
}

TEST_F(CredentialServiceTest, AStoreThatDoesNotAnswerIsUnavailable) {
  world_.store.down = true;
  Credential credential;
  EXPECT_EQ(Get("password", &credential).error_code(), grpc::StatusCode::UNAVAILABLE);
  CreateCredentialResponse response;
  EXPECT_EQ(Create(Request("phone"), &response).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(response.application_password(), "");
}

// threats.md, Secrets at rest, of what no other record holds: an application password, and the key of its digests.
TEST_F(CredentialServiceTest, TheStoreHoldsNoApplicationPassword) {
  CreateCredentialRequest request = Request("phone");
  request.set_request_id("r1");
  const std::string password = Add(request);
  std::string plain = password;
  std::erase(plain, '-');
  const auto view = world_.memory.Read();
  bool more = false;
  const auto records = (*view)->List("", "", 1000, 1 << 20, &more);
  ASSERT_TRUE(records.ok());
  for (const auto& record : *records) {
    for (const std::string& secret : {password, plain, TestWorld::kApplicationKey}) {
      EXPECT_EQ(record.key.find(secret), std::string::npos) << record.key;
      EXPECT_EQ(record.value.find(secret), std::string::npos) << record.key;
    }
  }
}

}  // namespace
}  // namespace gatepost::auth
