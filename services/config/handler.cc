#include "services/config/handler.h"

#include <string>
#include <utility>
#include <vector>

#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::config {
namespace {

using base::StrCat;

// What a caller is told: the reason that programs look at, and a text that names the resource.
absl::Status Told(const absl::Status& status, const Call& call) {
  if (!call.violations.empty()) {
    std::vector<rpc::FieldViolation> violations;
    for (const Violation& violation : call.violations.list()) violations.push_back({violation.field, violation.description});
    if (call.violations.omitted() > 0)
      violations.push_back({"*", StrCat("and ", call.violations.omitted(), " more")});
    return rpc::InvalidFields(violations);
  }
  const std::string_view text = base::FromAbsl(status.message());
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return rpc::Error(status.code(), "NOT_FOUND", StrCat(call.resource, " does not exist"));
    case absl::StatusCode::kAlreadyExists:
      return rpc::Error(status.code(), "ALREADY_EXISTS", StrCat(call.resource, " exists already"));
    case absl::StatusCode::kAborted:
      return rpc::Error(status.code(), "ETAG_NOT_CURRENT", text);
    case absl::StatusCode::kFailedPrecondition:
      return rpc::Error(status.code(), "RESOURCE_IN_USE", text);
    case absl::StatusCode::kUnavailable:
      return rpc::Error(status.code(), "STORE_UNAVAILABLE", text);
    default:
      return status;
  }
}

}  // namespace

grpc::Status Handler::Run(grpc::ServerContext& context, std::string_view method,
                          const std::function<absl::Status(Call* call)>& body) const {
  return calls_.Handle(context, method, [&](rpc::Call& audited) {
    Call call;
    call.caller = audited.caller.uri;
    const absl::Status status = body(&call);
    audited.resource = call.resource;
    audited.old_revision = call.old_revision;
    audited.new_revision = call.new_revision;
    return status.ok() ? status : Told(status, call);
  });
}

}  // namespace gatepost::config
