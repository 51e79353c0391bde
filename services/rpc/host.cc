#include "services/rpc/host.h"

#include <absl/synchronization/mutex.h>
#include <pthread.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "services/base/process.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::rpc {
namespace {

// Edges move to other streams meanwhile.
constexpr std::chrono::seconds kShutdownDeadline{3};

}  // namespace

int RunProgram(const std::string& program, bool debug, const std::function<absl::Status(const Process&)>& body) {
  base::HardenProcess();
  // Debian's Abseil checks the order of locks, at 4 % of a login: that is for tests.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  base::RaiseFileLimit();
  // Before any thread is made, so that all inherit it.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const base::SystemClock clock;
  base::Log log(clock, {.debug = debug});
  const absl::Status status = body({clock, log, signals});
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", program.c_str(), std::string(base::FromAbsl(status.message())).c_str());
  return absl::IsFailedPrecondition(status) ? 2 : 1;
}

Host::Host(HostOptions options, const base::Clock& clock, base::Log& log, metrics::Registry& registry)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      registry_(registry),
      supervisor_(std::getenv("NOTIFY_SOCKET")) {
  registry_.AddProcessMetrics(options_.program);
  registry_.AddGaugeFunction(kIdentityExpiryMetric, kIdentityExpiryHelp,
                             [this] { return OwnExpirySeconds(options_.identity); });
  registry_.AddCounterFunction("gatepost_log_dropped_total", "Log lines dropped because the output was slow or full.",
                               [this] { return static_cast<double>(log_.dropped()); });
}

absl::Status Host::Open() {
  GATEPOST_ASSIGN_OR_RETURN(const OwnIdentity own, ReadOwnIdentity(options_.identity));
  if (own.identity.role != options_.role) {
    return absl::FailedPreconditionError(base::ToAbsl(base::StrCat("--cert ", options_.identity.cert, " is of role ",
                                                                   RoleName(own.identity.role), ", not ",
                                                                   RoleName(options_.role))));
  }
  uri_ = own.identity.uri;
  GATEPOST_ASSIGN_OR_RETURN(denied_, DenyList::Open(options_.service.denied_identities_file, clock_));
  authorizer_ = std::make_unique<Authorizer>(own.identity.trust_domain, denied_.get());
  calls_ = std::make_unique<Calls>(*authorizer_, log_, registry_);
  return absl::OkStatus();
}

absl::Status Host::Serve(const std::vector<grpc::Service*>& services, std::vector<base::LogField> fields) {
  ServerOptions server;
  server.listen = options_.listen;
  server.identity = options_.identity;
  server.reflection = options_.reflection;
  server.loops = options_.loops;
  int health_port = 0;
  int metrics_port = 0;
  GATEPOST_ASSIGN_OR_RETURN(server_, StartServer(server, services, health_));
  if (!options_.service.health_listen.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(health_server_, StartPlaintextServer(options_.service.health_listen, health_,
                                                                   CompletionLoop::Driver::kPaced));
    health_port = health_server_->port();
  }
  if (!options_.service.metrics_listen.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(exposer_, metrics::Exposer::Start(options_.service.metrics_listen, registry_));
    metrics_port = exposer_->port();
  }
  std::vector<base::LogField> line = {
      {"program", options_.program}, {"version", metrics::BuildVersion()}, {"identity", uri_},
      {"port", server_->port()},     {"health_port", health_port},         {"metrics_port", metrics_port}};
  line.insert(line.end(), fields.begin(), fields.end());
  log_.Info("started", line);
  return absl::OkStatus();
}

void Host::Run(const sigset_t& signals, std::chrono::milliseconds interval, const std::function<void()>& tick) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(interval);
  const timespec wait{.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(interval - seconds).count()};
  supervisor_.Ready();
  for (;;) {
    const int signal = sigtimedwait(&signals, nullptr, &wait);
    if (signal == SIGTERM || signal == SIGINT) return;
    if (signal == SIGHUP) {
      const absl::Status status = denied_->Reload();
      log_.Info("reloaded", {{"error", base::FromAbsl(status.message())}});
    }
    tick();
  }
}

void Host::Stop(const std::function<void()>& drain) {
  log_.Info("stopping", {});
  supervisor_.Stopping();
  health_.Shutdown();
  drain();
  server_->Stop(kShutdownDeadline);
  if (health_server_ != nullptr) health_server_->Stop();
}

}  // namespace gatepost::rpc
