// Groups over real gRPC, and what being in one means: to lists, to logins, to who is deleted.
#include "services/auth/group_service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "services/auth/test_world.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

using v1::Group;
using v1::User;

class GroupServiceTest : public testing::Test {
 protected:
  explicit GroupServiceTest(GroupCatalogue::Limits limits = {}) : world_(kMostUsers, limits) {}

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::GroupService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    return ((*world_.Groups()).*method)(&context, request, response);
  }
  grpc::Status Create(const v1::CreateGroupRequest& request, Group* group) {
    return Call(&v1::GroupService::Stub::CreateGroup, request, group);
  }
  Group Add(const std::string& id) {
    v1::CreateGroupRequest request;
    request.set_group_id(id);
    request.mutable_group();
    Group group;
    const grpc::Status status = Create(request, &group);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return group;
  }
  grpc::Status Get(const std::string& id, Group* group) {
    v1::GetGroupRequest request;
    request.set_name("groups/" + id);
    return Call(&v1::GroupService::Stub::GetGroup, request, group);
  }
  grpc::Status Delete(const std::string& id, bool force) {
    v1::DeleteGroupRequest request;
    request.set_name("groups/" + id);
    request.set_force(force);
    google::protobuf::Empty nothing;
    return Call(&v1::GroupService::Stub::DeleteGroup, request, &nothing);
  }
  grpc::Status PutInto(const std::string& user_id, const std::vector<std::string>& groups, User* user) {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name("users/" + user_id);
    for (const std::string& group : groups) request.mutable_user()->add_groups("groups/" + group);
    request.mutable_update_mask()->add_paths("groups");
    grpc::ClientContext context;
    return world_.Users()->UpdateUser(&context, request, user);
  }
  std::vector<std::string> Members(const std::string& group, int page_size = 0) {
    v1::ListUsersRequest request;
    request.set_group("groups/" + group);
    request.set_page_size(page_size);
    std::vector<std::string> names;
    do {
      v1::ListUsersResponse response;
      grpc::ClientContext context;
      const grpc::Status status = world_.Users()->ListUsers(&context, request, &response);
      EXPECT_TRUE(status.ok()) << status.error_message();
      for (const User& user : response.users()) names.push_back(user.name());
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return names;
  }
  std::vector<std::string> GroupsAtLogin(const std::string& login, const std::string& password) {
    EdgeStream edge(world_);
    const v1::AuthenticateResponse answer = edge.Plain(1, login, password);
    EXPECT_TRUE(answer.has_success());
    return {answer.success().groups().begin(), answer.success().groups().end()};
  }

  TestWorld world_;
};

using Names = std::vector<std::string>;

TEST_F(GroupServiceTest, ANewGroupHasTheDefaultsAndNoMembers) {
  const Group made = Add("staff");
  EXPECT_EQ(made.name(), "groups/staff");
  EXPECT_EQ(made.display_name(), "staff");
  EXPECT_EQ(made.member_count(), 0);
  EXPECT_TRUE(made.has_create_time());
  Group got;
  ASSERT_TRUE(Get("staff", &got).ok());
  EXPECT_EQ(got.SerializeAsString(), made.SerializeAsString());
  EXPECT_EQ(Get("nobody", &got).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Get("No", &got).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GroupServiceTest, LimitsHoldAtTheLimitAndNotBeyondAndAllViolationsAreReported) {
  v1::CreateGroupRequest request;
  request.set_group_id(std::string(63, 'g'));
  request.mutable_group()->set_display_name(std::string(100, 'n'));
  request.mutable_group()->set_description(std::string(999, 'd') + "\n");
  request.set_request_id(std::string(64, 'r'));
  Group group;
  EXPECT_TRUE(Create(request, &group).ok());
  request.set_group_id(std::string(64, 'g'));
  request.mutable_group()->set_display_name(std::string(101, 'n'));
  request.mutable_group()->set_description(std::string(1'000, 'd') + "\n");
  request.set_request_id(std::string(65, 'r'));
  const auto violations = rpc::DecodeDetails(Create(request, &group)).violations;
  Names fields;
  for (const auto& violation : violations) fields.push_back(violation.field);
  EXPECT_EQ(fields, (Names{"group_id", "request_id", "group.display_name", "group.description"}));
}

TEST_F(GroupServiceTest, CreateIsIdempotentByItsRequestId) {
  v1::CreateGroupRequest request;
  request.set_group_id("staff");
  request.set_request_id("r1");
  Group first, second;
  ASSERT_TRUE(Create(request, &first).ok());
  ASSERT_TRUE(Create(request, &second).ok());
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  request.set_request_id("");
  EXPECT_EQ(rpc::DecodeDetails(Create(request, &second)).reason, "ALREADY_EXISTS");
  request.set_validate_only(true);
  EXPECT_EQ(rpc::DecodeDetails(Create(request, &second)).reason, "ALREADY_EXISTS");
  request.set_group_id("other");
  EXPECT_TRUE(Create(request, &second).ok());
  EXPECT_EQ(Get("other", &second).error_code(), grpc::StatusCode::NOT_FOUND);
  request.set_validate_only(false);
  request.set_request_id("r1");
  EXPECT_EQ(rpc::DecodeDetails(Create(request, &second)).violations.at(0).field, "request_id");
}

TEST_F(GroupServiceTest, AnUpdateChangesWhatItsMaskNamesAndWantsACurrentEtag) {
  const Group made = Add("staff");
  v1::UpdateGroupRequest update;
  update.mutable_group()->set_name("groups/staff");
  update.mutable_group()->set_etag(made.etag());
  update.mutable_group()->set_description("all of them");
  update.mutable_group()->set_display_name("ignored");
  update.mutable_update_mask()->add_paths("description");
  Group group;
  const auto run = [&] { return Call(&v1::GroupService::Stub::UpdateGroup, update, &group); };
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(group.description(), "all of them");
  EXPECT_EQ(group.display_name(), "staff");
  EXPECT_EQ(run().error_code(), grpc::StatusCode::ABORTED);
  update.mutable_group()->clear_etag();
  const int64_t revision = group.revision();
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(group.revision(), revision) << "nothing to change";
  update.mutable_update_mask()->set_paths(0, "nothing");
  update.mutable_update_mask()->add_paths("display_name");
  update.mutable_group()->set_display_name("\x01");
  const std::vector<rpc::FieldViolation> violations = rpc::DecodeDetails(run()).violations;
  ASSERT_EQ(violations.size(), 2u) << "all at once";
  EXPECT_EQ(violations[0].field, "update_mask");
  EXPECT_EQ(violations[1].field, "group.display_name");
  update.mutable_group()->clear_display_name();
  update.clear_update_mask();
  update.mutable_group()->set_name("groups/new");
  EXPECT_EQ(run().error_code(), grpc::StatusCode::NOT_FOUND);
  update.set_allow_missing(true);
  update.mutable_group()->set_etag(made.etag());
  EXPECT_EQ(rpc::DecodeDetails(run()).reason, "ETAG_NOT_CURRENT") << "whose it was is gone";
  update.mutable_group()->clear_etag();
  ASSERT_TRUE(run().ok());
  EXPECT_TRUE(Get("new", &group).ok());
}

TEST_F(GroupServiceTest, PagesAreInOrder) {
  for (const char* id : {"c", "a", "b"}) Add(id);
  v1::ListGroupsRequest request;
  request.set_page_size(2);
  v1::ListGroupsResponse response;
  ASSERT_TRUE(Call(&v1::GroupService::Stub::ListGroups, request, &response).ok());
  ASSERT_EQ(response.groups_size(), 2);
  EXPECT_EQ(response.groups(0).name(), "groups/a");
  request.set_page_token(response.next_page_token());
  ASSERT_TRUE(Call(&v1::GroupService::Stub::ListGroups, request, &response).ok());
  ASSERT_EQ(response.groups_size(), 1);
  EXPECT_EQ(response.groups(0).name(), "groups/c");
  EXPECT_EQ(response.next_page_token(), "");
}

TEST_F(GroupServiceTest, AUserIsInGroupsThatExistSortedAndOnce) {
  world_.AddUser("alice", "alice", "p");
  Add("staff");
  Add("admins");
  User user;
  const grpc::Status status = PutInto("alice", {"staff", "nothing", "Bad"}, &user);
  ASSERT_EQ(rpc::DecodeDetails(status).violations.size(), 1u) << "form before existence";
  EXPECT_EQ(rpc::DecodeDetails(status).violations[0].field, "user.groups[2]");
  EXPECT_EQ(rpc::DecodeDetails(PutInto("alice", {"staff", "nothing"}, &user)).violations.at(0).description,
            "groups/nothing does not exist");
  const auto unknown = rpc::DecodeDetails(PutInto("alice", {"staff", "nothing", "absent"}, &user)).violations;
  ASSERT_EQ(unknown.size(), 2u);
  EXPECT_EQ(unknown[0].field + " " + unknown[0].description, "user.groups[2] groups/absent does not exist");
  EXPECT_EQ(unknown[1].field + " " + unknown[1].description, "user.groups[1] groups/nothing does not exist");
  ASSERT_TRUE(PutInto("alice", {"staff", "admins", "staff"}, &user).ok());
  EXPECT_EQ(Names(user.groups().begin(), user.groups().end()), (Names{"groups/admins", "groups/staff"}));
  Group group;
  ASSERT_TRUE(Get("staff", &group).ok());
  EXPECT_EQ(group.member_count(), 1);
}

TEST_F(GroupServiceTest, AMembershipIsInForceAtTheNextLoginThoughThePasswordIsRemembered) {
  world_.AddUser("alice", "alice", "p");
  Add("staff");
  EXPECT_EQ(GroupsAtLogin("alice", "p"), Names());
  User user;
  ASSERT_TRUE(PutInto("alice", {"staff"}, &user).ok());
  EXPECT_EQ(GroupsAtLogin("alice", "p"), Names{"groups/staff"});
  ASSERT_TRUE(PutInto("alice", {}, &user).ok());
  EXPECT_EQ(GroupsAtLogin("alice", "p"), Names());
}

TEST_F(GroupServiceTest, ListUsersKnowsTheMembersOfAGroup) {
  Add("staff");
  for (const char* id : {"c", "a", "b", "d"}) {
    world_.AddUser(id, id, "p");
    User user;
    if (*id != 'd') ASSERT_TRUE(PutInto(id, {"staff"}, &user).ok());
  }
  EXPECT_EQ(Members("staff"), (Names{"users/a", "users/b", "users/c"}));
  EXPECT_EQ(Members("staff", 2), (Names{"users/a", "users/b", "users/c"}));
  EXPECT_EQ(Members("nothing"), Names());
  v1::ListUsersRequest request;
  request.set_group("groups/staff");
  request.set_login("d");
  v1::ListUsersResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(world_.Users()->ListUsers(&context, request, &response).ok());
  EXPECT_EQ(response.users_size(), 0) << "not in the group";
  request.set_group("staff");
  grpc::ClientContext again;
  EXPECT_EQ(rpc::DecodeDetails(world_.Users()->ListUsers(&again, request, &response)).violations.at(0).field, "group");
}

TEST_F(GroupServiceTest, AGroupWithMembersIsDeletedByForceAlone) {
  world_.AddUser("alice", "alice", "p");
  Add("staff");
  Add("other");
  User user;
  ASSERT_TRUE(PutInto("alice", {"staff", "other"}, &user).ok());
  const grpc::Status refused = Delete("staff", false);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(rpc::DecodeDetails(refused).reason, "GROUP_HAS_MEMBERS");
  ASSERT_TRUE(Delete("staff", true).ok());
  EXPECT_EQ(GroupsAtLogin("alice", "p"), Names{"groups/other"});
  EXPECT_EQ(Delete("staff", true).error_code(), grpc::StatusCode::NOT_FOUND);
  // Who is deleted leaves its groups.
  v1::DeleteUserRequest remove;
  remove.set_name("users/alice");
  google::protobuf::Empty nothing;
  grpc::ClientContext context;
  ASSERT_TRUE(world_.Users()->DeleteUser(&context, remove, &nothing).ok());
  EXPECT_TRUE(Delete("other", false).ok());
  // And a new group of the old name has nobody.
  Add("staff");
  EXPECT_EQ(Members("staff"), Names());
}

TEST_F(GroupServiceTest, AUserIsInAtMostAHundredGroups) {
  world_.AddUser("alice", "alice", "p");
  Names groups;
  for (int i = 0; i < 101; ++i) groups.push_back(Add("g" + std::to_string(i)).name().substr(7));
  User user;
  EXPECT_EQ(rpc::DecodeDetails(PutInto("alice", groups, &user)).violations.at(0).field, "user.groups");
  groups.pop_back();
  ASSERT_TRUE(PutInto("alice", groups, &user).ok());
  EXPECT_EQ(GroupsAtLogin("alice", "p").size(), 100u);
}

// limits.h: groups, 10,000; members taken out, 10,000. Here with lower figures.
class GroupLimitTest : public GroupServiceTest {
 protected:
  GroupLimitTest() : GroupServiceTest({.groups = 2, .members_taken_out = 2}) {}
};

TEST_F(GroupLimitTest, BeyondTheMostGroupsIsResourceExhausted) {
  Add("a");
  Add("b");
  v1::CreateGroupRequest request;
  request.set_group_id("c");
  Group group;
  EXPECT_EQ(Create(request, &group).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(GroupLimitTest, ForceTakesOutSoManyMembersAndNotMore) {
  Add("staff");
  User user;
  for (const char* id : {"a", "b", "c"}) {
    world_.AddUser(id, id, "p");
    ASSERT_TRUE(PutInto(id, {"staff"}, &user).ok());
  }
  EXPECT_EQ(rpc::DecodeDetails(Delete("staff", true)).reason, "TOO_MANY_MEMBERS");
  ASSERT_TRUE(PutInto("c", {}, &user).ok());
  EXPECT_TRUE(Delete("staff", true).ok());
}

// limits.h: members taken out by one commit, 200. Here with a lower figure.
class GroupCommitTest : public GroupServiceTest {
 protected:
  GroupCommitTest() : GroupServiceTest({.members_per_commit = 2}) {}
  // How many commits it takes to delete a group of so many.
  int64_t CommitsToDelete(int members) {
    Add("staff");
    User user;
    for (int i = 0; i < members; ++i) {
      const std::string id = "u" + std::to_string(i);
      if (created_ <= i) world_.AddUser(id, id, "p");
      created_ = std::max(created_, i + 1);
      EXPECT_TRUE(PutInto(id, {"staff"}, &user).ok());
    }
    const int64_t before = Revision();
    EXPECT_TRUE(Delete("staff", true).ok());
    const int64_t commits = Revision() - before;
    Group group;
    EXPECT_EQ(Get("staff", &group).error_code(), grpc::StatusCode::NOT_FOUND);
    Add("staff");
    EXPECT_EQ(Members("staff"), Names());
    EXPECT_TRUE(Delete("staff", false).ok());
    return commits;
  }
  int64_t Revision() { return (*world_.store.Read())->revision(); }
  int created_ = 0;
};

TEST_F(GroupCommitTest, MembersAreTakenOutByCommitsOfABoundedSize) {
  EXPECT_EQ(CommitsToDelete(0), 1);
  EXPECT_EQ(CommitsToDelete(2), 1);
  EXPECT_EQ(CommitsToDelete(3), 2);
  EXPECT_EQ(CommitsToDelete(5), 3);
}

}  // namespace
}  // namespace gatepost::auth
