#include "services/ctl/line_diff.h"

#include "gtest/gtest.h"

namespace gatepost::ctl {
namespace {

TEST(LineDiff, EqualTextsHaveNone) { EXPECT_EQ(LineDiff("a\nb\n", "a\nb\n"), ""); }

TEST(LineDiff, ShowsWhatWentAndWhatCame) { EXPECT_EQ(LineDiff("a\nb\nc\n", "a\nx\nc\n"), "  a\n- b\n+ x\n  c\n"); }

TEST(LineDiff, SomethingNewIsAllPlus) { EXPECT_EQ(LineDiff("", "a\nb\n"), "+ a\n+ b\n"); }

TEST(LineDiff, LeavesOutWhatIsFarFromAChange) {
  EXPECT_EQ(LineDiff("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\n5\n6\n7\n9\n"), "  ...\n  6\n  7\n- 8\n+ 9\n");
  EXPECT_EQ(LineDiff("a\n1\n2\n3\n4\n5\nb\n", "A\n1\n2\n3\n4\n5\nB\n"),
            "- a\n+ A\n  1\n  2\n  ...\n  4\n  5\n- b\n+ B\n");
}

TEST(LineDiff, KeepsCommonLinesBetweenInsertions) {
  EXPECT_EQ(LineDiff("a\nb\n", "x\na\ny\nb\nz\n"), "+ x\n  a\n+ y\n  b\n+ z\n");
}

TEST(LineDiff, AVeryLargeChangeIsOneBlock) {
  std::string before;
  std::string after;
  for (int i = 0; i < 2001; ++i) {
    before += "a" + std::to_string(i) + "\n";
    after += "b" + std::to_string(i) + "\n";
  }
  const std::string diff = LineDiff(before, after);
  EXPECT_EQ(diff.substr(0, 5), "- a0\n");
  EXPECT_LT(diff.find("- a2000\n"), diff.find("+ b0\n"));
}

}  // namespace
}  // namespace gatepost::ctl
