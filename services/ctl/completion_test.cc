#include "services/ctl/completion.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gatepost::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Completion : public ::testing::Test {
 protected:
  Completion() {
    root_.add_option("--ca", text_, "The CA");
    CLI::App* noun = root_.add_subcommand("thing", "Things");
    noun->add_subcommand("list", "List things");
    noun->add_subcommand("create", "Make a thing")->add_option("--size", text_, "It's size");
  }

  std::string text_;
  CLI::App root_{"test", "gatepostctl"};
};

TEST_F(Completion, BashKnowsEveryPlaceOfTheTree) {
  const std::string script = *CompletionScript(root_, "bash");
  EXPECT_THAT(script, HasSubstr("known='||thing|thing list|thing create|'"));
  EXPECT_THAT(script, HasSubstr("'') words='thing --help --ca' ;;"));
  EXPECT_THAT(script, HasSubstr("'thing') words='list create --help --ca' ;;"));
  EXPECT_THAT(script, HasSubstr("'thing create') words='--help --size --ca' ;;"));
}

TEST_F(Completion, ZshUsesTheSameTree) {
  const std::string script = *CompletionScript(root_, "zsh");
  EXPECT_EQ(script.rfind("#compdef gatepostctl\n", 0), 0u);
  EXPECT_THAT(script, HasSubstr("'thing create') words="));
}

TEST_F(Completion, FishOffersVerbsBehindTheirNounAlone) {
  const std::string script = *CompletionScript(root_, "fish");
  EXPECT_THAT(script, HasSubstr("-n '__fish_use_subcommand' -a 'thing' -d 'Things'"));
  EXPECT_THAT(
      script,
      HasSubstr("-n '__fish_seen_subcommand_from thing; and not __fish_seen_subcommand_from list create' -a 'create'"));
  EXPECT_THAT(
      script,
      HasSubstr(
          "-n '__fish_seen_subcommand_from thing; and __fish_seen_subcommand_from create' -l size -r -d 'Its size'"));
  EXPECT_THAT(script, Not(HasSubstr("It's")));
}

TEST_F(Completion, AnotherShellIsAnError) { EXPECT_FALSE(CompletionScript(root_, "tcsh").ok()); }

}  // namespace
}  // namespace gatepost::ctl
