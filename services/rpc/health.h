// grpc.health.v1 with the service names "liveness" and "readiness" ("" is readiness). Open to every peer: probes have
// no role. One instance serves on several servers: the mutual TLS port and the plaintext one. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include "services/rpc/completion_loop.h"

namespace gatepost::rpc {

class HealthService final {
 public:
  // What is registered with a server.
  using Registered = grpc::health::v1::Health::AsyncService;

  HealthService() = default;
  ~HealthService();

  // Answers the calls of a server that has started, by completions on the loop of its queue. Both, and this, outlive the
  // server's calls.
  void Serve(Registered& server, CompletionLoop& loop);

  // Not ready until told otherwise.
  void SetReady(bool ready);
  bool ready() const;
  // Ends every Watch, so that servers can shut down; readiness is false from now on.
  void Shutdown();

 private:
  class CheckCall;
  class WatchCall;
  grpc::health::v1::HealthCheckResponse::ServingStatus StatusOf(const std::string& service) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<WatchCall*, std::shared_ptr<WatchCall>> watches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gatepost::rpc
