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

#include "services/rpc/completion_loop.h"
#include "services/rpc/health.h"
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
  // Threads of services on completion queues. Two pass gRPC's poller to each other: as few as do.
  int loops = 1;
};

// A server that runs.
class Server {
 public:
  // Of what StartServer() and StartPlaintextServer() make.
  Server(std::unique_ptr<HealthService::Registered> health, std::unique_ptr<grpc::Server> server,
         std::vector<std::unique_ptr<CompletionLoop>> loops, int port);
  // Stops.
  ~Server();

  int port() const { return port_; }
  // What is served by completions is served on these.
  const std::vector<std::unique_ptr<CompletionLoop>>& loops() const { return loops_; }
  // No more calls come in; those in flight have the time given, and are cancelled then. Returns when they have ended.
  void Stop(std::chrono::milliseconds grace = std::chrono::milliseconds(0));

 private:
  const std::unique_ptr<HealthService::Registered> health_;
  const std::unique_ptr<grpc::Server> server_;
  const std::vector<std::unique_ptr<CompletionLoop>> loops_;  // They end before the server goes.
  const int port_;
};

// Starts serving. The services and `health` outlive the server. FAILED_PRECONDITION: the identity; UNAVAILABLE: the
// address is taken. A port is never shared with another process.
absl::StatusOr<std::unique_ptr<Server>> StartServer(const ServerOptions& options,
                                                    const std::vector<grpc::Service*>& services, HealthService& health);

// A server without TLS for health probes alone. Its one loop is driven as said.
absl::StatusOr<std::unique_ptr<Server>> StartPlaintextServer(const std::string& listen, HealthService& health,
                                                             CompletionLoop::Driver driver);

}  // namespace gatepost::rpc
