// The users' API over real gRPC: who may, what is refused, what is stored.
#include "services/auth/user_service.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include "services/auth/test_world.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

using v1::User;

class UserServiceTest : public testing::Test {
 protected:
  // Calls a method with an empty request, whatever it is.
  grpc::Status CallEmpty(const std::string& who, const std::string& path) {
    grpc::GenericStub stub(world_.Channel(who));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    grpc::CompletionQueue queue;
    const auto wait = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    grpc::Status status;
    const auto call = stub.PrepareCall(&context, path, &queue);
    call->StartCall(nullptr);
    if (wait()) {
      const grpc::Slice nothing;
      call->WriteLast(grpc::ByteBuffer(&nothing, 1), grpc::WriteOptions(), nullptr);
      wait();
      grpc::ByteBuffer response;
      do call->Read(&response, nullptr);
      while (wait());
    }
    call->Finish(&status, nullptr);
    wait();
    queue.Shutdown();
    return status;
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::UserService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    return ((*world_.Users()).*method)(&context, request, response);
  }
  grpc::Status Create(const v1::CreateUserRequest& request, User* user) {
    return Call(&v1::UserService::Stub::CreateUser, request, user);
  }
  grpc::Status Update(const v1::UpdateUserRequest& request, User* user) {
    return Call(&v1::UserService::Stub::UpdateUser, request, user);
  }
  grpc::Status Get(const std::string& name, User* user) {
    v1::GetUserRequest request;
    request.set_name(name);
    return Call(&v1::UserService::Stub::GetUser, request, user);
  }
  static v1::CreateUserRequest Request(const std::string& id, const std::string& login) {
    v1::CreateUserRequest request;
    request.set_user_id(id);
    request.mutable_user()->set_login(login);
    return request;
  }
  bool LogsIn(const std::string& login, const std::string& password) {
    EdgeStream edge(world_);
    return edge.Plain(1, login, password).has_success();
  }

  TestWorld world_;
};

TEST_F(UserServiceTest, EveryMethodOfTheDescriptorsIsForItsRolesAlone) {
  int methods = 0;
  for (const auto* file : {User::descriptor()->file(), v1::Group::descriptor()->file(),
                           v1::Credential::descriptor()->file(), v1::Start::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m, ++methods) {
        const auto* method = file->service(s)->method(m);
        for (const rpc::Role role : rpc::kAllRoles) {
          const std::string path = "/" + file->service(s)->full_name() + "/" + method->name();
          const grpc::Status status = CallEmpty(std::string(rpc::RoleName(role)) + "/x", path);
          const rpc::MethodRule* rule = rpc::FindRule(method->full_name());
          ASSERT_NE(rule, nullptr) << path;
          if (rule->roles.Has(role)) {
            EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::INVALID_ARGUMENT)
                << path << rpc::RoleName(role) << status.error_message();
          } else {
            EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << path << rpc::RoleName(role);
          }
        }
      }
    }
  }
  EXPECT_EQ(methods, 21);
}

TEST_F(UserServiceTest, PermissionIsJudgedBeforeExistence) {
  v1::DeleteUserRequest request;
  request.set_name("users/nobody");
  google::protobuf::Empty nothing;
  grpc::ClientContext context;
  EXPECT_EQ(world_.Users("viewer/v")->DeleteUser(&context, request, &nothing).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  grpc::ClientContext second;
  EXPECT_EQ(world_.Users()->DeleteUser(&second, request, &nothing).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(UserServiceTest, ANewUserHasTheDefaultsAndNoPasswordIsReturned) {
  v1::CreateUserRequest request = Request("alice", "alice@example.com");
  request.mutable_user()->set_password("secret");
  request.mutable_user()->set_etag("ignored");
  request.mutable_user()->set_state(User::DISABLED);
  User user;
  ASSERT_TRUE(Create(request, &user).ok());
  EXPECT_EQ(user.name(), "users/alice");
  EXPECT_EQ(user.display_name(), "alice");
  EXPECT_TRUE(user.may_submit() && user.may_relay());
  EXPECT_EQ(user.state(), User::ENABLED);
  EXPECT_TRUE(user.has_password_set_time());
  EXPECT_EQ(user.password(), "");
  User got;
  ASSERT_TRUE(Get("users/alice", &got).ok());
  EXPECT_EQ(got.SerializeAsString(), user.SerializeAsString());
  EXPECT_TRUE(LogsIn("alice@example.com", "secret"));
}

TEST_F(UserServiceTest, AllViolationsAreReportedAtOnce) {
  v1::CreateUserRequest request = Request("Alice", "bad\x01");
  request.mutable_user()->set_display_name(std::string(101, 'x'));
  request.mutable_user()->set_password(std::string(1025, 'x'));
  request.set_request_id("\t");
  User user;
  const grpc::Status status = Create(request, &user);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  std::set<std::string> fields;
  for (const auto& violation : rpc::DecodeDetails(status).violations) fields.insert(violation.field);
  EXPECT_EQ(fields,
            (std::set<std::string>{"user_id", "request_id", "user.login", "user.display_name", "user.password"}));
  for (const auto& violation : rpc::DecodeDetails(status).violations)
    EXPECT_EQ(violation.description.find("xxx"), std::string::npos);
}

TEST_F(UserServiceTest, LimitsHoldAtTheLimitAndNotBeyond) {
  v1::CreateUserRequest request = Request(std::string(63, 'a'), std::string(255, 'l'));
  request.mutable_user()->set_display_name(std::string(100, 'd'));
  request.mutable_user()->set_password(std::string(1024, 'p'));
  request.set_request_id(std::string(64, 'r'));
  User user;
  EXPECT_TRUE(Create(request, &user).ok());
  EXPECT_FALSE(Create(Request(std::string(64, 'a'), "l"), &user).ok());
  EXPECT_FALSE(Create(Request("b", std::string(256, 'l')), &user).ok());
}

TEST_F(UserServiceTest, AllViolationsOfAnUpdateAreReportedAtOnce) {
  world_.AddUser("alice", "alice@example.com", "secret");
  v1::UpdateUserRequest update;
  update.mutable_user()->set_name("users/alice");
  update.mutable_user()->set_login("bad\x01");
  update.mutable_user()->set_display_name(std::string(101, 'x'));
  update.mutable_user()->add_groups("Bad");
  update.mutable_user()->set_password(std::string(1025, 'x'));
  User user;
  const auto fields = [&] {
    std::set<std::string> names;
    for (const auto& violation : rpc::DecodeDetails(Update(update, &user)).violations) names.insert(violation.field);
    return names;
  };
  const std::set<std::string> all = {"user.login", "user.display_name", "user.groups[0]", "user.password"};
  EXPECT_EQ(fields(), all);
  update.mutable_update_mask()->add_paths("*");
  EXPECT_EQ(fields(), all);
  update.mutable_update_mask()->set_paths(0, "display_name");
  EXPECT_EQ(fields(), (std::set<std::string>{"user.display_name"})) << "what the mask does not name is not judged";
  for (const char* path : {"nothing", "password", "groups"}) update.mutable_update_mask()->add_paths(path);
  EXPECT_EQ(fields(), (std::set<std::string>{"update_mask", "user.display_name", "user.password", "user.groups[0]"}));
}

// threats.md A4: what no mechanism could claim later is refused when it is set.
TEST_F(UserServiceTest, NamesAndPasswordsThatSaslprepProhibitsAreRefused) {
  using namespace std::string_literals;
  User user;
  for (const std::string& bad :
       {"a\0b"s, "a\rb"s, "a\x7f"s, "a\xc2\x80"s, "a\xe2\x80\x8e"s /* U+200E */, "\xc2\xad"s /* only a soft hyphen */,
        "\xd7\x90"
        "a"s /* Hebrew and Latin */}) {
    v1::CreateUserRequest request = Request("alice", bad);
    request.mutable_user()->set_password(bad);
    EXPECT_EQ(rpc::DecodeDetails(Create(request, &user)).violations.size(), 2u) << bad;
  }
}

TEST_F(UserServiceTest, AnIdAndALoginAreOnePersons) {
  User user;
  ASSERT_TRUE(Create(Request("alice", "alice@example.com"), &user).ok());
  grpc::Status status = Create(Request("alice", "other@example.com"), &user);
  EXPECT_EQ(rpc::DecodeDetails(status).reason, "ALREADY_EXISTS");
  status = Create(Request("bob", "ALICE@example.com"), &user);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(rpc::DecodeDetails(status).reason, "LOGIN_TAKEN");
  v1::CreateUserRequest dry = Request("bob", "alice@example.com");
  dry.set_validate_only(true);
  EXPECT_EQ(rpc::DecodeDetails(Create(dry, &user)).reason, "LOGIN_TAKEN");
  // A login that is given up is free, and so is that of who is deleted.
  v1::UpdateUserRequest update;
  update.mutable_user()->set_name("users/alice");
  update.mutable_user()->set_login("a@example.com");
  ASSERT_TRUE(Update(update, &user).ok());
  ASSERT_TRUE(Create(Request("bob", "alice@example.com"), &user).ok());
  update.mutable_user()->set_login("Alice@example.com");
  EXPECT_EQ(rpc::DecodeDetails(Update(update, &user)).reason, "LOGIN_TAKEN");
  v1::DeleteUserRequest remove;
  remove.set_name("users/bob");
  google::protobuf::Empty nothing;
  ASSERT_TRUE(Call(&v1::UserService::Stub::DeleteUser, remove, &nothing).ok());
  EXPECT_TRUE(Update(update, &user).ok());
  EXPECT_EQ(Get("users/bob", &user).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(UserServiceTest, AnEtagThatIsNotCurrentIsAborted) {
  User user;
  ASSERT_TRUE(Create(Request("alice", "alice@example.com"), &user).ok());
  const std::string first = user.etag();
  v1::UpdateUserRequest update;
  *update.mutable_user() = user;
  update.mutable_user()->set_may_relay(false);
  ASSERT_TRUE(Update(update, &user).ok());
  EXPECT_NE(user.etag(), first);
  EXPECT_FALSE(user.may_relay());
  EXPECT_EQ(Update(update, &user).error_code(), grpc::StatusCode::ABORTED);
  v1::DisableUserRequest disable;
  disable.set_name("users/alice");
  disable.set_etag(first);
  EXPECT_EQ(rpc::DecodeDetails(Call(&v1::UserService::Stub::DisableUser, disable, &user)).reason, "ETAG_NOT_CURRENT");
  disable.set_etag(update.user().etag());
  EXPECT_FALSE(Call(&v1::UserService::Stub::DisableUser, disable, &user).ok());
}

TEST_F(UserServiceTest, AnUpdateChangesWhatItsMaskNames) {
  world_.AddUser("alice", "alice@example.com", "old");
  User user;
  v1::UpdateUserRequest update;
  update.mutable_user()->set_name("users/alice");
  update.mutable_user()->set_display_name("Alice");
  update.mutable_user()->set_may_submit(false);
  update.mutable_update_mask()->add_paths("display_name");
  ASSERT_TRUE(Update(update, &user).ok());
  EXPECT_EQ(user.display_name(), "Alice");
  EXPECT_TRUE(user.may_submit());
  update.mutable_user()->clear_display_name();
  ASSERT_TRUE(Update(update, &user).ok());
  EXPECT_EQ(user.display_name(), "alice") << "back to the default";
  const int64_t revision = user.revision();
  ASSERT_TRUE(Update(update, &user).ok());
  EXPECT_EQ(user.revision(), revision) << "nothing to change";
  update.mutable_update_mask()->set_paths(0, "nothing");
  EXPECT_EQ(rpc::DecodeDetails(Update(update, &user)).violations.at(0).field, "update_mask");
  // A star keeps a password that is absent; the path by itself removes it.
  update.mutable_update_mask()->set_paths(0, "*");
  update.mutable_user()->set_login("alice@example.com");
  ASSERT_TRUE(Update(update, &user).ok());
  EXPECT_TRUE(LogsIn("alice@example.com", "old"));
  update.mutable_user()->set_password("new");
  ASSERT_TRUE(Update(update, &user).ok());
  EXPECT_TRUE(user.has_sessions_revoked_time());
  EXPECT_FALSE(LogsIn("alice@example.com", "old"));
  EXPECT_TRUE(LogsIn("alice@example.com", "new"));
  update.mutable_user()->clear_password();
  update.mutable_update_mask()->set_paths(0, "password");
  ASSERT_TRUE(Update(update, &user).ok());
  EXPECT_FALSE(user.has_password_set_time());
  EXPECT_FALSE(LogsIn("alice@example.com", "new"));
}

TEST_F(UserServiceTest, AMissingUserIsCreatedIfThatIsAllowed) {
  User user;
  v1::UpdateUserRequest update;
  update.mutable_user()->set_name("users/alice");
  update.mutable_user()->set_login("alice@example.com");
  update.mutable_user()->set_password("secret");
  EXPECT_EQ(Update(update, &user).error_code(), grpc::StatusCode::NOT_FOUND);
  update.set_allow_missing(true);
  update.mutable_user()->set_etag("x");
  EXPECT_EQ(rpc::DecodeDetails(Update(update, &user)).reason, "ETAG_NOT_CURRENT") << "whose it was is gone";
  update.mutable_user()->clear_etag();
  update.set_validate_only(true);
  ASSERT_TRUE(Update(update, &user).ok());
  EXPECT_EQ(Get("users/alice", &user).error_code(), grpc::StatusCode::NOT_FOUND);
  update.set_validate_only(false);
  ASSERT_TRUE(Update(update, &user).ok());
  EXPECT_TRUE(LogsIn("alice@example.com", "secret"));
}

TEST_F(UserServiceTest, TheSameRequestIdIsTheSameAnswerAndAnotherRequestIsRefused) {
  v1::CreateUserRequest request = Request("alice", "alice@example.com");
  request.set_request_id("r1");
  User first, second;
  ASSERT_TRUE(Create(request, &first).ok());
  ASSERT_TRUE(Create(request, &second).ok());
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  request.set_user_id("bob");
  request.mutable_user()->set_login("bob");
  EXPECT_EQ(rpc::DecodeDetails(Create(request, &second)).violations.at(0).field, "request_id");
}

TEST_F(UserServiceTest, EnableUndoesDisableAndNeitherChangesWhatIsSo) {
  world_.AddUser("alice", "alice@example.com", "secret");
  world_.Disable("alice");
  User disabled;
  ASSERT_TRUE(Get("users/alice", &disabled).ok());
  EXPECT_EQ(disabled.state(), User::DISABLED);
  world_.Disable("alice");
  User again;
  ASSERT_TRUE(Get("users/alice", &again).ok());
  EXPECT_EQ(again.revision(), disabled.revision());
  EXPECT_FALSE(LogsIn("alice@example.com", "secret"));
  v1::EnableUserRequest enable;
  enable.set_name("users/alice");
  ASSERT_TRUE(Call(&v1::UserService::Stub::EnableUser, enable, &again).ok());
  EXPECT_TRUE(LogsIn("alice@example.com", "secret"));
  v1::RevokeUserSessionsRequest revoke;
  revoke.set_name("users/alice");
  world_.clock.Advance(std::chrono::seconds(5));
  ASSERT_TRUE(Call(&v1::UserService::Stub::RevokeUserSessions, revoke, &again).ok());
  EXPECT_GT(again.sessions_revoked_time().seconds(), disabled.sessions_revoked_time().seconds());
  EXPECT_TRUE(LogsIn("alice@example.com", "secret")) << "sessions end, the user may come again";
}

TEST_F(UserServiceTest, SessionsOfADirectorysUserEndByItsNameAlone) {
  const auto revoke = [&](const std::string& name) {
    v1::RevokeDirectoryUserSessionsRequest request;
    request.set_name(name);
    v1::RevokeDirectoryUserSessionsResponse response;
    return Call(&v1::UserService::Stub::RevokeDirectoryUserSessions, request, &response);
  };
  EXPECT_TRUE(revoke("directories/corp/users/anybody@corp.example").ok()) << "whether there is one is not asked";
  EXPECT_TRUE(revoke("directories/corp/users/a/b/users/c@corp.example").ok()) << "a login may hold anything";
  for (const char* other : {"directories/other/users/alice@corp.example", "directories/corp/users/alice@example.com"})
    EXPECT_EQ(revoke(other).error_code(), grpc::StatusCode::NOT_FOUND) << other;
  for (const char* malformed :
       {"", "users/alice", "directories/corp", "directories/corp/users/", "directories/corp/alice@corp.example",
        "directories//users/alice@corp.example", "directories/Corp/users/alice@corp.example",
        "directories/corp/users/a\x01@corp.example"}) {
    const grpc::Status status = revoke(malformed);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << malformed;
  }
}

TEST_F(UserServiceTest, PagesAreInOrderAndTokensBoundToTheFilter) {
  for (const char* id : {"c", "a", "b"}) {
    User user;
    ASSERT_TRUE(Create(Request(id, std::string(id) + "@example.com"), &user).ok());
  }
  v1::ListUsersRequest request;
  request.set_page_size(2);
  v1::ListUsersResponse response;
  const auto list = [&] { return Call(&v1::UserService::Stub::ListUsers, request, &response); };
  ASSERT_TRUE(list().ok());
  ASSERT_EQ(response.users_size(), 2);
  EXPECT_EQ(response.users(0).name(), "users/a");
  request.set_page_token(response.next_page_token());
  ASSERT_TRUE(list().ok());
  ASSERT_EQ(response.users_size(), 1);
  EXPECT_EQ(response.users(0).name(), "users/c");
  EXPECT_EQ(response.next_page_token(), "");
  request.set_login("a@example.com");
  EXPECT_EQ(rpc::DecodeDetails(list()).violations.at(0).field, "page_token");
  request.clear_page_token();
  ASSERT_TRUE(list().ok());
  ASSERT_EQ(response.users_size(), 1);
  request.set_login("A@example.COM");
  ASSERT_TRUE(list().ok());
  EXPECT_EQ(response.users_size(), 1);
  request.set_login("nobody");
  ASSERT_TRUE(list().ok());
  EXPECT_EQ(response.users_size(), 0);
  request.set_page_size(-1);
  EXPECT_EQ(list().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// threats.md, Secrets at rest: a dump holds no password, not even as a digest of a request that could be guessed fast.
TEST_F(UserServiceTest, TheStoreHoldsArgon2idAndNothingElseOfAPassword) {
  v1::CreateUserRequest request = Request("alice", "alice@example.com");
  request.mutable_user()->set_password("s3cret-of-alice");
  request.set_request_id("r1");
  User user;
  ASSERT_TRUE(Create(request, &user).ok());
  const auto view = world_.memory.Read();
  bool more = false;
  const auto records = (*view)->List("", "", 1000, 1 << 20, &more);
  ASSERT_TRUE(records.ok());
  int verifiers = 0;
  for (const auto& record : *records) {
    EXPECT_EQ(record.value.find("s3cret"), std::string::npos) << record.key;
    verifiers += record.value.starts_with("$argon2id$v=19$m=19456,t=2,p=1$");
  }
  EXPECT_EQ(verifiers, 1);
}

TEST_F(UserServiceTest, AStoreThatDoesNotAnswerIsUnavailable) {
  world_.store.down = true;
  User user;
  const grpc::Status status = Get("users/alice", &user);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(rpc::DecodeDetails(status).reason, "STORE_UNAVAILABLE");
  EXPECT_EQ(Create(Request("alice", "a"), &user).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(UserServiceTest, AStoreThatIsLostMeanwhileIsNotAnEmptyList) {
  v1::ListUsersRequest request;
  request.set_login("alice@example.com");
  v1::ListUsersResponse response;
  ASSERT_TRUE(Call(&v1::UserService::Stub::ListUsers, request, &response).ok());
  world_.store.views_lost = true;
  EXPECT_EQ(Call(&v1::UserService::Stub::ListUsers, request, &response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

// limits.md: users, 1,000,000; here with a lower figure.
TEST(UserLimitTest, BeyondTheMostUsersIsResourceExhausted) {
  TestWorld world(2);
  world.AddUser("a", "a", "p");
  world.AddUser("b", "b", "p");
  v1::CreateUserRequest request;
  request.set_user_id("c");
  request.mutable_user()->set_login("c");
  User user;
  grpc::ClientContext context;
  EXPECT_EQ(world.Users()->CreateUser(&context, request, &user).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace gatepost::auth
