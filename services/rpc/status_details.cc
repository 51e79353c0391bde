#include "services/rpc/status_details.h"

#include "google/rpc/error_details.pb.h"
#include "google/rpc/error_info.pb.h"
#include "google/rpc/status.pb.h"
#include "services/base/strings.h"

namespace gatepost::rpc {
namespace {

// Type URLs of the details: also the keys of the payloads.
constexpr absl::string_view kErrorInfoUrl = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr absl::string_view kBadRequestUrl = "type.googleapis.com/google.rpc.BadRequest";
// Details travel in metadata, as base64, beside the message (again): so much of them keeps all below 8 KiB.
constexpr size_t kMaxDetails = 4096;
constexpr size_t kMaxMessage = 1024;

// At most so many octets, cut at the border of a character.
std::string Cut(std::string_view text, size_t most) {
  if (text.size() <= most) return std::string(text);
  size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return base::StrCat(text.substr(0, end), "...");
}

std::string_view CodeName(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
      return "CANCELLED";
    case absl::StatusCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case absl::StatusCode::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case absl::StatusCode::kNotFound:
      return "NOT_FOUND";
    case absl::StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case absl::StatusCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case absl::StatusCode::kUnauthenticated:
      return "UNAUTHENTICATED";
    case absl::StatusCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case absl::StatusCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case absl::StatusCode::kAborted:
      return "ABORTED";
    case absl::StatusCode::kOutOfRange:
      return "OUT_OF_RANGE";
    case absl::StatusCode::kUnimplemented:
      return "UNIMPLEMENTED";
    case absl::StatusCode::kInternal:
      return "INTERNAL";
    case absl::StatusCode::kUnavailable:
      return "UNAVAILABLE";
    case absl::StatusCode::kDataLoss:
      return "DATA_LOSS";
    default:
      return "UNKNOWN";
  }
}

template <typename Message>
bool ReadPayload(const absl::Status& status, absl::string_view url, Message* message) {
  const auto payload = status.GetPayload(url);
  return payload && message->ParseFromString(std::string(*payload));
}

}  // namespace

absl::Status Error(absl::StatusCode code, std::string_view reason, std::string_view message) {
  absl::Status status(code, base::ToAbsl(message));
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(kErrorDomain);
  status.SetPayload(kErrorInfoUrl, absl::Cord(base::ToAbsl(info.SerializeAsString())));
  return status;
}

absl::Status InvalidFields(const std::vector<FieldViolation>& violations) {
  std::string message = "invalid";
  if (!violations.empty()) message = base::StrCat(violations[0].field, ": ", violations[0].description);
  if (violations.size() > 1) base::StrAppend(&message, " (and ", violations.size() - 1, " more)");
  absl::Status status = Error(absl::StatusCode::kInvalidArgument, "INVALID_FIELDS", message);
  google::rpc::BadRequest bad;
  size_t octets = 0;
  for (size_t i = 0; i < violations.size(); ++i) {
    const std::string field = Cut(violations[i].field, 200);
    const std::string description = Cut(violations[i].description, 400);
    octets += field.size() + description.size() + 8;
    if (octets > kMaxDetails - 200) {
      auto* rest = bad.add_field_violations();
      rest->set_description(base::StrCat("and ", violations.size() - i, " more violations"));
      break;
    }
    auto* violation = bad.add_field_violations();
    violation->set_field(field);
    violation->set_description(description);
  }
  if (!violations.empty()) status.SetPayload(kBadRequestUrl, absl::Cord(base::ToAbsl(bad.SerializeAsString())));
  return status;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const std::string message = Cut(base::FromAbsl(status.message()), kMaxMessage);
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  google::rpc::ErrorInfo info;
  if (!ReadPayload(status, kErrorInfoUrl, &info)) {
    info.set_reason(std::string(CodeName(status.code())));
    info.set_domain(kErrorDomain);
  }
  details.add_details()->PackFrom(info);
  if (google::rpc::BadRequest bad; ReadPayload(status, kBadRequestUrl, &bad)) details.add_details()->PackFrom(bad);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message, details.SerializeAsString());
}

ErrorDetails DecodeDetails(const grpc::Status& status) {
  ErrorDetails result;
  google::rpc::Status details;
  if (status.error_details().empty() || !details.ParseFromString(status.error_details())) return result;
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    if (detail.UnpackTo(&info)) {
      result.reason = info.reason();
      result.domain = info.domain();
    } else if (detail.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations())
        result.violations.push_back({violation.field(), violation.description()});
    }
  }
  return result;
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status details;
  if (status.error_details().empty() || !details.ParseFromString(status.error_details())) return result;
  for (const auto& detail : details.details()) {
    if (detail.Is<google::rpc::ErrorInfo>()) result.SetPayload(kErrorInfoUrl, absl::Cord(base::ToAbsl(detail.value())));
    if (detail.Is<google::rpc::BadRequest>())
      result.SetPayload(kBadRequestUrl, absl::Cord(base::ToAbsl(detail.value())));
  }
  return result;
}

}  // namespace gatepost::rpc
