// gatepost-config: flags, the long-lived objects, start and stop.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/base/process.h"
#include "services/base/random.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/config/catalogue.h"
#include "services/config/certificate_service.h"
#include "services/config/dns_service.h"
#include "services/config/edge_registry.h"
#include "services/config/edge_service.h"
#include "services/config/handler.h"
#include "services/config/host_lookup.h"
#include "services/config/limits.h"
#include "services/config/metrics.h"
#include "services/config/ticket_keys.h"
#include "services/config/virtual_server_service.h"
#include "services/config/watch_hub.h"
#include "services/config/watch_service.h"
#include "services/metrics/exposer.h"
#include "services/net/blocking_dns.h"
#include "services/rpc/authorization.h"
#include "services/rpc/call.h"
#include "services/rpc/deny_list.h"
#include "services/rpc/flags.h"
#include "services/rpc/health.h"
#include "services/rpc/server.h"
#include "services/store/sealed.h"
#include "services/store/sqlite_store.h"

namespace gatepost::config {
namespace {

constexpr char kProgram[] = "gatepost-config";
constexpr std::chrono::seconds kCheckInterval{1};
constexpr std::chrono::minutes kRotationCheckInterval{1};
constexpr std::chrono::seconds kShutdownDeadline{3};

struct Options {
  std::string listen = "127.0.0.1:2050";
  std::string database;
  std::string master_key_file;
  std::vector<std::string> dns_servers;
  bool restored = false;
  bool reflection = false;
  rpc::IdentityFiles identity;
  rpc::ServiceFlags service{.health_listen = "127.0.0.1:2051", .metrics_listen = "127.0.0.1:2052"};
};

std::optional<int> ParseFlags(int argc, char** argv, Options* options) {
  rpc::Flags flags(kProgram, "GATEPOST_CONFIG_",
                   "Holds the virtual servers and certificates of Gatepost and hands them to its edges.");
  flags.Add("listen", &options->listen, "HOST:PORT of the API (mutual TLS)");
  flags.Add("database", &options->database, "The SQLite file; made if it is not there, its folder is not")->required();
  flags.Add("master-key-file", &options->master_key_file,
            "A file of 32 octets, mode 0600, under which private keys are sealed in the database")
      ->required();
  flags.Add("dns-server", &options->dns_servers,
            "ADDRESS:PORT of a DNS server for CheckDns and for host names in lists of clients, instead of the system's; "
            "may be given several times, asked in this order");
  flags.AddSwitch("restored", &options->restored,
                  "The database was restored from a backup: edges must fetch everything anew. For one start only");
  flags.AddSwitch("reflection", &options->reflection, "Offer gRPC server reflection, for development");
  rpc::AddIdentityFlags(&flags, &options->identity);
  rpc::AddServiceFlags(&flags, &options->service, true);
  return flags.Parse(argc, argv);
}

// Everything that lives as long as the program, in the order in which it is built.
class Program {
 public:
  Program(const Options& options, base::Log& log) : options_(options), log_(log), metrics_(registry_) {}

  // What is wrong is FAILED_PRECONDITION when the administrator must change something.
  absl::Status Start();
  // Runs until a signal of `signals` asks to stop.
  void Run(const sigset_t& signals);
  void Stop();

 private:
  absl::Status StartDns();
  absl::Status OpenStore();
  absl::Status StartServers();
  void AddMetrics();
  // Is the store there? Are ticket keys due?
  void Check();

  const Options& options_;
  base::Log& log_;
  base::SystemClock clock_;
  base::SystemRandom random_;
  metrics::Registry registry_;
  Metrics metrics_;
  std::unique_ptr<store::SealingKey> key_;
  std::unique_ptr<store::RecordStore> store_;
  std::unique_ptr<Repository> repository_;
  CertificateMaker maker_{clock_};
  std::unique_ptr<net::BlockingDns> dns_;
  std::unique_ptr<DnsHostLookup> hosts_;
  std::unique_ptr<Catalogue> catalogue_;
  EdgeRegistry edges_{clock_};
  std::unique_ptr<WatchHub> hub_;

  std::unique_ptr<rpc::DenyList> denied_;
  std::unique_ptr<rpc::Authorizer> authorizer_;
  std::unique_ptr<rpc::Calls> calls_;
  std::unique_ptr<Handler> handler_;
  std::unique_ptr<VirtualServerServiceImpl> virtual_server_service_;
  std::unique_ptr<CertificateServiceImpl> certificate_service_;
  std::unique_ptr<EdgeServiceImpl> edge_service_;
  std::unique_ptr<DnsServiceImpl> dns_service_;
  std::unique_ptr<WatchServiceImpl> watch_service_;
  rpc::HealthService health_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<grpc::Server> health_server_;
  std::unique_ptr<metrics::Exposer> exposer_;
  base::MonotonicTime rotation_checked_{};
};

absl::Status Program::StartDns() {
  net::DnsOptions options;
  for (const std::string& text : options_.dns_servers) {
    const absl::StatusOr<base::Endpoint> server = base::Endpoint::Parse(text);
    if (!server.ok())
      return absl::FailedPreconditionError(
          base::ToAbsl(base::StrCat("--dns-server: ", base::FromAbsl(server.status().message()))));
    options.servers.push_back(*server);
  }
  // An administrator who has just corrected a record wants to see it.
  options.longest_ttl = options.negative_ttl = options.shortest_ttl;
  GATEPOST_ASSIGN_OR_RETURN(dns_, net::StartBlockingDns(clock_, options, kMaxDnsCallers));
  hosts_ = std::make_unique<DnsHostLookup>(*dns_, clock_);
  return absl::OkStatus();
}

absl::Status Program::OpenStore() {
  const absl::StatusOr<store::SealingKey> key = store::SealingKey::FromFile(options_.master_key_file);
  if (!key.ok()) return absl::FailedPreconditionError(key.status().message());
  key_ = std::make_unique<store::SealingKey>(*key);
  store::SqliteOptions sqlite;
  sqlite.path = options_.database;
  sqlite.application_id = 0x47504331;  // "GPC1"
  sqlite.new_epoch = options_.restored;
  sqlite.on_fatal = [](std::string_view reason) {
    // Nobody knows what the disk holds: the next start finds out from the file.
    std::fprintf(stderr, "%s: %.*s\n", kProgram, static_cast<int>(reason.size()), reason.data());
    _exit(1);
  };
  GATEPOST_ASSIGN_OR_RETURN(store_, store::OpenSqliteStore(sqlite, clock_, random_));
  repository_ = std::make_unique<Repository>(*store_, *key_, random_);
  GATEPOST_RETURN_IF_ERROR(repository_->CheckMasterKey());
  GATEPOST_RETURN_IF_ERROR(StartDns());
  catalogue_ = std::make_unique<Catalogue>(*repository_, maker_, *hosts_, clock_, random_);
  return catalogue_->Count().status();
}

absl::Status Program::StartServers() {
  GATEPOST_ASSIGN_OR_RETURN(const rpc::OwnIdentity own, rpc::ReadOwnIdentity(options_.identity));
  if (own.identity.role != rpc::Role::kConfig)
    return absl::FailedPreconditionError(
        base::ToAbsl(base::StrCat("--cert ", options_.identity.cert, " is of role ", rpc::RoleName(own.identity.role),
                                  ", not config")));
  GATEPOST_ASSIGN_OR_RETURN(denied_, rpc::DenyList::Open(options_.service.denied_identities_file, clock_));
  authorizer_ = std::make_unique<rpc::Authorizer>(own.identity.trust_domain, denied_.get());
  calls_ = std::make_unique<rpc::Calls>(*authorizer_, log_, registry_);
  handler_ = std::make_unique<Handler>(*calls_);
  hub_ = std::make_unique<WatchHub>(*repository_, log_, metrics_);
  virtual_server_service_ = std::make_unique<VirtualServerServiceImpl>(*handler_, *catalogue_, *repository_);
  certificate_service_ = std::make_unique<CertificateServiceImpl>(*handler_, *catalogue_, *repository_);
  edge_service_ = std::make_unique<EdgeServiceImpl>(*handler_, edges_, *hub_);
  dns_service_ = std::make_unique<DnsServiceImpl>(*handler_, *catalogue_, *dns_, clock_);
  watch_service_ =
      std::make_unique<WatchServiceImpl>(*calls_, *authorizer_, *repository_, edges_, *hub_, clock_, log_, metrics_);

  rpc::ServerOptions server;
  server.listen = options_.listen;
  server.identity = options_.identity;
  server.reflection = options_.reflection;
  int port = 0;
  GATEPOST_ASSIGN_OR_RETURN(server_, rpc::StartServer(server,
                                                      {virtual_server_service_.get(), certificate_service_.get(),
                                                       edge_service_.get(), dns_service_.get(), watch_service_.get(),
                                                       &health_},
                                                      &port));
  int health_port = 0;
  if (!options_.service.health_listen.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(health_server_,
                              rpc::StartPlaintextServer(options_.service.health_listen, &health_, &health_port));
  }
  int metrics_port = 0;
  if (!options_.service.metrics_listen.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(exposer_, metrics::Exposer::Start(options_.service.metrics_listen, registry_));
    metrics_port = exposer_->port();
  }
  log_.Info("started", {{"program", kProgram},
                        {"version", metrics::BuildVersion()},
                        {"identity", own.identity.uri},
                        {"port", port},
                        {"health_port", health_port},
                        {"metrics_port", metrics_port},
                        {"epoch", store_->epoch()},
                        {"revision", hub_->current()}});
  return absl::OkStatus();
}

void Program::AddMetrics() {
  registry_.AddProcessMetrics(kProgram);
  registry_.AddGaugeFunction("gatepost_config_revision", "The store's revision.",
                             [this] { return static_cast<double>(hub_->current()); });
  const auto count = [this](const char* name, const char* help, size_t Catalogue::Totals::*member) {
    registry_.AddGaugeFunction(name, help, [this, member] {
      const absl::StatusOr<Catalogue::Totals> totals = catalogue_->Count();
      return totals.ok() ? static_cast<double>((*totals).*member) : -1;
    });
  };
  count("gatepost_config_virtual_servers", "Virtual servers.", &Catalogue::Totals::virtual_servers);
  count("gatepost_config_certificates", "Certificates.", &Catalogue::Totals::certificates);
  count("gatepost_config_open_relays", "Virtual servers that are open relays.", &Catalogue::Totals::open_relays);
  const auto edges = [this](const char* name, const char* help, size_t EdgeRegistry::Totals::*member) {
    registry_.AddGaugeFunction(name, help, [this, member] {
      return static_cast<double>(edges_.Count(hub_->current()).*member);
    });
  };
  edges("gatepost_config_edges_connected", "Edges that watch.", &EdgeRegistry::Totals::connected);
  edges("gatepost_config_edges_behind", "Edges that watch and are not on the current revision.",
        &EdgeRegistry::Totals::behind);
  edges("gatepost_config_edges_refusing", "Edges that refused the last unit they were sent.",
        &EdgeRegistry::Totals::refusing);
  edges("gatepost_config_failed_listeners", "Listeners that edges could not open.",
        &EdgeRegistry::Totals::failed_listeners);
  registry_.AddGaugeFunction(rpc::kIdentityExpiryMetric, rpc::kIdentityExpiryHelp,
                             [this] { return rpc::OwnExpirySeconds(options_.identity); });
  registry_.AddCounterFunction("gatepost_log_dropped_total", "Log lines dropped because the output was slow or full.",
                               [this] { return static_cast<double>(log_.dropped()); });
}

absl::Status Program::Start() {
  GATEPOST_RETURN_IF_ERROR(OpenStore());
  AddMetrics();
  GATEPOST_RETURN_IF_ERROR(StartServers());
  Check();
  return absl::OkStatus();
}

void Program::Check() {
  const bool answers = store_->Read().ok();
  if (answers != health_.ready()) {
    health_.SetReady(answers);
    if (!answers) log_.Error("store_unavailable", {});
  }
  if (clock_.Now() - rotation_checked_ < kRotationCheckInterval) return;
  rotation_checked_ = clock_.Now();
  const absl::StatusOr<bool> rotated = RotateIfDue(*repository_, clock_, random_);
  if (!rotated.ok()) {
    metrics_.ticket_key_failures.Increment();
    log_.Error("ticket_keys_not_rotated", {{"error", base::FromAbsl(rotated.status().message())}});
  } else if (*rotated) {
    metrics_.ticket_key_rotations.Increment();
    log_.Info("ticket_keys_rotated", {});
  }
}

void Program::Run(const sigset_t& signals) {
  const timespec interval{.tv_sec = kCheckInterval.count(), .tv_nsec = 0};
  while (true) {
    const int signal = sigtimedwait(&signals, nullptr, &interval);
    if (signal == SIGTERM || signal == SIGINT) return;
    if (signal == SIGHUP) {
      const absl::Status status = denied_->Reload();
      log_.Info("reloaded", {{"error", base::FromAbsl(status.message())}});
    }
    Check();
  }
}

void Program::Stop() {
  log_.Info("stopping", {});
  health_.Shutdown();
  // Edges open their next stream elsewhere, if there is an elsewhere.
  hub_->Drain();
  server_->Shutdown(std::chrono::system_clock::now() + kShutdownDeadline);
  server_->Wait();
  if (health_server_ != nullptr) {
    health_server_->Shutdown(std::chrono::system_clock::now());
    health_server_->Wait();
  }
  hub_->Stop();
  exposer_.reset();
  log_.Info("stopped", {});
}

int Main(int argc, char** argv) {
  Options options;
  if (const std::optional<int> exit_code = ParseFlags(argc, argv, &options)) return *exit_code;
  base::HardenProcess();
  base::RaiseFileLimit();
  // Before any thread is made, so that all inherit it and signals come to Run alone.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const base::SystemClock clock;
  base::Log log(clock, {.debug = options.service.debug});
  Program program(options, log);
  if (const absl::Status status = program.Start(); !status.ok()) {
    std::fprintf(stderr, "%s: %s\n", kProgram, std::string(base::FromAbsl(status.message())).c_str());
    return absl::IsFailedPrecondition(status) ? 2 : 1;
  }
  program.Run(signals);
  program.Stop();
  return 0;
}

}  // namespace
}  // namespace gatepost::config

int main(int argc, char** argv) { return gatepost::config::Main(argc, argv); }
