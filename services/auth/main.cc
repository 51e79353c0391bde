// gatepost-auth: validates the credentials of SMTP clients for the edges, and keeps the users. main() builds everything
// that lives as long as the program and passes it down. Exit codes: 0 ended when asked to, 1 failure, 2 bad usage or
// configuration.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "services/auth/admission.h"
#include "services/auth/authenticator.h"
#include "services/auth/cores.h"
#include "services/auth/credential_cache.h"
#include "services/auth/credential_catalogue.h"
#include "services/auth/credential_service.h"
#include "services/auth/directory_settings.h"
#include "services/auth/group_catalogue.h"
#include "services/auth/group_service.h"
#include "services/auth/gssapi.h"
#include "services/auth/last_uses.h"
#include "services/auth/ldap_directory.h"
#include "services/auth/mechanisms.h"
#include "services/auth/metrics.h"
#include "services/auth/record_editor.h"
#include "services/auth/revocations.h"
#include "services/auth/sasl_service.h"
#include "services/auth/shared_key.h"
#include "services/auth/throttle_ledger.h"
#include "services/auth/throttle_service.h"
#include "services/auth/token_issuers.h"
#include "services/auth/user_catalogue.h"
#include "services/auth/user_secrets.h"
#include "services/auth/user_service.h"
#include "services/auth/verifier.h"
#include "services/base/clock.h"
#include "services/base/file.h"
#include "services/base/log.h"
#include "services/base/random.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/metrics/metrics.h"
#include "services/rpc/flags.h"
#include "services/rpc/host.h"
#include "services/store/master_key.h"
#include "services/store/open_store.h"
#include "services/store/sealed.h"

namespace gatepost::auth {
namespace {

constexpr char kProgram[] = "gatepost-auth";
// How soon credentials that found no verifier are told so, and idle exchanges ended.
constexpr std::chrono::milliseconds kTick{100};
constexpr std::chrono::seconds kHealthCheck{1};
// Threads of SaslService where a read of the store waits for the network (ADR 008).
constexpr int kLoopsThatWait = 4;

struct Options {
  std::string listen = "127.0.0.1:2060";
  std::string database;
  std::string database_password_file;
  std::string master_key_file;
  int slots = 0;
  int scram_iterations = kScramIterations;
  std::string keytab;
  std::string replay_cache;
  std::string token_issuers;
  std::string jwks_ca;
  std::string directory;
  bool restored = false;
  bool reflection = false;
  rpc::IdentityFiles identity;
  rpc::ServiceFlags service{.health_listen = "127.0.0.1:2061", .metrics_listen = "127.0.0.1:2062"};
};

std::optional<int> ParseFlags(int argc, char** argv, Options* options) {
  rpc::Flags flags(kProgram, "GATEPOST_AUTH_",
                   "Validates the credentials of SMTP clients for the edges of Gatepost, and keeps its users.");
  flags.Add("listen", &options->listen, "HOST:PORT of the API (mutual TLS)");
  flags.Add("database", &options->database, store::kDatabaseHelp)->required();
  flags.Add("database-password-file", &options->database_password_file, store::kPasswordFileHelp);
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
  flags.Add("keytab", &options->keytab, "A Kerberos keytab with keys of smtp/HOST; without one GSSAPI is not served");
  flags.Add("replay-cache", &options->replay_cache,
            "Where Kerberos keeps what it has seen, e.g. file2:/var/lib/gatepost/rcache; empty: as krb5.conf says");
  flags.Add("token-issuers", &options->token_issuers,
            "A JSON file that says whose bearer tokens are taken; without one OAUTHBEARER and XOAUTH2 are not served");
  flags.Add("jwks-ca", &options->jwks_ca,
            "PEM of the CAs believed when keys are fetched by HTTPS; empty: the system's");
  flags.Add("directory", &options->directory,
            "A JSON file that says where a directory of users is (LDAP): PLAIN and LOGIN ask it about logins of its domains "
            "that are none of our own users'");
  flags.AddSwitch("restored", &options->restored, "The database was restored from a backup. For one start only");
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
  absl::Status OpenStore();
  absl::Status Serve();
  void AddMetrics();
  void CheckStore();

  const Options& options_;
  const rpc::Process& process_;
  base::Log& log_;
  const base::Clock& clock_;
  base::SystemRandom random_;
  metrics::Registry registry_;
  const Metrics metrics_;
  std::unique_ptr<store::SealingKey> key_;
  std::unique_ptr<store::RecordStore> store_;
  std::unique_ptr<Verifier> verifier_;
  CredentialCache cache_{clock_, random_};
  std::unique_ptr<UserSecrets> secrets_;
  std::unique_ptr<RecordEditor> editor_;
  std::unique_ptr<UserCatalogue> users_;
  std::unique_ptr<GroupCatalogue> groups_;
  std::unique_ptr<CredentialCatalogue> credentials_;
  ThrottleMetrics throttle_metrics_;
  std::unique_ptr<ThrottleLedger> throttles_;
  std::unique_ptr<LastUses> last_uses_;
  DirectoryMetrics directory_metrics_;
  std::unique_ptr<LdapDirectory> directory_;  // nullptr: there is none
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<Admission> admission_;
  std::unique_ptr<KeySource> key_source_;
  std::unique_ptr<TokenIssuers> tokens_;
  std::unique_ptr<GssapiServer> gssapi_;
  std::unique_ptr<Mechanisms> mechanisms_;
  std::unique_ptr<Revocations> revocations_;

  std::unique_ptr<UserServiceImpl> user_service_;
  std::unique_ptr<GroupServiceImpl> group_service_;
  std::unique_ptr<CredentialServiceImpl> credential_service_;
  std::unique_ptr<SaslServiceImpl> sasl_service_;
  std::unique_ptr<ThrottleServiceImpl> throttle_service_;
  rpc::Host host_;  // behind the services, so that it goes first
  base::MonotonicTime checked_{};
};

Program::Program(const Options& options, const rpc::Process& process)
    : options_(options),
      process_(process),
      log_(process.log),
      clock_(process.clock),
      metrics_(registry_),
      throttle_metrics_(registry_),
      directory_metrics_(registry_),
      host_({kProgram, rpc::Role::kAuth, options.listen, options.reflection, options.identity, options.service,
             store::IsRemote(options.database) ? kLoopsThatWait : 1},
            clock_, log_, registry_) {}

absl::Status Program::OpenStore() {
  GATEPOST_ASSIGN_OR_RETURN(const store::SealingKey key, store::SealingKey::FromFile(options_.master_key_file));
  key_ = std::make_unique<store::SealingKey>(key);
  store::StoreOptions database;
  database.database = options_.database;
  database.password_file = options_.database_password_file;
  database.application_id = 0x47504131;  // "GPA1"
  database.schema = "gatepost_auth";
  database.new_epoch = options_.restored;
  database.program = kProgram;
  GATEPOST_ASSIGN_OR_RETURN(store_, store::OpenRecordStore(database, clock_, random_));
  GATEPOST_RETURN_IF_ERROR(store::CheckMasterKey(*store_, *key_, random_));
  const int slots = options_.slots > 0 ? options_.slots : std::max(1, AvailableCores() - 1);
  verifier_ = std::make_unique<Verifier>(slots, clock_, random_, metrics_);
  GATEPOST_ASSIGN_OR_RETURN(std::string decoy_key, SharedKey(*store_, *key_, "decoys", random_));
  GATEPOST_ASSIGN_OR_RETURN(const std::string application_key,
                            SharedKey(*store_, *key_, "application passwords", random_));
  secrets_ = std::make_unique<UserSecrets>(*store_, *key_, std::move(decoy_key),
                                           static_cast<uint32_t>(options_.scram_iterations), random_);
  editor_ = std::make_unique<RecordEditor>(*store_);
  groups_ = std::make_unique<GroupCatalogue>(*editor_, clock_);
  credentials_ = std::make_unique<CredentialCatalogue>(*editor_, *secrets_, application_key, clock_, random_);
  GATEPOST_ASSIGN_OR_RETURN(std::string tag_key, SharedKey(*store_, *key_, "throttle", random_));
  throttles_ = std::make_unique<ThrottleLedger>(*store_, clock_, random_, log_, throttle_metrics_,
                                                ThrottleLedger::Options{{}, std::move(tag_key)});
  GATEPOST_RETURN_IF_ERROR(throttles_->Start());
  last_uses_ = std::make_unique<LastUses>(*store_, clock_, log_, metrics_);
  last_uses_->Start();
  if (!options_.directory.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(DirectorySettings settings, LoadDirectorySettings(options_.directory));
    directory_ = std::make_unique<LdapDirectory>(std::move(settings), clock_, random_, log_, directory_metrics_);
  }
  users_ = std::make_unique<UserCatalogue>(*editor_, *verifier_, *secrets_, clock_, directory_.get());
  authenticator_ = std::make_unique<Authenticator>(*store_, *verifier_, cache_, *throttles_, *last_uses_,
                                                   application_key, clock_, log_, metrics_, directory_.get());
  admission_ = std::make_unique<Admission>(*store_, *secrets_, *throttles_, *last_uses_, clock_, log_, metrics_);
  if (!options_.token_issuers.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(options_.token_issuers));
    absl::StatusOr<std::vector<TokenIssuer>> issuers = ParseTokenIssuers(text);
    if (!issuers.ok()) {
      return absl::FailedPreconditionError(base::ToAbsl(
          base::StrCat("--token-issuers ", options_.token_issuers, ": ", base::FromAbsl(issuers.status().message()))));
    }
    key_source_ = std::make_unique<SystemKeySource>(options_.jwks_ca);
    tokens_ = std::make_unique<TokenIssuers>(*std::move(issuers), *key_source_, clock_, log_);
  }
  gssapi_ = std::make_unique<GssapiServer>(options_.keytab, options_.replay_cache);
  mechanisms_ = std::make_unique<Mechanisms>(*secrets_, *gssapi_, /*tokens=*/tokens_ != nullptr, clock_, random_);
  revocations_ = std::make_unique<Revocations>(*store_, clock_, log_, metrics_);
  return revocations_->Start();
}

absl::Status Program::Serve() {
  GATEPOST_RETURN_IF_ERROR(host_.Open());
  user_service_ = std::make_unique<UserServiceImpl>(host_.calls(), *users_);
  group_service_ = std::make_unique<GroupServiceImpl>(host_.calls(), *groups_);
  credential_service_ = std::make_unique<CredentialServiceImpl>(host_.calls(), *credentials_);
  throttle_service_ = std::make_unique<ThrottleServiceImpl>(host_.calls(), *throttles_);
  sasl_service_ = std::make_unique<SaslServiceImpl>(host_.calls(), host_.authorizer(), *mechanisms_,
                                                    SaslExchange::Judges{*authenticator_, *admission_, tokens_.get()},
                                                    *revocations_, clock_, log_, metrics_);
  GATEPOST_RETURN_IF_ERROR(host_.Serve({user_service_.get(), group_service_.get(), credential_service_.get(),
                                        sasl_service_.get(), throttle_service_.get()},
                                       {}));
  sasl_service_->Serve(host_.loops());
  return absl::OkStatus();
}

void Program::AddMetrics() {
  registry_.AddGaugeFunction("gatepost_auth_users", "Users; -1: the store does not answer.", [this] {
    const absl::StatusOr<int64_t> count = users_->Count();
    return count.ok() ? static_cast<double>(*count) : -1;
  });
  registry_.AddGaugeFunction("gatepost_auth_cache_entries", "Verified credentials that are remembered.",
                             [this] { return static_cast<double>(cache_.size()); });
  registry_.AddGaugeFunction("gatepost_auth_slot_queue", "Passwords that wait for a verifier.",
                             [this] { return static_cast<double>(verifier_->waiting()); });
  registry_.AddCounterFunction("gatepost_auth_argon2_total", "Runs of argon2id.",
                               [this] { return static_cast<double>(verifier_->runs()); });
  if (directory_ == nullptr) return;
  registry_.AddGaugeFunction("gatepost_auth_directory_up",
                             "1: a server of the directory answers, as far as is known; 0: none does.",
                             [this] { return directory_->up() ? 1 : 0; });
  registry_.AddGaugeFunction("gatepost_auth_directory_queue", "Logins that wait to be asked about.",
                             [this] { return static_cast<double>(directory_->waiting()); });
}

absl::Status Program::Start() {
  GATEPOST_RETURN_IF_ERROR(OpenStore());
  AddMetrics();
  GATEPOST_RETURN_IF_ERROR(Serve());
  CheckStore();
  return absl::OkStatus();
}

void Program::CheckStore() {
  const absl::Status read = store_->Read().status();
  const bool answers = read.ok();
  if (answers == host_.health().ready()) return;
  host_.health().SetReady(answers);
  if (!answers) log_.Error("store_unavailable", {{"error", base::FromAbsl(read.message())}});
}

void Program::Run() {
  host_.Run(process_.signals, kTick, [this] {
    verifier_->Tick();
    if (directory_ != nullptr) directory_->Tick();
    if (clock_.Now() - checked_ < kHealthCheck) return;
    checked_ = clock_.Now();
    sasl_service_->Tick();
    CheckStore();
  });
  host_.Stop([this] { sasl_service_->Drain(); });
  // Its last answers go to streams that are gone.
  verifier_->Stop();
  if (tokens_ != nullptr) tokens_->Stop();
  if (directory_ != nullptr) directory_->Stop();
  host_.StopMetrics();
  log_.Info("stopped", {});
}

int Main(int argc, char** argv) {
  // What libldap does is said by --directory alone, not by ldap.conf and its like.
  setenv("LDAPNOINIT", "1", /*overwrite=*/1);
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
}  // namespace gatepost::auth

int main(int argc, char** argv) { return gatepost::auth::Main(argc, argv); }
