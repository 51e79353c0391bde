// The frame of every unary handler: who calls, may they, what became of it. One log line ("audit") for each call that
// was refused or changes something: SPIFFE id, method, resource, old and new revision, outcome. Requests are never
// logged: they hold secrets.
//
//   grpc::Status GetUser(grpc::ServerContext* context, const GetUserRequest* request, User* response) override {
//     return calls_.Handle(*context, "gatepost.auth.v1.UserService.GetUser", [&](rpc::Call& call) -> absl::Status { ...
//     });
//   }
#pragma once

#include <absl/status/status.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/metrics/metrics.h"
#include "services/rpc/authorization.h"
#include "services/rpc/status_details.h"

namespace gatepost::rpc {

// One call. The body fills in what the audit says.
struct Call {
  PeerIdentity caller;
  std::string resource;  // `users/alice`
  int64_t old_revision = 0;
  int64_t new_revision = 0;
};

class Calls {
 public:
  // The references outlive it. Counts gatepost_rpc_calls_total{method,code}.
  Calls(const Authorizer& authorizer, base::Log& log, metrics::Registry& registry)
      : authorizer_(authorizer), log_(log), registry_(registry) {}

  // body(Call&) -> absl::Status, not called unless the caller may. An exception of it is INTERNAL, without its text.
  template <typename Body>
  grpc::Status Handle(const grpc::ServerContextBase& context, std::string_view method, Body body) const {
    Call call;
    absl::Status status = authorizer_.Authorize(context, method, &call.caller).status();
    const bool allowed = status.ok();
    if (allowed) {
      try {
        status = body(call);
      } catch (const std::exception&) {
        status = Error(absl::StatusCode::kInternal, "INTERNAL", "an internal error");
      }
    }
    Record(call, method, allowed, status);
    return ToGrpcStatus(status);
  }

  // For streams: what Handle() records.
  void Record(const Call& call, std::string_view method, bool allowed, const absl::Status& status) const;

 private:
  const Authorizer& authorizer_;
  base::Log& log_;
  metrics::Registry& registry_;
};

}  // namespace gatepost::rpc
