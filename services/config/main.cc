// gatepost-config: flags, the long-lived objects, start and stop.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/base/clock.h"
#include "services/base/log.h"
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
#include "services/net/blocking_dns.h"
#include "services/rpc/flags.h"
#include "services/rpc/host.h"
#include "services/store/master_key.h"
#include "services/store/open_store.h"
#include "services/store/sealed.h"

namespace gatepost::config {
namespace {

constexpr char kProgram[] = "gatepost-config";
constexpr std::chrono::seconds kCheckInterval{1};
constexpr std::chrono::minutes kRotationCheckInterval{1};

struct Options {
  std::string listen = "127.0.0.1:2050";
  std::string database;
  std::string database_password_file;
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
  flags.Add("database", &options->database, store::kDatabaseHelp)->required();
  flags.Add("database-password-file", &options->database_password_file, store::kPasswordFileHelp);
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
  Program(const Options& options, const rpc::Process& process);

  // What is wrong is FAILED_PRECONDITION when the administrator must change something.
  absl::Status Start();
  // Runs until it is asked to stop.
  void Run();

 private:
  absl::Status StartDns();
  absl::Status OpenStore();
  absl::Status Serve();
  void AddMetrics();
  // Is the store there? Are ticket keys due?
  void Check();

  const Options& options_;
  const rpc::Process& process_;
  base::Log& log_;
  const base::Clock& clock_;
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

  std::unique_ptr<Handler> handler_;
  std::unique_ptr<VirtualServerServiceImpl> virtual_server_service_;
  std::unique_ptr<CertificateServiceImpl> certificate_service_;
  std::unique_ptr<EdgeServiceImpl> edge_service_;
  std::unique_ptr<DnsServiceImpl> dns_service_;
  std::unique_ptr<WatchServiceImpl> watch_service_;
  rpc::Host host_;  // behind the services, so that it goes first
  base::MonotonicTime rotation_checked_{};
};

Program::Program(const Options& options, const rpc::Process& process)
    : options_(options),
      process_(process),
      log_(process.log),
      clock_(process.clock),
      metrics_(registry_),
      host_({kProgram, rpc::Role::kConfig, options.listen, options.reflection, options.identity, options.service},
            clock_, log_, registry_) {}

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
  store::StoreOptions database;
  database.database = options_.database;
  database.password_file = options_.database_password_file;
  database.application_id = 0x47504331;  // "GPC1"
  database.schema = "gatepost_config";
  database.new_epoch = options_.restored;
  database.program = kProgram;
  GATEPOST_ASSIGN_OR_RETURN(store_, store::OpenRecordStore(database, clock_, random_));
  repository_ = std::make_unique<Repository>(*store_, *key_, random_);
  GATEPOST_RETURN_IF_ERROR(store::CheckMasterKey(*store_, *key_, random_));
  GATEPOST_RETURN_IF_ERROR(StartDns());
  catalogue_ = std::make_unique<Catalogue>(*repository_, maker_, *hosts_, clock_, random_);
  return catalogue_->Count().status();
}

absl::Status Program::Serve() {
  GATEPOST_RETURN_IF_ERROR(host_.Open());
  handler_ = std::make_unique<Handler>(host_.calls());
  hub_ = std::make_unique<WatchHub>(*repository_, log_, metrics_);
  virtual_server_service_ = std::make_unique<VirtualServerServiceImpl>(*handler_, *catalogue_, *repository_);
  certificate_service_ = std::make_unique<CertificateServiceImpl>(*handler_, *catalogue_, *repository_);
  edge_service_ = std::make_unique<EdgeServiceImpl>(*handler_, edges_, *hub_);
  dns_service_ = std::make_unique<DnsServiceImpl>(*handler_, *catalogue_, *dns_, clock_);
  watch_service_ = std::make_unique<WatchServiceImpl>(host_.calls(), host_.authorizer(), *repository_, edges_, *hub_,
                                                      clock_, log_, metrics_);
  return host_.Serve({virtual_server_service_.get(), certificate_service_.get(), edge_service_.get(),
                      dns_service_.get(), watch_service_.get()},
                     {{"epoch", store_->epoch()}, {"revision", hub_->current()}});
}

void Program::AddMetrics() {
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
}

absl::Status Program::Start() {
  GATEPOST_RETURN_IF_ERROR(OpenStore());
  AddMetrics();
  GATEPOST_RETURN_IF_ERROR(Serve());
  Check();
  return absl::OkStatus();
}

void Program::Check() {
  const absl::Status read = store_->Read().status();
  const bool answers = read.ok();
  if (answers != host_.health().ready()) {
    host_.health().SetReady(answers);
    if (!answers) log_.Error("store_unavailable", {{"error", base::FromAbsl(read.message())}});
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

void Program::Run() {
  host_.Run(process_.signals, kCheckInterval, [this] { Check(); });
  // Edges open their next stream elsewhere, if there is an elsewhere.
  host_.Stop([this] { hub_->Drain(); });
  hub_->Stop();
  host_.StopMetrics();
  log_.Info("stopped", {});
}

int Main(int argc, char** argv) {
  Options options;
  if (const std::optional<int> exit_code = ParseFlags(argc, argv, &options)) return *exit_code;
  return rpc::RunProgram(kProgram, options.service.debug, [&](const rpc::Process& process) {
    Program program(options, process);
    absl::Status status = program.Start();
    if (status.ok()) program.Run();
    return status;
  });
}

}  // namespace
}  // namespace gatepost::config

int main(int argc, char** argv) { return gatepost::config::Main(argc, argv); }
