// Errors on the wire and back, page tokens, field masks, command lines.
#include <gtest/gtest.h>

#include <cstdlib>

#include "gatepost/auth/v1/user.pb.h"
#include "services/rpc/field_mask.h"
#include "services/rpc/flags.h"
#include "services/rpc/page_token.h"
#include "services/rpc/status_details.h"
#include "services/rpc/test_pki.h"

namespace gatepost::rpc {
namespace {

using auth::v1::User;
using google::protobuf::FieldMask;

TEST(StatusDetailsTest, ReasonAndAllViolationsComeThrough) {
  const grpc::Status wire = ToGrpcStatus(InvalidFields({{"user.login", "bad"}, {"user.password", "short"}}));
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const ErrorDetails details = DecodeDetails(wire);
  EXPECT_EQ(details.reason, "INVALID_FIELDS");
  EXPECT_EQ(details.domain, "gatepost");
  ASSERT_EQ(details.violations.size(), 2u);
  EXPECT_EQ(details.violations[1].field, "user.password");
  EXPECT_EQ(details.violations[1].description, "short");
  EXPECT_EQ(DecodeDetails(ToGrpcStatus(FromGrpcStatus(wire))).violations.size(), 2u);
}

TEST(StatusDetailsTest, EveryErrorHasAReasonOfOurDomain) {
  for (int code = 1; code <= 16; ++code) {
    const ErrorDetails details = DecodeDetails(ToGrpcStatus(absl::Status(static_cast<absl::StatusCode>(code), "x")));
    EXPECT_FALSE(details.reason.empty()) << code;
    EXPECT_EQ(details.domain, "gatepost");
  }
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_EQ(DecodeDetails(ToGrpcStatus(Error(absl::StatusCode::kAborted, "ETAG_NOT_CURRENT", ""))).reason,
            "ETAG_NOT_CURRENT");
}

TEST(StatusDetailsTest, AThousandViolationsFitIntoMetadataAndAreCounted) {
  std::vector<FieldViolation> many(1000, {"virtual_server.listeners[2].port", std::string(1000, 'x')});
  const grpc::Status wire = ToGrpcStatus(InvalidFields(many));
  EXPECT_LT(wire.error_details().size() * 4 / 3 + wire.error_message().size(), 8192u);
  const ErrorDetails details = DecodeDetails(wire);
  ASSERT_GT(details.violations.size(), 2u);
  EXPECT_NE(details.violations.back().description.find("more violations"), std::string::npos);
}

TEST(StatusDetailsTest, GarbageAsDetailsIsNoDetails) {
  EXPECT_EQ(DecodeDetails(grpc::Status(grpc::StatusCode::INTERNAL, "x", "\xff\xff\xff garbage")).reason, "");
  EXPECT_EQ(FromGrpcStatus(grpc::Status(grpc::StatusCode::NOT_FOUND, "x", "\xff")).code(), absl::StatusCode::kNotFound);
}

TEST(PageTokenTest, ATokenIsBoundToItsListAndFilter) {
  const std::string token = MakePageToken("users\nfilter", "users/a");
  EXPECT_EQ(*ReadPageToken("users\nfilter", token), "users/a");
  EXPECT_EQ(*ReadPageToken("users\nfilter", ""), "");
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPageToken("users\nother", token).status()));
  for (const std::string& bad : {std::string("!!"), token.substr(4), std::string("AAAA"), std::string(4000, 'A')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadPageToken("users\nfilter", bad).status())) << bad;
  }
}

TEST(PageTokenTest, SizesAreBounded) {
  EXPECT_EQ(*PageSize(0), 50);
  EXPECT_EQ(*PageSize(1), 1);
  EXPECT_EQ(*PageSize(1000), 1000);
  EXPECT_EQ(*PageSize(1001), 1000);
  EXPECT_TRUE(absl::IsInvalidArgument(PageSize(-1).status()));
}

User StoredUser() {
  User user;
  user.set_name("users/a");
  user.set_etag("1");
  user.set_login("old");
  user.set_display_name("Old");
  user.set_may_relay(false);
  user.set_state(User::DISABLED);
  return user;
}

FieldMask Mask(std::initializer_list<const char*> paths) {
  FieldMask mask;
  for (const char* path : paths) mask.add_paths(path);
  return mask;
}

TEST(FieldMaskTest, OnlyWhatIsNamedChangesAndAnAbsentFieldReturnsToItsDefault) {
  User wanted;
  wanted.set_login("new");
  wanted.set_may_submit(false);
  User stored = StoredUser();
  const FieldMask mask = Mask({"login", "may_relay"});
  EXPECT_TRUE(ApplyMask(&mask, wanted, &stored).empty());
  EXPECT_EQ(stored.login(), "new");
  EXPECT_FALSE(stored.has_may_relay());
  EXPECT_FALSE(stored.has_may_submit());
  EXPECT_EQ(stored.display_name(), "Old");
}

TEST(FieldMaskTest, NoMaskIsWhatIsPopulatedAndAStarIsEverything) {
  User wanted;
  wanted.set_login("new");
  User stored = StoredUser();
  EXPECT_TRUE(ApplyMask(nullptr, wanted, &stored).empty());
  EXPECT_EQ(stored.login(), "new");
  EXPECT_EQ(stored.display_name(), "Old");
  const FieldMask star = Mask({"*"});
  EXPECT_TRUE(ApplyMask(&star, wanted, &stored).empty());
  EXPECT_FALSE(stored.has_display_name());
  EXPECT_TRUE(MaskNames(&star, wanted, "display_name"));
  EXPECT_FALSE(MaskNames(nullptr, wanted, "display_name"));
}

TEST(FieldMaskTest, UnknownPathsAreViolationsAndTheOthersAreFollowedToBeJudged) {
  User wanted;
  wanted.set_login("new");
  for (const char* path : {"nothing", "login.x", "", "Login", "create_time.nothing", "."}) {
    User stored = StoredUser();
    const FieldMask mask = Mask({"login", path});
    const std::vector<FieldViolation> violations = ApplyMask(&mask, wanted, &stored);
    ASSERT_EQ(violations.size(), 1u) << path;
    EXPECT_EQ(violations[0].field, "update_mask");
    EXPECT_EQ(stored.login(), "new") << path;
    EXPECT_EQ(stored.display_name(), "Old") << path;
  }
}

TEST(FieldMaskTest, OutputsNameAndEtagAreIgnoredWhereverTheyAreNamed) {
  User wanted;
  wanted.set_name("users/b");
  wanted.set_etag("9");
  wanted.set_state(User::ENABLED);
  wanted.mutable_create_time()->set_seconds(5);
  for (const FieldMask& mask :
       {Mask({"name", "etag", "state", "create_time", "create_time.seconds"}), Mask({"*"}), Mask({})}) {
    User stored = StoredUser();
    EXPECT_TRUE(ApplyMask(&mask, wanted, &stored).empty());
    EXPECT_EQ(stored.name(), "users/a");
    EXPECT_EQ(stored.etag(), "1");
    EXPECT_EQ(stored.state(), User::DISABLED);
    EXPECT_FALSE(stored.has_create_time());
  }
}

struct Parsed {
  std::optional<int> exit_code;
  std::string listen = "127.0.0.1:1";
  int threads = 2;
  bool debug = false;
};

Parsed ParseFlags(std::vector<const char*> arguments) {
  Parsed parsed;
  Flags flags("gatepost-test", "GATEPOST_TEST_", "Tests.");
  flags.Add("listen", &parsed.listen, "HOST:PORT");
  flags.Add("worker-threads", &parsed.threads, "Threads")->check(CLI::Range(1, 8));
  flags.AddSwitch("debug", &parsed.debug, "More");
  arguments.insert(arguments.begin(), "gatepost-test");
  parsed.exit_code = flags.Parse(static_cast<int>(arguments.size()), arguments.data());
  return parsed;
}

TEST(FlagsTest, TheCommandLineWinsThenTheEnvironmentThenTheFile) {
  TestPki folder;
  const std::string file = folder.folder() + "/config";
  TestPki::Write(file, "worker-threads=3\nlisten=\"[::1]:5\"\n");
  EXPECT_EQ(ParseFlags({}).threads, 2);
  EXPECT_EQ(ParseFlags({"--config-file", file.c_str()}).threads, 3);
  EXPECT_EQ(ParseFlags({"--config-file", file.c_str()}).listen, "[::1]:5");
  setenv("GATEPOST_TEST_WORKER_THREADS", "4", 1);
  setenv("GATEPOST_TEST_DEBUG", "true", 1);
  EXPECT_EQ(ParseFlags({"--config-file", file.c_str()}).threads, 4);
  EXPECT_TRUE(ParseFlags({}).debug);
  EXPECT_EQ(ParseFlags({"--config-file", file.c_str(), "--worker-threads", "5"}).threads, 5);
  setenv("GATEPOST_TEST_WORKER_THREADS", "9", 1);
  EXPECT_EQ(ParseFlags({}).exit_code, 2);
  unsetenv("GATEPOST_TEST_WORKER_THREADS");
  setenv("GATEPOST_TEST_CONFIG_FILE", file.c_str(), 1);
  EXPECT_EQ(ParseFlags({}).threads, 3);
  unsetenv("GATEPOST_TEST_CONFIG_FILE");
  unsetenv("GATEPOST_TEST_DEBUG");
}

TEST(FlagsTest, MistakesExitWith2AndHelpWith0) {
  TestPki folder;
  const std::string file = folder.folder() + "/config";
  TestPki::Write(file, "no-such-flag=3\n");
  EXPECT_EQ(ParseFlags({}).exit_code, std::nullopt);
  EXPECT_EQ(ParseFlags({"--help"}).exit_code, 0);
  EXPECT_EQ(ParseFlags({"--version"}).exit_code, 0);
  EXPECT_EQ(ParseFlags({"--nothing"}).exit_code, 2);
  EXPECT_EQ(ParseFlags({"--worker-threads", "0"}).exit_code, 2);
  EXPECT_EQ(ParseFlags({"--worker-threads", "x"}).exit_code, 2);
  EXPECT_EQ(ParseFlags({"extra"}).exit_code, 2);
  EXPECT_EQ(ParseFlags({"--config-file", file.c_str()}).exit_code, 2);
  EXPECT_EQ(ParseFlags({"--config-file", "/nonexistent"}).exit_code, 2);
}

}  // namespace
}  // namespace gatepost::rpc
