// gatepost-auth: validates the credentials of SMTP clients for the edges, and keeps the users. main() builds everything
// that lives as long as the program and passes it down. Exit codes: 0 ended when asked to, 1 failure, 2 bad usage or
// configuration.
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "services/auth/authenticator.h"
#include "services/auth/cores.h"
#include "services/auth/credential_cache.h"
#include "services/auth/metrics.h"
#include "services/auth/revocations.h"
#include "services/auth/sasl_service.h"
#include "services/auth/shared_key.h"
#include "services/auth/throttle_ledger.h"
#include "services/auth/throttle_service.h"
#include "services/auth/user_catalogue.h"
#include "services/auth/user_secrets.h"
#include "services/auth/user_service.h"
#include "services/auth/verifier.h"
#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/base/process.h"
#include "services/base/random.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/metrics/exposer.h"
#include "services/metrics/metrics.h"
#include "services/rpc/authorization.h"
#include "services/rpc/call.h"
#include "services/rpc/deny_list.h"
#include "services/rpc/flags.h"
#include "services/rpc/health.h"
#include "services/rpc/server.h"
#include "services/store/sealed.h"
#include "services/store/sqlite_store.h"

namespace gatepost::auth {
namespace {

constexpr char kProgram[] = "gatepost-auth";
constexpr char kMasterKeyCheck[] = "masterKeyCheck";
// How soon credentials that found no verifier are told so, and idle exchanges ended.
constexpr std::chrono::milliseconds kTick{100};
constexpr std::chrono::seconds kHealthCheck{1};
// Edges move to other streams meanwhile.
constexpr std::chrono::seconds kShutdownDeadline{3};

struct Options {
  std::string listen = "127.0.0.1:2060";
  std::string database;
  std::string master_key_file;
  int slots = 0;
  int scram_iterations = kScramIterations;
  bool restored = false;
  bool reflection = false;
  rpc::IdentityFiles identity;
  rpc::ServiceFlags service{.health_listen = "127.0.0.1:2061", .metrics_listen = "127.0.0.1:2062"};
};

std::optional<int> ParseFlags(int argc, char** argv, Options* options) {
  rpc::Flags flags(kProgram, "GATEPOST_AUTH_",
                   "Validates the credentials of SMTP clients for the edges of Gatepost, and keeps its users.");
  flags.Add("listen", &options->listen, "HOST:PORT of the API (mutual TLS)");
  flags.Add("database", &options->database, "The SQLite file; made if it is not there, its folder is not")->required();
  flags
      .Add("master-key-file", &options->master_key_file,
           "A file of 32 octets, mode 0600, under which secrets are sealed in the database")
      ->required();
  flags.Add("verifiers", &options->slots, "Passwords verified at a time, 19 MiB each; 0: the cores less one")
      ->check(CLI::Range(0, 256));
  flags
      .Add("scram-iterations", &options->scram_iterations,
           "PBKDF2's iterations in the SCRAM secrets of passwords set from now on. Change it before there are users: "
           "names that nobody has are answered with it")
      ->check(CLI::Range(static_cast<int>(kLeastScramIterations), static_cast<int>(kMostScramIterations)));
  flags.AddSwitch("restored", &options->restored, "The database was restored from a backup. For one start only");
  flags.AddSwitch("reflection", &options->reflection, "Offer gRPC server reflection, for development");
  rpc::AddIdentityFlags(&flags, &options->identity);
  rpc::AddServiceFlags(&flags, &options->service, true);
  return flags.Parse(argc, argv);
}

// Everything that lives as long as the program, in the order in which it is built.
class Program {
 public:
  Program(const Options& options, base::Log& log)
      : options_(options), log_(log), metrics_(registry_), throttle_metrics_(registry_) {}

  // What is wrong is FAILED_PRECONDITION when the administrator must change something.
  absl::Status Start();
  // Runs until a signal of `signals` asks to stop.
  void Run(const sigset_t& signals);
  void Stop();

 private:
  absl::Status OpenStore();
  absl::Status CheckMasterKey();
  absl::Status StartServers();
  void AddMetrics();
  void CheckStore();

  const Options& options_;
  base::Log& log_;
  base::SystemClock clock_;
  base::SystemRandom random_;
  metrics::Registry registry_;
  const Metrics metrics_;
  std::unique_ptr<store::SealingKey> key_;
  std::unique_ptr<store::RecordStore> store_;
  std::unique_ptr<Verifier> verifier_;
  CredentialCache cache_{clock_, random_};
  std::unique_ptr<UserSecrets> secrets_;
  std::unique_ptr<UserCatalogue> catalogue_;
  ThrottleMetrics throttle_metrics_;
  std::unique_ptr<ThrottleLedger> throttles_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<Revocations> revocations_;

  std::unique_ptr<rpc::DenyList> denied_;
  std::unique_ptr<rpc::Authorizer> authorizer_;
  std::unique_ptr<rpc::Calls> calls_;
  std::unique_ptr<UserServiceImpl> user_service_;
  std::unique_ptr<SaslServiceImpl> sasl_service_;
  std::unique_ptr<ThrottleServiceImpl> throttle_service_;
  rpc::HealthService health_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<grpc::Server> health_server_;
  std::unique_ptr<metrics::Exposer> exposer_;
};

absl::Status Program::CheckMasterKey() {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store_->Read());
  const absl::StatusOr<store::Record> record = view->Get(kMasterKeyCheck);
  if (absl::IsNotFound(record.status())) {
    return store_
        ->Commit(
            {{{kMasterKeyCheck, key_->Seal(kMasterKeyCheck, kMasterKeyCheck, random_), store::Condition::Absent()}},
             {},
             {}})
        .status();
  }
  GATEPOST_RETURN_IF_ERROR(record.status());
  if (key_->Open(kMasterKeyCheck, record->value).ok()) return absl::OkStatus();
  return absl::FailedPreconditionError("the database was sealed with another master key than --master-key-file's");
}

absl::Status Program::OpenStore() {
  GATEPOST_ASSIGN_OR_RETURN(const store::SealingKey key, store::SealingKey::FromFile(options_.master_key_file));
  key_ = std::make_unique<store::SealingKey>(key);
  store::SqliteOptions sqlite;
  sqlite.path = options_.database;
  sqlite.application_id = 0x47504131;  // "GPA1"
  sqlite.new_epoch = options_.restored;
  sqlite.on_fatal = [](std::string_view reason) {
    // Nobody knows what the disk holds: the next start finds out from the file.
    std::fprintf(stderr, "%s: %.*s\n", kProgram, static_cast<int>(reason.size()), reason.data());
    _exit(1);
  };
  GATEPOST_ASSIGN_OR_RETURN(store_, store::OpenSqliteStore(sqlite, clock_, random_));
  GATEPOST_RETURN_IF_ERROR(CheckMasterKey());
  const int slots = options_.slots > 0 ? options_.slots : std::max(1, AvailableCores() - 1);
  verifier_ = std::make_unique<Verifier>(slots, clock_, random_, metrics_);
  GATEPOST_ASSIGN_OR_RETURN(std::string decoy_key, SharedKey(*store_, *key_, "decoys", random_));
  secrets_ = std::make_unique<UserSecrets>(*store_, *key_, std::move(decoy_key),
                                           static_cast<uint32_t>(options_.scram_iterations), random_);
  catalogue_ = std::make_unique<UserCatalogue>(*store_, *verifier_, *secrets_, clock_);
  GATEPOST_ASSIGN_OR_RETURN(std::string tag_key, SharedKey(*store_, *key_, "throttle", random_));
  throttles_ = std::make_unique<ThrottleLedger>(*store_, clock_, random_, log_, throttle_metrics_,
                                                ThrottleLedger::Options{{}, std::move(tag_key)});
  GATEPOST_RETURN_IF_ERROR(throttles_->Start());
  authenticator_ = std::make_unique<Authenticator>(*store_, *verifier_, cache_, *throttles_, log_, metrics_);
  revocations_ = std::make_unique<Revocations>(*store_, clock_, log_, metrics_);
  return revocations_->Start();
}

absl::Status Program::StartServers() {
  GATEPOST_ASSIGN_OR_RETURN(const rpc::OwnIdentity own, rpc::ReadOwnIdentity(options_.identity));
  if (own.identity.role != rpc::Role::kAuth) {
    return absl::FailedPreconditionError(base::ToAbsl(base::StrCat("--cert ", options_.identity.cert, " is of role ",
                                                                   rpc::RoleName(own.identity.role), ", not auth")));
  }
  GATEPOST_ASSIGN_OR_RETURN(denied_, rpc::DenyList::Open(options_.service.denied_identities_file, clock_));
  authorizer_ = std::make_unique<rpc::Authorizer>(own.identity.trust_domain, denied_.get());
  calls_ = std::make_unique<rpc::Calls>(*authorizer_, log_, registry_);
  user_service_ = std::make_unique<UserServiceImpl>(*calls_, *catalogue_);
  throttle_service_ = std::make_unique<ThrottleServiceImpl>(*calls_, *throttles_);
  sasl_service_ =
      std::make_unique<SaslServiceImpl>(*calls_, *authorizer_, *authenticator_, *revocations_, clock_, log_, metrics_);

  rpc::ServerOptions server;
  server.listen = options_.listen;
  server.identity = options_.identity;
  server.reflection = options_.reflection;
  int port = 0, health_port = 0, metrics_port = 0;
  GATEPOST_ASSIGN_OR_RETURN(
      server_,
      rpc::StartServer(server, {user_service_.get(), sasl_service_.get(), throttle_service_.get(), &health_}, &port));
  if (!options_.service.health_listen.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(health_server_,
                              rpc::StartPlaintextServer(options_.service.health_listen, &health_, &health_port));
  }
  if (!options_.service.metrics_listen.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(exposer_, metrics::Exposer::Start(options_.service.metrics_listen, registry_));
    metrics_port = exposer_->port();
  }
  log_.Info("started", {{"program", kProgram},
                        {"version", metrics::BuildVersion()},
                        {"identity", own.identity.uri},
                        {"port", port},
                        {"health_port", health_port},
                        {"metrics_port", metrics_port}});
  return absl::OkStatus();
}

void Program::AddMetrics() {
  registry_.AddProcessMetrics(kProgram);
  registry_.AddGaugeFunction("gatepost_auth_users", "Users; -1: the store does not answer.", [this] {
    const absl::StatusOr<int64_t> count = catalogue_->Count();
    return count.ok() ? static_cast<double>(*count) : -1;
  });
  registry_.AddGaugeFunction("gatepost_auth_cache_entries", "Verified credentials that are remembered.",
                             [this] { return static_cast<double>(cache_.size()); });
  registry_.AddGaugeFunction("gatepost_auth_slot_queue", "Passwords that wait for a verifier.",
                             [this] { return static_cast<double>(verifier_->waiting()); });
  registry_.AddCounterFunction("gatepost_auth_argon2_total", "Runs of argon2id.",
                               [this] { return static_cast<double>(verifier_->runs()); });
  registry_.AddGaugeFunction(rpc::kIdentityExpiryMetric, rpc::kIdentityExpiryHelp,
                             [this] { return rpc::OwnExpirySeconds(options_.identity); });
  registry_.AddCounterFunction("gatepost_log_dropped_total", "Log lines dropped because the output was slow or full.",
                               [this] { return static_cast<double>(log_.dropped()); });
}

absl::Status Program::Start() {
  GATEPOST_RETURN_IF_ERROR(OpenStore());
  AddMetrics();
  GATEPOST_RETURN_IF_ERROR(StartServers());
  CheckStore();
  return absl::OkStatus();
}

void Program::CheckStore() {
  const bool answers = store_->Read().ok();
  if (answers == health_.ready()) return;
  health_.SetReady(answers);
  if (!answers) log_.Error("store_unavailable", {});
}

void Program::Run(const sigset_t& signals) {
  const timespec interval{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(kTick).count()};
  base::MonotonicTime checked = clock_.Now();
  while (true) {
    const int signal = sigtimedwait(&signals, nullptr, &interval);
    if (signal == SIGTERM || signal == SIGINT) return;
    if (signal == SIGHUP) {
      const absl::Status status = denied_->Reload();
      log_.Info("reloaded", {{"error", base::FromAbsl(status.message())}});
    }
    verifier_->Tick();
    if (clock_.Now() - checked < kHealthCheck) continue;
    checked = clock_.Now();
    sasl_service_->Tick();
    CheckStore();
  }
}

void Program::Stop() {
  log_.Info("stopping", {});
  health_.Shutdown();
  sasl_service_->Drain();
  server_->Shutdown(std::chrono::system_clock::now() + kShutdownDeadline);
  server_->Wait();
  if (health_server_ != nullptr) {
    health_server_->Shutdown(std::chrono::system_clock::now());
    health_server_->Wait();
  }
  // Its last answers go to streams that are gone.
  verifier_->Stop();
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
}  // namespace gatepost::auth

int main(int argc, char** argv) { return gatepost::auth::Main(argc, argv); }
