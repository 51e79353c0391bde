#include "services/rpc/call_deadline.h"

#include <grpc/grpc.h>

namespace gatepost::rpc {

CallDeadline::CallDeadline(grpc::ServerContext& context, std::chrono::milliseconds most)
    : watched_(std::make_shared<Watched>()) {
  {
    absl::MutexLock lock(&watched_->mutex);
    watched_->call = context.c_call();
  }
  alarm_.Set(std::chrono::system_clock::now() + most, [watched = watched_](bool expired) {
    if (!expired) return;
    absl::MutexLock lock(&watched->mutex);
    if (watched->call == nullptr) return;
    grpc_call_cancel_with_status(watched->call, GRPC_STATUS_DEADLINE_EXCEEDED, "the call took too long", nullptr);
  });
}

CallDeadline::~CallDeadline() {
  absl::MutexLock lock(&watched_->mutex);
  watched_->call = nullptr;
}

}  // namespace gatepost::rpc
