#include "services/ctl/explain.h"

#include <vector>

#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::ctl {
namespace {

// What the violations are of is known from the command: `virtual_server.listeners[2].port` is shown as
// `listeners[2].port`.
std::string_view WithoutResource(std::string_view field) {
  for (std::string_view resource : {"virtual_server.", "certificate.", "user."}) {
    if (field.substr(0, resource.size()) == resource) return field.substr(resource.size());
  }
  return field;
}

// gRPC wraps the cause: "connections to all backends failing; last error: UNKNOWN: ipv4:...: Failed to connect to
// remote host: Connection refused". The last part is the one to show.
std::string Cause(const std::string& message) {
  for (std::string_view wrapper : {"UNAUTHENTICATED: ", "remote host: ", "last error: "}) {
    if (const size_t at = message.rfind(wrapper); at != std::string::npos) return message.substr(at + wrapper.size());
  }
  return message;
}

std::string Hint(grpc::StatusCode code, std::string_view service, std::string_view address,
                 const std::string& message) {
  switch (code) {
    case grpc::StatusCode::UNAVAILABLE:
      return base::StrCat("the ", service, " service at ", address, " cannot be reached: ", Cause(message),
                          ". Does it run there (--", service, "-address), and do --cert, --key and --ca belong to it?");
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return base::StrCat(
          "the ", service, " service at ", address,
          " did not answer in time: is it overloaded, or is something between that swallows packets? (--timeout)");
    case grpc::StatusCode::UNAUTHENTICATED:
      return base::StrCat("the ", service, " service does not accept this certificate (--cert): ", message);
    case grpc::StatusCode::PERMISSION_DENIED:
      return base::StrCat("the role in your certificate may not do this: ", message);
    case grpc::StatusCode::ABORTED:
      return base::StrCat("somebody else changed it meanwhile: get it again, then repeat your change. ", message);
    case grpc::StatusCode::UNIMPLEMENTED:
      return base::StrCat(
          "the ", service,
          " service does not know this call: are gatepostctl and the service of the same version, and is ", address,
          " its API port?");
    default:
      return message;
  }
}

}  // namespace

absl::Status ExplainFailure(const grpc::Status& status, std::string_view service, std::string_view address) {
  const std::vector<rpc::FieldViolation> violations = rpc::DecodeDetails(status).violations;
  std::string text;
  if (violations.empty()) text = Hint(status.error_code(), service, address, status.error_message());
  if (violations.size() > 1) text = base::StrCat("the ", service, " service refuses ", violations.size(), " fields:");
  for (const rpc::FieldViolation& violation : violations) {
    base::StrAppend(&text, text.empty() ? "" : "\n", WithoutResource(violation.field),
                    violation.field.empty() ? "" : ": ", violation.description);
  }
  // gRPC's codes and Abseil's are the same numbers.
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), text);
}

}  // namespace gatepost::ctl
