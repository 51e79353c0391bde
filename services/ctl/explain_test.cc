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
            "2 fields are wrong\nfqdn: is required\nlisteners[2].port: must be 1 to 65535");
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
