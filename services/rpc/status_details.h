// Errors as the API promises them: a code, always ErrorInfo{reason, domain: "gatepost"}, and on bad input BadRequest with all
// violations. Inside the services they are absl::Status with the details as payloads; at the border grpc::Status.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

#include <string>
#include <string_view>
#include <vector>

namespace gatepost::rpc {

struct FieldViolation {
  std::string field;  // `virtual_server.listeners[2].port`
  std::string description;
};

// `reason`: UPPER_SNAKE_CASE, stable: what programs look at.
absl::Status Error(absl::StatusCode code, std::string_view reason, std::string_view message);
// INVALID_ARGUMENT with the violations, reason INVALID_FIELDS; the message counts them and says the first.
absl::Status InvalidFields(const std::vector<FieldViolation>& violations);

// A status without a reason gets its code's name as the reason. INTERNAL and UNKNOWN tell the caller nothing of the inside.
grpc::Status ToGrpcStatus(const absl::Status& status);

// What a client finds in an error. Empty: nothing.
std::string ReasonOf(const grpc::Status& status);
std::vector<FieldViolation> ViolationsOf(const grpc::Status& status);

}  // namespace gatepost::rpc
