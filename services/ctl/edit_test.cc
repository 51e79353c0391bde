#include "services/ctl/edit.h"

#include <sstream>
#include <string>
#include <vector>

#include "gatepost/config/v1/virtual_server.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {
namespace {

using config::v1::VirtualServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Result {
  absl::Status status;
  VirtualServer server;
  std::vector<std::string> mask;
};

Result Applied(const Edit& edit, const std::string& input = "") {
  Result result;
  std::istringstream in(input);
  google::protobuf::FieldMask mask;
  result.status = ApplyEdit(edit, in, &result.server, &mask);
  result.mask.assign(mask.paths().begin(), mask.paths().end());
  return result;
}

TEST(Edit, SetTakesYamlValuesAndEitherSpellingOfAField) {
  const Result result =
      Applied({"",
               {"tls.requireSecureChannel=true", "fqdn=mail.example.com", "message_limits.max_recipients=200",
                "relay.entries=[{subnet: 10.0.0.0/8}, {address: '::1'}]"},
               {}});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_TRUE(result.server.tls().require_secure_channel());
  EXPECT_EQ(result.server.fqdn(), "mail.example.com");
  EXPECT_EQ(result.server.message_limits().max_recipients(), 200u);
  ASSERT_EQ(result.server.relay().entries_size(), 2);
  EXPECT_EQ(result.server.relay().entries(0).subnet(), "10.0.0.0/8");
  EXPECT_EQ(result.server.relay().entries(1).address(), "::1");
  EXPECT_THAT(result.mask,
              ElementsAre("tls.require_secure_channel", "fqdn", "message_limits.max_recipients", "relay.entries"));
}

TEST(Edit, ClearNamesAFieldInTheMaskAndLeavesItAbsent) {
  const Result result = Applied({"", {}, {"connectionControl", "messageLimits.maxMessageOctets"}});
  ASSERT_TRUE(result.status.ok());
  EXPECT_FALSE(result.server.has_connection_control());
  EXPECT_THAT(result.mask, ElementsAre("connection_control", "message_limits.max_message_octets"));
}

TEST(Edit, AFileGivesItsFieldsAndSetGoesOnTop) {
  const Result result = Applied({"-", {"fqdn=b.example.com"}, {}},
                                "kind: VirtualServer\nname: virtualServers/x\netag: \"7\"\nfqdn: a.example.com\ntls: "
                                "{requireSecureChannel: true}\n");
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.server.fqdn(), "b.example.com");
  EXPECT_TRUE(result.server.tls().require_secure_channel());
  EXPECT_EQ(result.server.etag(), "7");
  EXPECT_THAT(result.mask, ElementsAre("fqdn", "tls", "fqdn"));
}

TEST(Edit, UnknownFieldsAreErrorsThatNameThem) {
  for (const char* set : {"tls.requireSecureChanel=true", "fqdnn=x"}) {
    const Result result = Applied({"", {set}, {}});
    EXPECT_TRUE(IsUsageError(result.status)) << set;
    EXPECT_THAT(std::string(result.status.message()), HasSubstr("there is no field '")) << set;
  }
}

TEST(Edit, AValueOfTheWrongTypeIsAnError) {
  EXPECT_TRUE(IsUsageError(Applied({"", {"tls.requireSecureChannel=perhaps"}, {}}).status));
  EXPECT_TRUE(IsUsageError(Applied({"", {"relay.mode=SOMETIMES"}, {}}).status));
  EXPECT_TRUE(IsUsageError(Applied({"", {"listeners=[{port: 65536000000}]"}, {}}).status));
}

TEST(Edit, AnAssignmentWithoutEqualsSignOrPathIsAnError) {
  EXPECT_TRUE(IsUsageError(Applied({"", {"fqdn"}, {}}).status));
  EXPECT_TRUE(IsUsageError(Applied({"", {"=x"}, {}}).status));
}

TEST(Edit, OneFileHoldsOneResource) {
  EXPECT_TRUE(IsUsageError(Applied({"-", {}, {}}, "fqdn: a\n---\nfqdn: b\n").status));
}

TEST(Edit, PathsBecomeProtoPaths) {
  EXPECT_EQ(ProtoPath("tls.requireSecureChannel"), "tls.require_secure_channel");
  EXPECT_EQ(ProtoPath("tls.require_secure_channel"), "tls.require_secure_channel");
}

}  // namespace
}  // namespace gatepost::ctl
