// A whole auth service over real gRPC with mutual TLS, on a store in memory and a clock that tests move.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gatepost/auth/v1/credential.grpc.pb.h"
#include "gatepost/auth/v1/group.grpc.pb.h"
#include "gatepost/auth/v1/sasl_service.grpc.pb.h"
#include "gatepost/auth/v1/user.grpc.pb.h"
#include "services/auth/authenticator.h"
#include "services/auth/credential_cache.h"
#include "services/auth/credential_catalogue.h"
#include "services/auth/credential_service.h"
#include "services/auth/directory.h"
#include "services/auth/group_catalogue.h"
#include "services/auth/group_service.h"
#include "services/auth/last_uses.h"
#include "services/auth/record_editor.h"
#include "services/auth/revocations.h"
#include "services/auth/sasl_service.h"
#include "services/auth/user_catalogue.h"
#include "services/auth/user_records.h"
#include "services/auth/user_secrets.h"
#include "services/auth/user_service.h"
#include "services/auth/verifier.h"
#include "services/base/fake_clock.h"
#include "services/base/random.h"
#include "services/rpc/channel.h"
#include "services/rpc/server.h"
#include "services/rpc/test_pki.h"
#include "services/store/memory_store.h"

namespace gatepost::auth {

// A view whose store was lost behind it.
class LostView final : public store::View {
 public:
  int64_t revision() const override { return 0; }
  absl::StatusOr<store::Record> Get(std::string_view) override { return Lost(); }
  absl::StatusOr<std::vector<store::Record>> List(std::string_view, std::string_view, size_t, size_t, bool*) override {
    return Lost();
  }
  absl::StatusOr<int64_t> Count(std::string_view) override { return Lost(); }
  absl::StatusOr<std::vector<store::Change>> ChangesSince(int64_t) override { return Lost(); }

 private:
  static absl::Status Lost() { return absl::UnavailableError("the store is lost"); }
};

// Counts the records that a login asks for: those of a view whose first one is of a login. What other threads read
// meanwhile is not counted.
class CountingView final : public store::View {
 public:
  CountingView(std::unique_ptr<store::View> view, std::atomic<uint64_t>* reads)
      : view_(std::move(view)), reads_(*reads) {}

  int64_t revision() const override { return view_->revision(); }
  absl::StatusOr<store::Record> Get(std::string_view key) override {
    counts_ = counts_ || key.starts_with(kLogins);
    if (counts_) ++reads_;
    return view_->Get(key);
  }
  absl::StatusOr<std::vector<store::Record>> List(std::string_view prefix, std::string_view after, size_t max_records,
                                                  size_t max_bytes, bool* more) override {
    return view_->List(prefix, after, max_records, max_bytes, more);
  }
  absl::StatusOr<int64_t> Count(std::string_view prefix) override { return view_->Count(prefix); }
  absl::StatusOr<std::vector<store::Change>> ChangesSince(int64_t revision) override {
    return view_->ChangesSince(revision);
  }

 private:
  const std::unique_ptr<store::View> view_;
  std::atomic<uint64_t>& reads_;
  bool counts_ = false;
};

// A store that does not answer while a test says so, and counts what logins read.
class FlakyStore final : public store::RecordStore {
 public:
  explicit FlakyStore(store::RecordStore& store) : store_(store) {}
  std::atomic<bool> down{false};
  std::atomic<uint64_t> login_reads{0};
  std::atomic<bool> views_lost{false};  // Views are given out, but show nothing.

  const std::string& epoch() const override { return store_.epoch(); }
  absl::StatusOr<std::unique_ptr<store::View>> Read() override {
    if (down) return absl::UnavailableError("the store is down");
    if (views_lost) return std::make_unique<LostView>();
    absl::StatusOr<std::unique_ptr<store::View>> view = store_.Read();
    if (!view.ok()) return view.status();
    return std::make_unique<CountingView>(*std::move(view), &login_reads);
  }
  absl::StatusOr<store::Committed> Commit(const store::Transaction& transaction) override {
    if (down) return absl::UnavailableError("the store is down");
    return store_.Commit(transaction);
  }
  void SetListener(Listener listener) override { store_.SetListener(std::move(listener)); }

 private:
  store::RecordStore& store_;
};

// Whose users' sessions can be ended; nobody logs in by it.
class SilentDirectory final : public Directory {
 public:
  std::string_view name() const override { return "corp"; }
  bool Serves(std::string_view login_key) const override { return login_key.ends_with("@corp.example"); }
  void Verify(std::string, base::Secret, std::shared_ptr<const std::atomic<bool>>, Done done) override { done({}); }
};

class TestWorld {
 public:
  static constexpr int kSlots = 2;
  static inline const std::string kApplicationKey = std::string(32, 'a');

  explicit TestWorld(int64_t most_users = kMostUsers, GroupCatalogue::Limits group_limits = {})
      : user_catalogue_(editor_, verifier, secrets, clock, &directory, most_users),
        group_catalogue_(editor_, clock, group_limits) {
    EXPECT_TRUE(revocations.Start().ok());
    rpc::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.identity = pki_.Issue("auth/a");
    auto server = rpc::StartServer(options, {&users_, &groups_, &credentials_, &sasl}, health_);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    port_ = server_->port();
    sasl.Serve(server_->loops());
  }
  ~TestWorld() {
    server_.reset();
    verifier.Stop();
  }

  // `who`: "admin/a".
  std::shared_ptr<grpc::Channel> Channel(const std::string& who) {
    std::shared_ptr<grpc::Channel>& channel = channels_[who];
    if (channel == nullptr) {
      channel = *rpc::MakeChannel({.address = "127.0.0.1:" + std::to_string(port_),
                                   .identity = pki_.Issue(who),
                                   .server_role = rpc::Role::kAuth});
    }
    return channel;
  }
  std::unique_ptr<v1::UserService::Stub> Users(const std::string& who = "admin/a") {
    return v1::UserService::NewStub(Channel(who));
  }
  std::unique_ptr<v1::GroupService::Stub> Groups(const std::string& who = "admin/a") {
    return v1::GroupService::NewStub(Channel(who));
  }
  std::unique_ptr<v1::CredentialService::Stub> Credentials(const std::string& who = "admin/a") {
    return v1::CredentialService::NewStub(Channel(who));
  }

  v1::User AddUser(const std::string& id, const std::string& login, const std::string& password) {
    v1::CreateUserRequest request;
    request.set_user_id(id);
    request.mutable_user()->set_login(login);
    request.mutable_user()->set_password(password);
    v1::User user;
    grpc::ClientContext context;
    const grpc::Status status = Users()->CreateUser(&context, request, &user);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return user;
  }
  void Disable(const std::string& id) {
    v1::DisableUserRequest request;
    request.set_name("users/" + id);
    v1::User user;
    grpc::ClientContext context;
    EXPECT_TRUE(Users()->DisableUser(&context, request, &user).ok());
  }
  void SetPassword(const std::string& id, const std::string& password) {
    v1::SetUserPasswordRequest request;
    request.set_name("users/" + id);
    request.set_password(password);
    v1::User user;
    grpc::ClientContext context;
    EXPECT_TRUE(Users()->SetUserPassword(&context, request, &user).ok());
  }

  // All that the log has written so far; ends the log.
  std::string TakeLog() {
    log_.reset();
    std::string text(static_cast<size_t>(lseek(log_fd_, 0, SEEK_END)), '\0');
    EXPECT_EQ(pread(log_fd_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }

  base::FakeClock clock;
  base::SystemRandom random;
  metrics::Registry registry;
  const Metrics metrics{registry};
  store::MemoryStore memory{clock, random};
  FlakyStore store{memory};
  Verifier verifier{kSlots, clock, random, metrics};
  CredentialCache cache{clock, random};
  const store::SealingKey key = *store::SealingKey::FromBytes(std::string(32, 'm'));
  UserSecrets secrets{store, key, std::string(32, 'd'), kLeastScramIterations, random};
  SilentDirectory directory;

 private:
  rpc::TestPki pki_;
  const int log_fd_ = memfd_create("log", MFD_CLOEXEC);
  base::SystemClock wall_;
  std::unique_ptr<base::Log> log_ = std::make_unique<base::Log>(wall_, base::Log::Options{.fd = log_fd_});
  RecordEditor editor_{store};
  UserCatalogue user_catalogue_;
  GroupCatalogue group_catalogue_;
  CredentialCatalogue credential_catalogue_{editor_, secrets, kApplicationKey, clock, random};
  ThrottleMetrics throttle_metrics;
  ThrottleLedger throttles{store, clock, random, *log_, throttle_metrics, {{}, std::string(32, 'k')}};

 public:
  // Written when a test says so.
  LastUses last_uses{store, clock, *log_, metrics};
  Authenticator authenticator{store, verifier, cache, throttles, last_uses, kApplicationKey, clock, *log_, metrics};

 private:
  Admission admission_{store, secrets, throttles, last_uses, clock, *log_, metrics};
  const GssapiServer gssapi_{"", ""};
  Mechanisms mechanisms_{secrets, gssapi_, /*tokens=*/false, clock, random};

 public:
  Revocations revocations{store, clock, *log_, metrics};

 private:
  rpc::Authorizer authorizer_{"test", nullptr};
  rpc::Calls calls_{authorizer_, *log_, registry};
  UserServiceImpl users_{calls_, user_catalogue_};
  GroupServiceImpl groups_{calls_, group_catalogue_};
  CredentialServiceImpl credentials_{calls_, credential_catalogue_};

 public:
  SaslServiceImpl sasl{calls_, authorizer_, mechanisms_, {authenticator, admission_, nullptr}, revocations, clock, *log_,
                       metrics};

 private:
  int port_ = 0;
  rpc::HealthService health_;
  std::unique_ptr<rpc::Server> server_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
};

// An edge's end of one Authenticate.
class EdgeStream {
 public:
  explicit EdgeStream(TestWorld& world, const std::string& who = "edge/e")
      : stub_(v1::SaslService::NewStub(world.Channel(who))) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    stream_ = stub_->Authenticate(&context_);
  }
  ~EdgeStream() {
    context_.TryCancel();
    if (!finished_) stream_->Finish();
  }

  // Where the client of the next exchanges is; empty: nobody said.
  std::string client;

  void Start(uint64_t id, const std::string& mechanism, std::optional<std::string> initial,
             const std::string& default_domain = "") {
    v1::AuthenticateRequest request;
    request.set_exchange_id(id);
    v1::Start& start = *request.mutable_start();
    start.set_virtual_server("virtualServers/submission");
    start.set_mechanism(mechanism);
    start.set_default_domain(default_domain);
    start.mutable_peer()->set_address(client);
    if (initial) start.set_initial_response(*initial);
    stream_->Write(request);
  }
  void Respond(uint64_t id, const std::string& data) {
    v1::AuthenticateRequest request;
    request.set_exchange_id(id);
    request.mutable_response()->set_data(data);
    stream_->Write(request);
  }
  void Cancel(uint64_t id) {
    v1::AuthenticateRequest request;
    request.set_exchange_id(id);
    request.mutable_cancel();
    stream_->Write(request);
  }
  void Write(const v1::AuthenticateRequest& request) { stream_->Write(request); }

  // The next message; without one the stream has ended.
  std::optional<v1::AuthenticateResponse> Read() {
    v1::AuthenticateResponse response;
    if (!stream_->Read(&response)) return std::nullopt;
    return response;
  }
  // The next that is an answer.
  v1::AuthenticateResponse Answer() {
    while (std::optional<v1::AuthenticateResponse> response = Read()) {
      if (response->exchange_id() != 0) return *response;
    }
    ADD_FAILURE() << "the stream ended: " << Finish().error_message();
    return {};
  }
  v1::AuthenticateResponse Plain(uint64_t id, const std::string& login, const std::string& password) {
    Start(id, "PLAIN", PlainMessage("", login, password));
    return Answer();
  }
  static std::string PlainMessage(const std::string& authzid, const std::string& login, const std::string& password) {
    return authzid + '\0' + login + '\0' + password;
  }
  void HalfClose() { stream_->WritesDone(); }
  grpc::Status Finish() {
    finished_ = true;
    return stream_->Finish();
  }

 private:
  std::unique_ptr<v1::SaslService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AuthenticateRequest, v1::AuthenticateResponse>> stream_;
  bool finished_ = false;
};

}  // namespace gatepost::auth
