// gatepost-edge: builds everything, passes it down, runs until a signal. Exit codes: 0 drained, 1 failure, 2 bad usage
// or configuration.
#include <absl/synchronization/mutex.h>
#include <google/protobuf/text_format.h>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "services/base/clock.h"
#include "services/base/file.h"
#include "services/base/gate.h"
#include "services/base/log.h"
#include "services/base/process.h"
#include "services/base/random.h"
#include "services/base/strings.h"
#include "services/base/supervisor.h"
#include "services/edge/auth_client.h"
#include "services/edge/budget.h"
#include "services/edge/client_lookup.h"
#include "services/edge/compiler.h"
#include "services/edge/config_watch.h"
#include "services/edge/configurator.h"
#include "services/edge/drain.h"
#include "services/edge/limits.h"
#include "services/edge/listener_set.h"
#include "services/edge/memory_reader.h"
#include "services/edge/metrics.h"
#include "services/edge/options.h"
#include "services/edge/overload_guard.h"
#include "services/edge/snapshot_store.h"
#include "services/edge/transport.h"
#include "services/edge/upstream_probe.h"
#include "services/edge/worker.h"
#include "services/metrics/exposer.h"
#include "services/metrics/metrics.h"
#include "services/net/dns.h"
#include "services/rpc/channel.h"
#include "services/rpc/completion_loop.h"
#include "services/rpc/flags.h"
#include "services/rpc/health.h"
#include "services/rpc/identity_files.h"
#include "services/rpc/server.h"

namespace gatepost::edge {
namespace {

constexpr char kProgram[] = "gatepost-edge";
constexpr auto kMetricsInterval = std::chrono::seconds(1);
constexpr int kBadUsage = 2;
constexpr int kFailure = 1;

int Refuse(std::string_view why, int code = kBadUsage) {
  std::fprintf(stderr, "%s: %.*s\n", kProgram, static_cast<int>(why.size()), why.data());
  return code;
}

std::string_view Text(const absl::Status& status) { return base::FromAbsl(status.message()); }

std::optional<int> ParseFlags(int argc, char** argv, Options* options) {
  rpc::Flags flags(
      kProgram, "GATEPOST_EDGE_",
      "Accepts SMTP from clients, enforces the policy of the config service, and hands messages to the next hop.");
  flags.Add("config-address", &options->config_address, "HOST:PORT of the config service", "Services");
  flags.Add("config-server-name", &options->config_server_name,
            "name in the config service's certificate, if it is not HOST", "Services");
  flags.Add("auth-address", &options->auth_address, "HOST:PORT of the auth service; without it AUTH is not offered",
            "Services");
  flags.Add("auth-server-name", &options->auth_server_name, "name in the auth service's certificate, if it is not HOST",
            "Services");
  flags.Add("cert", &options->cert, "the edge's certificate chain, PEM; its name is the edge's pool", "Identity");
  flags.Add("key", &options->key, "the key of --cert, PEM", "Identity");
  flags.Add("ca", &options->ca, "CA certificates of the services, PEM", "Identity");
  flags.Add("node-id", &options->node_id, "this edge's own name, unique among all edges", "Identity");
  flags.Add("threads", &options->threads, "worker threads; 0: as many as there are processors")
      ->check(CLI::Range(0, 256));
  flags.Add("port-offset", &options->port_offset, "added to the port of every listener")->check(CLI::Range(0, 65535));
  flags.Add("health-listen", &options->health_listen, "HOST:PORT of the gRPC health service in clear; empty: none");
  flags.Add("metrics-listen", &options->metrics_listen, "HOST:PORT of /metrics; empty: none");
  flags.Add("snapshot-file", &options->snapshot_file, "where the last good configuration is kept, sealed");
  flags.Add("snapshot-key-file", &options->snapshot_key_file, "the 32 octets that seal --snapshot-file");
  flags.Add("memory-limit", &options->memory_limit,
            "octets of resident memory, near which new connections are refused, then idle sessions ended; "
            "0: the control group's limit, if it has one");
  flags.Add("drain-delay", &options->drain_delay, "seconds after SIGTERM in which connections are still accepted")
      ->check(CLI::Range(0.0, 3600.0));
  flags.Add("auth-streams", &options->auth_streams, "streams of each worker to the auth service")
      ->check(CLI::Range(1, 64));
  flags.Add("dns-server", &options->dns_servers,
            "HOST:PORT, an address, of a server that is asked for clients' names and block lists; may be repeated. "
            "Without any: the system's servers");
  flags.Add("static-config", &options->static_config,
            "a fixed configuration instead of the config service: gatepost.config.v1.Unit in protobuf's text format");
  return flags.Parse(argc, argv);
}

// One worker with what belongs to it.
struct WorkerParts {
  std::unique_ptr<Worker> worker;
  std::unique_ptr<Transport> transport;
  std::unique_ptr<net::Dns> dns;
  std::unique_ptr<ClientLookup> lookup;
  std::unique_ptr<AuthClient> auth;
};

absl::StatusOr<std::shared_ptr<grpc::Channel>> Channel(const Options& options, const std::string& address,
                                                       const std::string& server_name, rpc::Role role) {
  rpc::ChannelOptions channel;
  channel.address = address;
  channel.identity.cert = options.cert;
  channel.identity.key = options.key;
  channel.identity.ca = options.ca;
  channel.server_role = role;
  channel.server_name = server_name;
  return rpc::MakeChannel(channel);
}

absl::StatusOr<config::v1::Unit> ReadStaticConfig(const std::string& path) {
  absl::StatusOr<std::string> text = base::ReadFile(path);
  if (!text.ok()) return text.status();
  config::v1::Unit unit;
  if (!google::protobuf::TextFormat::ParseFromString(*text, &unit)) {
    return absl::InvalidArgumentError(path + ": not a gatepost.config.v1.Unit in text format");
  }
  return unit;
}

int Run(const Options& options) {
  base::HardenProcess();
  // As in rpc::RunProgram.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const uint64_t files = base::RaiseFileLimit();
  base::SystemClock clock;
  base::SystemRandom random;
  base::Log log(clock);

  metrics::Registry registry;
  registry.AddProcessMetrics(kProgram);
  const EdgeMetrics edge_metrics(registry);
  Budget client_budget(files * limits::kClientConnectionsPercent / 100);
  Budget upstream_budget(files * limits::kUpstreamConnectionsPercent / 100);

  const absl::StatusOr<std::vector<base::Endpoint>> dns_servers = ParseDnsServers(options);
  if (!dns_servers.ok()) return Refuse(base::StrCat("--dns-server: ", Text(dns_servers.status())));
  std::optional<SnapshotStore> store;
  if (!options.snapshot_file.empty()) {
    absl::StatusOr<store::SealingKey> key = store::SealingKey::FromFile(options.snapshot_key_file);
    if (!key.ok()) return Refuse(base::StrCat("--snapshot-key-file: ", Text(key.status())));
    store.emplace(options.snapshot_file, *std::move(key), options.node_id, random);
  }
  std::shared_ptr<grpc::Channel> config_channel, auth_channel;
  if (!options.config_address.empty()) {
    auto channel = Channel(options, options.config_address, options.config_server_name, rpc::Role::kConfig);
    if (!channel.ok()) return Refuse(base::StrCat("--cert, --key, --ca: ", Text(channel.status())));
    config_channel = *std::move(channel);
  }
  if (!options.auth_address.empty()) {
    auto channel = Channel(options, options.auth_address, options.auth_server_name, rpc::Role::kAuth);
    if (!channel.ok()) return Refuse(base::StrCat("--cert, --key, --ca: ", Text(channel.status())));
    auth_channel = *std::move(channel);
  }
  std::optional<config::v1::Unit> fixed;
  if (!options.static_config.empty()) {
    absl::StatusOr<config::v1::Unit> unit = ReadStaticConfig(options.static_config);
    if (!unit.ok()) return Refuse(base::StrCat("--static-config: ", Text(unit.status())));
    fixed = *std::move(unit);
  }
  if (!options.cert.empty()) {
    rpc::IdentityFiles identity;
    identity.cert = options.cert;
    registry.AddGaugeFunction(rpc::kIdentityExpiryMetric, rpc::kIdentityExpiryHelp,
                              [identity] { return rpc::OwnExpirySeconds(identity); });
  }

  rpc::HealthService health;
  std::unique_ptr<rpc::Server> health_server;
  int health_port = 0;
  if (!options.health_listen.empty()) {
    auto server = rpc::StartPlaintextServer(options.health_listen, health, rpc::CompletionLoop::Driver::kWaiting);
    if (!server.ok()) return Refuse(base::StrCat("--health-listen: ", Text(server.status())), kFailure);
    health_server = *std::move(server);
    health_port = health_server->port();
  }
  std::unique_ptr<metrics::Exposer> exposer;
  if (!options.metrics_listen.empty()) {
    auto started = metrics::Exposer::Start(options.metrics_listen, registry);
    if (!started.ok()) return Refuse(base::StrCat("--metrics-listen: ", Text(started.status())), kFailure);
    exposer = *std::move(started);
  }

  // The gate outlives the contexts on which gRPC's streams report; all of them are destroyed in reverse order.
  // One thread for all of gRPC: the health service's, where there is one.
  std::optional<rpc::CompletionLoop> own_loop;
  rpc::CompletionLoop& loop = health_server ? *health_server->loops().front() : own_loop.emplace();
  base::Gate gate;
  asio::io_context control(1);
  auto control_work = asio::make_work_guard(control);
  std::vector<WorkerParts> workers;
  std::vector<Worker*> worker_list;
  const Worker::Shared shared{
      .log = log, .clock = clock, .random = random, .client_budget = client_budget, .upstream_budget = upstream_budget};
  for (int i = 0; i < options.threads; ++i) {
    WorkerParts& parts = workers.emplace_back();
    parts.worker = std::make_unique<Worker>(shared);
    Worker* worker = parts.worker.get();
    worker_list.push_back(worker);
    parts.transport = std::make_unique<Transport>(worker->context().get_executor(), clock);
    absl::StatusOr<std::unique_ptr<net::Dns>> dns =
        net::MakeDns(worker->context().get_executor(), clock, {.servers = *dns_servers});
    if (!dns.ok()) return Refuse(Text(dns.status()), kFailure);
    parts.dns = *std::move(dns);
    parts.lookup = std::make_unique<DnsClientLookup>(*parts.dns, clock);
    if (auth_channel) {
      AuthClient::Options auth = AuthClient::Defaults();
      auth.streams = options.auth_streams;
      AuthClient::Callbacks callbacks{
          .on_revoked = [worker](const std::string& user, base::WallTime since) { worker->Revoke(user, since); },
          .on_stray_answer = [&edge_metrics] { edge_metrics.auth_stray_answers.Increment(); },
          .on_stream = [&edge_metrics](int change) { edge_metrics.auth_streams.Add(change); },
          .on_circuit =
              [&edge_metrics, &log](int change) {
                edge_metrics.auth_circuits_open.Add(change);
                log.Warning(change > 0 ? "auth_circuit_open" : "auth_circuit_closed", {});
              }};
      parts.auth = std::make_unique<AuthClient>(worker->context().get_executor(), auth_channel, loop, gate, clock,
                                                random, auth, std::move(callbacks));
    }
    worker->Use(parts.auth.get(), parts.transport.get(), parts.transport.get(), parts.lookup.get());
    worker->Run();
    if (parts.auth) worker->Do([auth = parts.auth.get()] { auth->Start(); });
  }

  Transport probe_transport(control.get_executor(), clock);
  UpstreamProbe probe(control.get_executor(), probe_transport, upstream_budget, clock);

  std::unique_ptr<ConfigWatch> watch;
  ListenerSet listeners(control.get_executor(), worker_list, options.port_offset, log, [&] {
    if (watch) watch->Report(listeners.Status());
  });
  Compiler compiler(
      [&registry](const std::string& id) { return std::make_shared<const LazyServerMetrics>(registry, id); });
  // Ready: a configuration is applied, the edge does not drain, and has memory for more sessions.
  bool applied = false, draining = false, overloaded = false;
  base::Supervisor supervisor(std::getenv("NOTIFY_SOCKET"));
  const auto say_ready = [&] {
    const bool ready = applied && !draining && !overloaded;
    if (ready) supervisor.Ready();
    health.SetReady(ready);
    edge_metrics.ready.Set(ready ? 1 : 0);
  };
  CertificateExpiry expiry(registry);
  Configurator configurator({.control = control.get_executor(),
                             .workers = worker_list,
                             .listeners = listeners,
                             .compiler = compiler,
                             .store = store ? &*store : nullptr,
                             .metrics = edge_metrics,
                             .expiry = expiry,
                             .log = log,
                             .clock = clock,
                             .on_applied = [&](const std::shared_ptr<const Snapshot>& snapshot) {
                               probe.Adopt(snapshot);
                               applied = true;
                               say_ready();
                             }});

  log.Info("start", {{"version", metrics::BuildVersion()},
                     {"node", options.node_id},
                     {"pid", ::getpid()},
                     {"threads", options.threads},
                     {"files", files},
                     {"health_port", health_port},
                     {"metrics_port", exposer ? exposer->port() : 0}});
  if (fixed) {
    if (absl::Status status = configurator.ApplyFixed(*std::move(fixed)); !status.ok()) {
      return Refuse(base::StrCat("--static-config: ", Text(status)));
    }
  } else {
    configurator.LoadStored();
  }
  if (config_channel) {
    ConfigWatch::Options watch_options = ConfigWatch::Defaults();
    watch_options.node_id = options.node_id;
    watch_options.version = metrics::BuildVersion();
    watch = std::make_unique<ConfigWatch>(control.get_executor(), config_channel, loop, gate, random,
                                          configurator, watch_options);
    watch->Start();
  }

  edge_metrics.client_connections_limit.Set(static_cast<double>(client_budget.most()));
  edge_metrics.upstream_connections_limit.Set(static_cast<double>(upstream_budget.most()));
  // Figures that nobody pushes.
  asio::steady_timer metrics_timer(control);
  std::function<void()> update = [&] {
    configurator.UpdateMetrics();
    edge_metrics.client_connections.Set(static_cast<double>(client_budget.used()));
    edge_metrics.upstream_connections.Set(static_cast<double>(upstream_budget.used()));
    edge_metrics.log_dropped.Set(static_cast<double>(log.dropped()));
    metrics_timer.expires_after(kMetricsInterval);
    metrics_timer.async_wait([&](std::error_code error) {
      if (!error) update();
    });
  };
  update();

  const MemoryReader memory({.limit = options.memory_limit, .root = {}});
  OverloadGuard guard({.control = control.get_executor(),
                       .workers = worker_list,
                       .memory = memory,
                       .client_budget = client_budget,
                       .metrics = edge_metrics,
                       .log = log,
                       .clock = clock,
                       .on_level = [&](OverloadLevel level) {
                         overloaded = level != OverloadLevel::kNone;
                         say_ready();
                       }});
  guard.Start();

  Drain drain(control.get_executor(), worker_list, log,
              {.delay = std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(options.drain_delay)),
               .in_flight = limits::kDrain,
               .past_dot = limits::kDrainPastDot},
              {.on_begin =
                   [&] {
                     draining = true;
                     supervisor.Stopping();
                     say_ready();
                   },
               .on_closing =
                   [&] {
                     listeners.Stop();
                     if (watch) watch->Report(listeners.Status());
                   },
               .on_end = [&](size_t) { control.stop(); }});
  asio::signal_set signals(control, SIGTERM, SIGINT, SIGHUP);
  std::function<void()> await_signal = [&] {
    signals.async_wait([&](std::error_code error, int number) {
      if (error) return;
      // Certificates are read anew when their files change; SIGHUP has nothing left to do.
      if (number != SIGHUP) drain.Begin();
      await_signal();
    });
  };
  await_signal();
  control.run();

  // The streams of gRPC report on these contexts until the gate is closed: they run on until then.
  configurator.Flush();
  probe.Stop();
  guard.Stop();
  metrics_timer.cancel();
  // Who asks again while the last objects go changes nothing.
  signals.clear();
  for (const int again : {SIGTERM, SIGINT}) std::signal(again, SIG_IGN);
  if (watch) watch->Stop();
  for (WorkerParts& parts : workers) {
    if (parts.auth) parts.worker->Do([auth = parts.auth.get()] { auth->Stop(); });
  }
  std::thread closer([&] {
    gate.Close();
    asio::post(control, [&] { control.stop(); });
  });
  control.restart();
  control.run();
  closer.join();
  health.Shutdown();
  if (health_server) health_server->Stop();
  for (WorkerParts& parts : workers) parts.worker->Join();
  log.Info("end", {});
  return 0;
}

}  // namespace
}  // namespace gatepost::edge

int main(int argc, char** argv) {
  gatepost::edge::Options options;
  if (const std::optional<int> code = gatepost::edge::ParseFlags(argc, argv, &options)) return *code;
  if (const std::optional<std::string> wrong = gatepost::edge::Complete(&options))
    return gatepost::edge::Refuse(*wrong);
  return gatepost::edge::Run(options);
}
