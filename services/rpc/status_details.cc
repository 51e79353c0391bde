#include "services/rpc/status_details.h"

#include <absl/strings/cord.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/error_info.pb.h"
#include "google/rpc/status.pb.h"
#include "services/base/strings.h"

namespace gatepost::rpc {
namespace {

using base::FromAbsl;
using base::StrCat;
using base::ToAbsl;

constexpr char kErrorInfo[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kBadRequest[] = "type.googleapis.com/google.rpc.BadRequest";
// gRPC's metadata are bounded at 8 KiB, and details travel there.
constexpr size_t kMostDetailOctets = 4096;

void SetReason(absl::Status* status, std::string_view reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain("gatepost");
  status->SetPayload(kErrorInfo, absl::Cord(info.SerializeAsString()));
}

template <typename Detail>
bool FindDetail(const grpc::Status& status, Detail* detail) {
  google::rpc::Status all;
  if (!all.ParseFromString(status.error_details())) return false;
  for (const google::protobuf::Any& any : all.details()) {
    if (any.Is<Detail>() && any.UnpackTo(detail)) return true;
  }
  return false;
}

}  // namespace

absl::Status Error(absl::StatusCode code, std::string_view reason, std::string_view message) {
  absl::Status status(code, ToAbsl(message));
  SetReason(&status, reason);
  return status;
}

absl::Status InvalidFields(const std::vector<FieldViolation>& violations) {
  google::rpc::BadRequest bad_request;
  size_t octets = 0;
  size_t omitted = 0;
  for (const FieldViolation& violation : violations) {
    octets += violation.field.size() + violation.description.size() + 16;
    if (octets > kMostDetailOctets) {
      ++omitted;
      continue;
    }
    auto* field = bad_request.add_field_violations();
    field->set_field(violation.field);
    field->set_description(violation.description);
  }
  std::string message;
  if (violations.empty()) {
    message = "the request is not valid";
  } else {
    message = violations.size() == 1 ? std::string() : StrCat(violations.size(), " fields are not valid; the first: ");
    base::StrAppend(&message, violations.front().field, ": ", violations.front().description);
  }
  if (omitted > 0) base::StrAppend(&message, " (", omitted, " more than can be listed)");
  absl::Status status = Error(absl::StatusCode::kInvalidArgument, "INVALID_FIELDS", message);
  status.SetPayload(kBadRequest, absl::Cord(bad_request.SerializeAsString()));
  return status;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  absl::Status full = status;
  if (!full.GetPayload(kErrorInfo)) SetReason(&full, FromAbsl(absl::StatusCodeToString(full.code())));
  const bool inside = full.code() == absl::StatusCode::kInternal || full.code() == absl::StatusCode::kUnknown;
  google::rpc::Status details;
  details.set_code(static_cast<int>(full.code()));
  details.set_message(inside ? std::string("internal error") : std::string(FromAbsl(full.message())));
  full.ForEachPayload([&details](absl::string_view type, const absl::Cord& value) {
    google::protobuf::Any* any = details.add_details();
    any->set_type_url(std::string(FromAbsl(type)));
    any->set_value(std::string(value));
  });
  return grpc::Status(static_cast<grpc::StatusCode>(full.code()), details.message(), details.SerializeAsString());
}

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::ErrorInfo info;
  return FindDetail(status, &info) ? info.reason() : std::string();
}

std::vector<FieldViolation> ViolationsOf(const grpc::Status& status) {
  google::rpc::BadRequest bad_request;
  std::vector<FieldViolation> violations;
  if (FindDetail(status, &bad_request)) {
    for (const auto& violation : bad_request.field_violations()) violations.push_back({violation.field(), violation.description()});
  }
  return violations;
}

}  // namespace gatepost::rpc
