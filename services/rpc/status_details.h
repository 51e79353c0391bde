// absl::Status inside the programs, google.rpc details on the wire: ErrorInfo{reason, domain "gatepost"} with every
// error, BadRequest with all field violations on bad input. Details travel inside an absl::Status as payloads, so that
// code between a decision and the handler needs to know none of this. Thread-safe.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatepost::rpc {

inline constexpr char kErrorDomain[] = "gatepost";

struct FieldViolation {
  std::string field;  // `virtual_server.listeners[2].port`
  std::string description;
};

// An error with its reason: UPPER_SNAKE_CASE, stable, for programs.
absl::Status Error(absl::StatusCode code, std::string_view reason, std::string_view message);

// INVALID_ARGUMENT with every violation (reason INVALID_FIELDS). The message names the first one.
absl::Status InvalidFields(const std::vector<FieldViolation>& violations);

// A status without a reason gets one of its code ("NOT_FOUND"). OK is OK. gRPC's limit on metadata (8 KiB) is kept:
// violations that do not fit are left out and said to be.
grpc::Status ToGrpcStatus(const absl::Status& status);

// What a client can learn of a failure.
struct ErrorDetails {
  std::string reason;  // Empty: none of ours.
  std::string domain;
  std::vector<FieldViolation> violations;
};
ErrorDetails DecodeDetails(const grpc::Status& status);
// Code and message; the details as payloads again.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace gatepost::rpc
