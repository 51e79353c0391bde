// What limits.h allows, at full size and on PostgreSQL: a group of 10,000 members, the revocations of a day. No call
// may take longer than a unary call may, and whoever else writes to the store meanwhile does not wait for all of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "services/auth/group_catalogue.h"
#include "services/auth/limits.h"
#include "services/auth/revocations.h"
#include "services/auth/user_catalogue.h"
#include "services/auth/user_index.h"
#include "services/auth/user_records.h"
#include "services/base/fake_clock.h"
#include "services/base/random.h"
#include "services/base/strings.h"
#include "services/rpc/status_details.h"
#include "services/store/postgres_store.h"
#include "services/store/test_postgres.h"

namespace gatepost::auth {
namespace {

using base::StrCat;
using std::chrono::duration;
using std::chrono::steady_clock;

constexpr int kMembers = static_cast<int>(kMostMembersTakenOut);
// Of one commit, while records are made.
constexpr int kBatch = 2'000;
// As five replicas do, each with its failed logins (throttle_ledger.h).
constexpr std::chrono::milliseconds kBetweenWrites{50};
// The longest that another writer may wait, with the time that a loaded machine takes.
constexpr double kLongestWait = 5;

store::TestPostgres& Server() {
  static store::TestPostgres server;
  return server;
}

class FullSizeTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Server().why_not().empty()) GTEST_SKIP() << Server().why_not();
    store_ = Open();
    other_ = Open();
  }
  std::unique_ptr<store::RecordStore> Open() {
    store::PostgresOptions options;
    options.uri = Server().uri();
    options.schema = testing::UnitTest::GetInstance()->current_test_info()->name();
    for (char& c : options.schema) c = static_cast<char>(std::tolower(c));
    auto store = store::OpenPostgresStore(options, wall_, random_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  // Commits `count` times what `write` adds of each number, in batches.
  void Fill(int count, const std::function<void(int number, store::Transaction*)>& write) {
    for (int begin = 0; begin < count; begin += kBatch) {
      store::Transaction transaction;
      for (int i = begin; i < std::min(begin + kBatch, count); ++i) write(i, &transaction);
      const absl::Status status = store_->Commit(transaction).status();
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  // How long `call` takes, and how long, at most, another replica's writer waits for a commit meanwhile; in seconds.
  void Measure(const char* what, const std::function<void()>& call) {
    std::atomic<bool> over{false};
    double longest = 0;
    std::thread writer([&] {
      while (!over) {
        const auto begin = steady_clock::now();
        EXPECT_TRUE(other_->Commit({.writes = {{"another", "s", store::Condition::None()}}}).ok());
        longest = std::max(longest, duration<double>(steady_clock::now() - begin).count());
        std::this_thread::sleep_for(kBetweenWrites);
      }
    });
    const auto begin = steady_clock::now();
    call();
    const double took = duration<double>(steady_clock::now() - begin).count();
    over = true;
    writer.join();
    std::printf("%s: %.3f s; another writer waited %.3f s at most\n", what, took, longest);
    EXPECT_LT(took, duration<double>(rpc::kMaxUnaryTime).count()) << what;
    EXPECT_LT(longest, kLongestWait) << what;
  }
  int64_t Count(std::string_view prefix) { return *(*store_->Read())->Count(prefix); }

  const base::SystemClock wall_;
  base::FakeClock clock_;
  base::SystemRandom random_;
  std::unique_ptr<store::RecordStore> store_, other_;
};

TEST_F(FullSizeTest, AGroupOfTenThousandIsListedChangedLeftAndDeleted) {
  RecordEditor editor(*store_);
  const Metrics metrics;
  Verifier verifier(1, clock_, random_, metrics);
  const store::SealingKey key = *store::SealingKey::FromBytes(std::string(32, 'm'));
  const UserSecrets secrets(*store_, key, std::string(32, 'd'), kLeastScramIterations, random_);
  UserCatalogue users(editor, verifier, secrets, clock_, /*directory=*/nullptr);
  GroupCatalogue groups(editor, clock_);
  rpc::Call call;

  v1::CreateGroupRequest make;
  make.set_group_id("staff");
  ASSERT_TRUE(groups.Create(make, &call).ok());
  v1::User member;
  member.add_groups("groups/staff");
  // But for one.
  Fill(kMembers - 1, [&](int number, store::Transaction* transaction) {
    const std::string id = StrCat("u", number);
    member.set_login(id);
    transaction->writes.push_back({StrCat(kUsers, id), Stored(member), store::Condition::Absent()});
    transaction->writes.push_back({StrCat(kLogins, id), id, store::Condition::Absent()});
    transaction->writes.push_back({MemberKey("staff", id), "", store::Condition::Absent()});
  });

  Measure("CreateUser, the last member", [&] {
    v1::CreateUserRequest request;
    request.set_user_id("last");
    *request.mutable_user() = member;
    request.mutable_user()->set_login("last");
    const auto created = users.Create(request, &call);
    ASSERT_TRUE(created.ok()) << created.status();
  });
  Measure("UpdateGroup", [&] {
    v1::UpdateGroupRequest request;
    request.mutable_group()->set_name("groups/staff");
    request.mutable_group()->set_description("all of them");
    const auto updated = groups.Update(request, &call);
    ASSERT_TRUE(updated.ok()) << updated.status();
    EXPECT_EQ(updated->member_count(), kMembers);
  });
  Measure("ListUsers, a page of 1,000 members", [&] {
    v1::ListUsersRequest request;
    request.set_group("groups/staff");
    request.set_page_size(1'000);
    const auto page = users.List(request, &call);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(page->users_size(), 1'000);
    EXPECT_FALSE(page->next_page_token().empty());
  });
  const auto update = [&](const std::string& id, bool in) {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name(StrCat(kUsers, id));
    if (in) request.mutable_user()->add_groups("groups/staff");
    request.mutable_update_mask()->add_paths("groups");
    const auto updated = users.Update(request, &call);
    ASSERT_TRUE(updated.ok()) << updated.status();
  };
  Measure("UpdateUser, out and in", [&] {
    update("u7", false);
    update("u7", true);
  });

  v1::DeleteGroupRequest remove;
  remove.set_name("groups/staff");
  remove.set_force(true);
  // One beyond.
  v1::CreateUserRequest one_more;
  one_more.set_user_id("beyond");
  *one_more.mutable_user() = member;
  one_more.mutable_user()->set_login("beyond");
  ASSERT_TRUE(users.Create(one_more, &call).ok());
  EXPECT_EQ(rpc::DecodeDetails(rpc::ToGrpcStatus(groups.Delete(remove, &call))).reason, "TOO_MANY_MEMBERS");
  Measure("DeleteUser of a member", [&] {
    v1::DeleteUserRequest request;
    request.set_name("users/beyond");
    ASSERT_TRUE(users.Delete(request, &call).ok());
  });
  Measure("DeleteGroup with its 10,000 members", [&] {
    const absl::Status deleted = groups.Delete(remove, &call);
    ASSERT_TRUE(deleted.ok()) << deleted;
  });
  EXPECT_EQ(Count(MemberKey("staff", "")), 0);
  EXPECT_EQ(Count(kUsers), kMembers);
  v1::GetUserRequest get;
  get.set_name("users/u7");
  EXPECT_EQ(users.Get(get, &call)->groups_size(), 0);
  verifier.Stop();
}

// One clean-up takes 10,000; the next one what is left. What is not a day old stays.
TEST_F(FullSizeTest, ADaysRevocationsAreCleanedUp) {
  base::Log log(wall_, {.fd = -1});
  const Metrics metrics;
  constexpr int kOld = 10'000 + 1;
  Fill(kOld, [&](int number, store::Transaction* transaction) {
    RevokeSessions(StrCat(kUsers, "u", number), clock_.WallNow(), transaction);
  });
  clock_.Advance(kRevocationTime + std::chrono::seconds(1));
  Fill(1, [&](int, store::Transaction* transaction) {
    RevokeSessions("directories/corp/users/new@corp.example", clock_.WallNow(), transaction);
  });
  Revocations revocations(*store_, clock_, log, metrics);
  Measure("all read at the start", [&] { ASSERT_TRUE(revocations.Start().ok()); });
  Measure("10,000 deleted", [&] { ASSERT_TRUE(revocations.Clean().ok()); });
  EXPECT_EQ(Count(kRevocations), 2);
  ASSERT_TRUE(revocations.Clean().ok());
  EXPECT_EQ(Count(kRevocations), 1);
}

}  // namespace
}  // namespace gatepost::auth
