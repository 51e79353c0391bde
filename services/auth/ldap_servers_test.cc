// Which server is asked; what a directory's cache remembers.
#include "services/auth/ldap_servers.h"

#include <gtest/gtest.h>

#include "services/auth/directory_cache.h"
#include "services/base/fake_clock.h"

namespace gatepost::auth {
namespace {

class LdapServersTest : public testing::Test {
 protected:
  base::FakeClock clock_;
  base::SystemRandom random_;
  LdapServers servers_{2, random_};
};

TEST_F(LdapServersTest, TheFirstThatIsUpIsAsked) {
  EXPECT_EQ(servers_.Pick(clock_.Now()), 0u);
  EXPECT_TRUE(servers_.Failed(0, clock_.Now()));
  EXPECT_FALSE(servers_.Failed(0, clock_.Now())) << "it is known";
  EXPECT_TRUE(servers_.up());
  EXPECT_TRUE(servers_.Failed(1, clock_.Now()));
  EXPECT_FALSE(servers_.up());
}

TEST_F(LdapServersTest, OneLoginAtATimeTriesAServerThatIsDown) {
  servers_.Failed(0, clock_.Now());
  clock_.Advance(kDirectoryBackoffLeast + std::chrono::milliseconds(1));
  EXPECT_EQ(servers_.Pick(clock_.Now()), 0u);
  EXPECT_EQ(servers_.Pick(clock_.Now()), 1u);
  EXPECT_TRUE(servers_.Succeeded(0));
  EXPECT_EQ(servers_.Pick(clock_.Now()), 0u);
  EXPECT_FALSE(servers_.Succeeded(0));
}

TEST_F(LdapServersTest, ATryThatIsNeverReportedHoldsNobodyForEver) {
  servers_.Failed(0, clock_.Now());
  servers_.Failed(1, clock_.Now());
  clock_.Advance(kDirectoryBackoffMost);
  EXPECT_EQ(servers_.Pick(clock_.Now()), 0u);
  EXPECT_EQ(servers_.Pick(clock_.Now()), 1u);
  EXPECT_EQ(servers_.Pick(clock_.Now()), std::nullopt);
  clock_.Advance(kDirectoryTime);
  EXPECT_EQ(servers_.Pick(clock_.Now()), 0u);
}

TEST_F(LdapServersTest, ADeadDirectoryIsTriedLessAndLessButAtLeastEvery15Seconds) {
  LdapServers one(1, random_);
  one.Failed(0, clock_.Now());
  int tries = 0;
  for (int second = 0; second < 600; ++second) {
    clock_.Advance(std::chrono::seconds(1));
    if (!one.Pick(clock_.Now())) continue;
    ++tries;
    one.Failed(0, clock_.Now());
  }
  EXPECT_GE(tries, 600 / 16);
  EXPECT_LE(tries, 600 / 4);
}

class DirectoryCacheTest : public testing::Test {
 protected:
  static DirectoryAnswer Right() { return {.outcome = Outcome::kSuccess, .reason = "", .user = "u", .login = "l"}; }
  base::FakeClock clock_;
  base::SystemRandom random_;
};

TEST_F(DirectoryCacheTest, AnAnswerIsRememberedForItsTimeWithItsPasswordAlone) {
  DirectoryCache cache(std::chrono::seconds(60), clock_, random_);
  cache.Add("alice", "secret", Right());
  EXPECT_EQ(cache.Find("alice", "secret")->user, "u");
  EXPECT_FALSE(cache.Find("alice", "other"));
  EXPECT_FALSE(cache.Find("alices", "ecret"));
  clock_.Advance(std::chrono::seconds(59));
  EXPECT_TRUE(cache.Find("alice", "secret"));
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_FALSE(cache.Find("alice", "secret"));
}

TEST_F(DirectoryCacheTest, NothingIsRememberedUnlessItIsAskedFor) {
  DirectoryCache cache(std::chrono::seconds(0), clock_, random_);
  cache.Add("alice", "secret", Right());
  EXPECT_FALSE(cache.Find("alice", "secret"));
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(DirectoryCacheTest, TheOldestGoesBeyondTheMostEntries) {
  DirectoryCache cache(std::chrono::seconds(60), clock_, random_);
  for (size_t i = 0; i < kMostDirectoryCached; ++i) cache.Add("u", std::to_string(i), Right());
  EXPECT_EQ(cache.size(), kMostDirectoryCached);
  EXPECT_TRUE(cache.Find("u", "0"));
  cache.Add("u", "one more", Right());
  EXPECT_EQ(cache.size(), kMostDirectoryCached);
  EXPECT_FALSE(cache.Find("u", "0"));
  EXPECT_TRUE(cache.Find("u", "1"));
}

}  // namespace
}  // namespace gatepost::auth
