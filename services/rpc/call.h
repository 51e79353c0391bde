// The frame of every unary handler: who calls, may they, what became of it, and no longer than 10 s. One log line
// ("audit") for each call that was refused or changes something: SPIFFE id, method, resource, old and new revision,
// outcome. Requests are never logged: they hold secrets.
//
//   grpc::Status GetUser(grpc::ServerContext* context, const GetUserRequest* request, User* response) override {
//     return calls_.Handle(*context, "gatepost.auth.v1.UserService.GetUser", [&](rpc::Call& call) -> absl::Status { ...
//     });
//   }
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/metrics/metrics.h"
#include "services/rpc/authorization.h"
#include "services/rpc/call_deadline.h"
#include "services/rpc/status_details.h"

namespace gatepost::rpc {

// limits.md, Control plane.
inline constexpr std::chrono::seconds kMaxUnaryTime{10};

// One call. The body fills in what the audit says.
struct Call {
  PeerIdentity caller;
  std::string resource;  // `users/alice`
  int64_t old_revision = 0;
  int64_t new_revision = 0;
};

// The end of a body: the response, if there is one.
template <typename Response>
absl::Status Give(absl::StatusOr<Response> made, Response* response) {
  if (made.ok()) *response = *std::move(made);
  return made.status();
}

class Calls {
 public:
  // The references outlive it. Counts gatepost_rpc_calls_total{method,code}.
  // `most`: what a call may take; its client hears DEADLINE_EXCEEDED then.
  Calls(const Authorizer& authorizer, base::Log& log, metrics::Registry& registry,
        std::chrono::milliseconds most = kMaxUnaryTime)
      : authorizer_(authorizer), log_(log), registry_(registry), most_(most) {}

  // body(Call&) -> absl::Status, not called unless the caller may. An exception of it is INTERNAL, without its text.
  template <typename Body>
  grpc::Status Handle(grpc::ServerContext& context, std::string_view method, Body body) const {
    const CallDeadline deadline(context, most_);
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
  const std::chrono::milliseconds most_;
};

}  // namespace gatepost::rpc
