// What every program with an API has around its services: its identity, who may call, the API's server and the health
// port, metrics, signals, systemd's questions, an orderly end.
//
//   int main(argc, argv) { ...parse flags...; return rpc::RunProgram(kProgram, debug, [&](const Process& process) {...}); }
//   Host host(options, clock, log, registry);
//   host.Open();                          // the identity; then services are made with host.calls()
//   host.Serve({&service, ...}, fields);
//   host.Run(signals, interval, tick);    // until asked to stop
//   host.Stop(drain);
//
// Thread rule: the main thread.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/base/supervisor.h"
#include "services/metrics/exposer.h"
#include "services/metrics/metrics.h"
#include "services/rpc/authorization.h"
#include "services/rpc/call.h"
#include "services/rpc/deny_list.h"
#include "services/rpc/flags.h"
#include "services/rpc/health.h"
#include "services/rpc/peer_identity.h"
#include "services/rpc/server.h"

namespace gatepost::rpc {

// What main() has made before anything else.
struct Process {
  const base::Clock& clock;
  base::Log& log;
  const sigset_t& signals;
};

// Hardens the process, raises its file limit, blocks SIGTERM, SIGINT and SIGHUP so that they come to Host::Run alone, and
// runs `body`. The exit code: 0; 2 when the administrator must change something (FAILED_PRECONDITION), 1 for other
// errors, explained on stderr.
int RunProgram(const std::string& program, bool debug, const std::function<absl::Status(const Process&)>& body);

struct HostOptions {
  std::string program;
  Role role = Role::kConfig;
  std::string listen;
  bool reflection = false;
  IdentityFiles identity;
  ServiceFlags service;
  int loops = 1;  // ServerOptions::loops
};

class Host {
 public:
  // The references outlive it.
  Host(HostOptions options, const base::Clock& clock, base::Log& log, metrics::Registry& registry);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // FAILED_PRECONDITION: the identity is not one of the role, or cannot be read.
  absl::Status Open();
  // After Open().
  const Authorizer& authorizer() const { return *authorizer_; }
  const Calls& calls() const { return *calls_; }
  HealthService& health() { return health_; }

  // Starts the API with `services` (which outlive the host), health and metrics, and logs `started` with `fields`.
  // UNAVAILABLE: an address is taken.
  absl::Status Serve(const std::vector<grpc::Service*>& services, std::vector<base::LogField> fields);
  // Threads of services on completion queues, after Serve().
  const std::vector<std::unique_ptr<CompletionLoop>>& loops() const { return server_->loops(); }
  // Until SIGTERM or SIGINT; SIGHUP reloads the deny list. `tick` runs after each `interval`, or a little sooner.
  void Run(const sigset_t& signals, std::chrono::milliseconds interval, const std::function<void()>& tick);
  // `drain`: lets streams know that they must end, before the servers close.
  void Stop(const std::function<void()>& drain);
  // The exposer goes: nothing is asked of the program's objects any more.
  void StopMetrics() { exposer_.reset(); }

 private:
  const HostOptions options_;
  const base::Clock& clock_;
  base::Log& log_;
  metrics::Registry& registry_;
  std::string uri_;
  std::unique_ptr<DenyList> denied_;
  std::unique_ptr<Authorizer> authorizer_;
  std::unique_ptr<Calls> calls_;
  HealthService health_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Server> health_server_;
  std::unique_ptr<metrics::Exposer> exposer_;
  base::Supervisor supervisor_;
};

}  // namespace gatepost::rpc
