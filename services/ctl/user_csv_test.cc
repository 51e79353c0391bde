#include "services/ctl/user_csv.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Problem(std::string_view text) {
  auto rows = ParseUserTable(text);
  EXPECT_FALSE(rows.ok());
  EXPECT_TRUE(IsUsageError(rows.status()));
  return std::string(rows.status().message());
}

TEST(UserTable, EveryColumnIsAField) {
  auto rows = ParseUserTable(
      "id,login,display_name,password,groups,addresses,may_submit,may_relay,ntlm\r\n"
      "alice,alice@example.com,\"Smith, \"\"Al\"\"\",s3cret,staff groups/sales,a@example.com "
      "@example.org,yes,no,TRUE\r\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ((*rows)[0].line, 2);
  const auth::v1::User& user = (*rows)[0].user;
  EXPECT_EQ(user.name(), "users/alice");
  EXPECT_EQ(user.login(), "alice@example.com");
  EXPECT_EQ(user.display_name(), "Smith, \"Al\"");
  EXPECT_EQ(user.password(), "s3cret");
  EXPECT_THAT(user.groups(), ElementsAre("groups/staff", "groups/sales"));
  EXPECT_THAT(user.addresses(), ElementsAre("a@example.com", "@example.org"));
  EXPECT_TRUE(user.may_submit());
  EXPECT_FALSE(user.may_relay());
  EXPECT_TRUE(user.ntlm());
}

TEST(UserTable, AnEmptyCellLeavesTheDefault) {
  auto rows = ParseUserTable("login,may_relay,display_name\nbob@example.com,,\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_FALSE((*rows)[0].user.has_may_relay());
  EXPECT_FALSE((*rows)[0].user.has_display_name());
}

TEST(UserTable, WithoutAnIdTheLoginMakesOne) {
  auto rows = ParseUserTable("\xEF\xBB\xBFlogin\nAnna.Maria@example.com\n\nbob\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].user.name(), "users/anna-maria");
  EXPECT_EQ((*rows)[1].user.name(), "users/bob");
  EXPECT_EQ((*rows)[1].line, 4);
  EXPECT_TRUE((*rows)[0].id_from_login && (*rows)[1].id_from_login);
}

TEST(UserTable, WhetherAnIdIsMadeOfTheLoginIsSaidOfEachRow) {
  auto rows = ParseUserTable("login,id\nalice@a.example,alice\nbob@a.example,\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_FALSE((*rows)[0].id_from_login);
  EXPECT_TRUE((*rows)[1].id_from_login) << "an empty cell is as an absent column";
}

TEST(UserTable, LineBreaksInQuotesAreCounted) {
  auto rows = ParseUserTable("login,display_name\na@example.com,\"two\nlines\"\nb@example.com,x");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ((*rows)[0].user.display_name(), "two\nlines");
  EXPECT_EQ((*rows)[1].line, 4);
}

TEST(UserTable, AllProblemsAreSaidAtOnceWithTheirLines) {
  const std::string problem =
      Problem("login,ntlm\na@example.com,perhaps\n,yes\nb@example.com\nc@example.com,\"yes\nd@example.com,no\n");
  EXPECT_THAT(problem, HasSubstr("line 2: ntlm is yes or no, not 'perhaps'"));
  EXPECT_THAT(problem, HasSubstr("line 3: it has no login"));
  EXPECT_THAT(problem, HasSubstr("line 4: it has 1 cells, the header 2"));
  EXPECT_THAT(problem, HasSubstr("line 5: a quote is not closed"));
  EXPECT_THAT(Problem("login\na\x01\xff\n"), HasSubstr("line 2: login is not UTF-8"));
  EXPECT_THAT(Problem("login\na@x.example\nA@y.example\n"), HasSubstr("line 3: users/a stands in line 2 too"));
  EXPECT_THAT(Problem("login,display_name\na,\"b\"c\n"), HasSubstr("line 2: something follows a closing quote"));
}

TEST(UserTable, TheHeaderIsChecked) {
  EXPECT_THAT(Problem(""), HasSubstr("it is empty"));
  EXPECT_THAT(Problem("id,display_name\n"), HasSubstr("`login` must be one"));
  EXPECT_THAT(Problem("login,phone\n"), HasSubstr("there is no column 'phone'"));
  EXPECT_THAT(Problem("login,login\n"), HasSubstr("column login is there twice"));
}

TEST(UserTable, TwentyProblemsAreShownAndNotOneMore) {
  std::string rows = "login,ntlm\n";
  for (int i = 0; i < 20; ++i) rows += ",yes\n";
  EXPECT_THAT(Problem(rows), Not(HasSubstr("more")));
  rows += ",yes\n";
  EXPECT_THAT(Problem(rows), HasSubstr("and 1 more"));
}

}  // namespace
}  // namespace gatepost::ctl
