#include "services/rpc/call.h"

namespace gatepost::rpc {
namespace {

std::string_view Name(grpc::StatusCode code) {
  static constexpr std::string_view kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

}  // namespace

void Calls::Record(const Call& call, std::string_view method, bool allowed, const absl::Status& status) const {
  const std::string_view outcome = Name(static_cast<grpc::StatusCode>(status.code()));
  registry_
      .AddCounter("gatepost_rpc_calls_total", "Calls of the API, streams at their end.",
                  {{"method", method}, {"code", outcome}})
      .Increment();
  const MethodRule* rule = FindRule(method);
  if (allowed && (rule == nullptr || !rule->mutates)) return;
  std::vector<base::LogField> fields = {
      {"peer", call.caller.uri}, {"method", method}, {"resource", call.resource}, {"outcome", outcome}};
  if (call.old_revision != 0) fields.emplace_back("old_revision", call.old_revision);
  if (call.new_revision != 0) fields.emplace_back("new_revision", call.new_revision);
  if (!status.ok()) fields.emplace_back("reason", std::string_view(status.message().data(), status.message().size()));
  if (status.ok()) {
    log_.Info("audit", fields);
  } else {
    log_.Warning("audit", fields);
  }
}

}  // namespace gatepost::rpc
