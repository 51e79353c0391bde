#include "services/ctl/explain.h"

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace gatepost::ctl {
namespace {

using ::testing::HasSubstr;

std::string Explained(grpc::StatusCode code, const std::string& message, const std::string& details = "") {
  return std::string(ExplainFailure(grpc::Status(code, message, details), "config", "127.0.0.1:2050").message());
}

TEST(Explain, EveryViolationHasItsLine) {
  google::rpc::BadRequest bad;
  auto add = [&bad](const char* field, const char* description) {
    auto* violation = bad.add_field_violations();
    violation->set_field(field);
    violation->set_description(description);
  };
  add("virtual_server.fqdn", "is required");
  add("virtual_server.listeners[2].port", "must be 1 to 65535");
  google::rpc::Status status;
  google::rpc::RequestInfo info;
  status.add_details()->PackFrom(info);
  status.add_details()->PackFrom(bad);
  EXPECT_EQ(Explained(grpc::StatusCode::INVALID_ARGUMENT, "2 fields are wrong", status.SerializeAsString()),
            "the config service refuses 2 fields:\nfqdn: is required\nlisteners[2].port: must be 1 to 65535");
}

TEST(Explain, AViolationByItselfIsTheWholeMessage) {
  google::rpc::BadRequest bad;
  bad.add_field_violations()->set_field("update_mask");
  bad.mutable_field_violations(0)->set_description("no such field: x");
  google::rpc::Status status;
  status.add_details()->PackFrom(bad);
  EXPECT_EQ(Explained(grpc::StatusCode::INVALID_ARGUMENT, "update_mask: no such field: x", status.SerializeAsString()),
            "update_mask: no such field: x");
}

TEST(Explain, OfGrpcsWrappingTheCauseIsShown) {
  EXPECT_THAT(
      Explained(grpc::StatusCode::UNAVAILABLE,
                "connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:2050: Failed to connect "
                "to remote host: Connection refused"),
      HasSubstr("cannot be reached: Connection refused."));
  EXPECT_THAT(
      Explained(grpc::StatusCode::UNAVAILABLE,
                "connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:2050: Custom verification "
                "check failed with error: UNAUTHENTICATED: the server's certificate is not for foo"),
      HasSubstr("cannot be reached: the server's certificate is not for foo."));
}

TEST(Explain, WhoCannotBeReachedIsNamedWithTheOptionToChange) {
  EXPECT_THAT(Explained(grpc::StatusCode::UNAVAILABLE, "connection refused"),
              HasSubstr("the config service at 127.0.0.1:2050 cannot be reached: connection refused"));
  EXPECT_THAT(Explained(grpc::StatusCode::UNAVAILABLE, "connection refused"), HasSubstr("--config-address"));
}

TEST(Explain, DetailsThatAreNoMessageDoNoHarm) {
  EXPECT_EQ(Explained(grpc::StatusCode::NOT_FOUND, "there is no x", "\xff\xff\xff"), "there is no x");
}

TEST(Explain, TheCodeIsKept) {
  EXPECT_TRUE(absl::IsAborted(ExplainFailure(grpc::Status(grpc::StatusCode::ABORTED, "etag"), "config", "a")));
}

}  // namespace
}  // namespace gatepost::ctl
