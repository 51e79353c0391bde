// A gRPC server that speaks mutual TLS alone, with the limits of the control plane (limits.md). Its credentials follow
// their files. Who may call what is rpc/authorization's; without a certificate of our CA nobody gets through the
// handshake.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "services/rpc/identity_files.h"

namespace gatepost::rpc {

inline constexpr int kMaxMessageBytes = 4 << 20;
inline constexpr int kMaxMetadataBytes = 8 << 10;
inline constexpr int kMaxConcurrentStreams = 100;

struct ServerOptions {
  std::string listen;  // "127.0.0.1:2060", "[::]:2060"; port 0: any.
  IdentityFiles identity;
  // A connection is asked to end after it, and cut off after the grace; edges renew their streams before.
  std::chrono::milliseconds connection_age = std::chrono::minutes(10);
  std::chrono::milliseconds connection_grace = std::chrono::minutes(10);
  bool reflection = false;  // v1alpha, for grpcurl; any peer with a certificate may use it.
};

// Starts serving. The services outlive the server. `*port` is the port. FAILED_PRECONDITION: the identity; UNAVAILABLE:
// the address is taken. A port is never shared with another process.
absl::StatusOr<std::unique_ptr<grpc::Server>> StartServer(const ServerOptions& options,
                                                          const std::vector<grpc::Service*>& services, int* port);

// A server without TLS for health probes: give it HealthService alone.
absl::StatusOr<std::unique_ptr<grpc::Server>> StartPlaintextServer(const std::string& listen, grpc::Service* health,
                                                                   int* port);

}  // namespace gatepost::rpc
