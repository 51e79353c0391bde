// A gRPC server as every service of ours has it: mutual TLS, the limits of limits.md, grpc.health.v1 on the same port and alone on a
// plaintext one (kubelet's probes speak no TLS).
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "services/rpc/credentials.h"

namespace gatepost::rpc {

struct ServerOptions {
  // HOST:PORT; port 0: one of the kernel's choice.
  std::string listen;
  TlsFiles files;
  // Server reflection: for development alone.
  bool reflection = false;
};

class Server {
 public:
  // `services` outlive the server. UNAVAILABLE: the address cannot be listened on (named).
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options, const std::vector<grpc::Service*>& services);
  ~Server();

  int port() const { return port_; }
  // The health services `liveness` and `readiness`; live from the start, ready when it is said.
  void SetReady(bool ready);
  // No new calls; those in flight are waited for, and cancelled past the deadline.
  void Shutdown(std::chrono::milliseconds deadline);

 private:
  Server() = default;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

// grpc.health.v1 alone, without TLS.
class HealthServer {
 public:
  static absl::StatusOr<std::unique_ptr<HealthServer>> Start(const std::string& listen);
  ~HealthServer();
  int port() const { return port_; }
  void SetReady(bool ready);

 private:
  HealthServer() = default;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace gatepost::rpc
