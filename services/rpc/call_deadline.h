// Ends a unary call from the server's side once it has taken too long, whatever deadline its client gave or did not
// give: the client hears DEADLINE_EXCEEDED at once. The handler is not interrupted; what it does then reaches nobody,
// but the audit. (gRPC itself enforces only the deadline that the client sends.) Thread-safe against gRPC's own
// threads.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>

namespace gatepost::rpc {

class CallDeadline {
 public:
  // The call is `context`'s; within its handler only.
  CallDeadline(grpc::ServerContext& context, std::chrono::milliseconds most);
  ~CallDeadline();
  CallDeadline(const CallDeadline&) = delete;
  CallDeadline& operator=(const CallDeadline&) = delete;

 private:
  // Outlives the handler: the alarm may ring while it returns.
  struct Watched {
    absl::Mutex mutex;
    grpc_call* call ABSL_GUARDED_BY(mutex);  // nullptr: the handler has returned
  };

  const std::shared_ptr<Watched> watched_;
  grpc::Alarm alarm_;
};

}  // namespace gatepost::rpc
