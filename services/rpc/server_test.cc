// Mutual TLS over real connections: who gets through, who is refused with which reason, certificates that change while
// the server runs, the limits of the control plane, health.
#include "services/rpc/server.h"

#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "gatepost/auth/v1/user.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "services/base/log.h"
#include "services/rpc/authorization.h"
#include "services/rpc/call.h"
#include "services/rpc/channel.h"
#include "services/rpc/health.h"
#include "services/rpc/test_pki.h"

namespace gatepost::rpc {
namespace {

using auth::v1::GetUserRequest;
using auth::v1::User;
using auth::v1::UserService;
using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// Answers with who asks; when the test says so, if the name asked for is `slow`.
class Echo final : public UserService::Service {
 public:
  explicit Echo(const Calls& calls) : calls_(calls) {}
  grpc::Status GetUser(grpc::ServerContext* context, const GetUserRequest* request, User* response) override {
    return calls_.Handle(*context, "gatepost.auth.v1.UserService.GetUser", [&](Call& call) {
      if (request->name() == "slow") go_on.WaitForNotification();
      response->set_name(call.caller.uri);
      return absl::OkStatus();
    });
  }
  absl::Notification go_on;

 private:
  const Calls& calls_;
};

class ServerTest : public testing::Test {
 protected:
  void Start(const IdentityFiles& identity, std::chrono::milliseconds most = kMaxUnaryTime) {
    TestPki::Write(denied_path_, "");
    denied_ = *DenyList::Open(denied_path_, clock_);
    authorizer_ = std::make_unique<Authorizer>("test", denied_.get());
    calls_ = std::make_unique<Calls>(*authorizer_, log_, registry_, most);
    echo_ = std::make_unique<Echo>(*calls_);
    ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.identity = identity;
    auto server = StartServer(options, {echo_.get()}, health_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    port_ = server_->port();
  }
  void TearDown() override {
    health_.Shutdown();
    server_.reset();
  }
  std::string Address(const char* host = "127.0.0.1") const { return std::string(host) + ":" + std::to_string(port_); }

  static grpc::Status Ask(const std::shared_ptr<grpc::Channel>& channel, User* response,
                          const GetUserRequest& request = {}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    return UserService::NewStub(channel)->GetUser(&context, request, response);
  }
  grpc::Status AskAs(const IdentityFiles& identity, Role server_role = Role::kAuth, const char* host = "127.0.0.1",
                     const std::string& server_name = "") {
    auto channel = MakeChannel(
        {.address = Address(host), .identity = identity, .server_role = server_role, .server_name = server_name});
    if (!channel.ok()) return ToGrpcStatus(channel.status());
    User response;
    const grpc::Status status = Ask(*channel, &response);
    if (status.ok()) EXPECT_EQ(response.name(), ReadOwnIdentity(identity)->identity.uri);
    return status;
  }
  // A client that does not judge its own identity, as ours do before they dial.
  grpc::Status AskRaw(const TestPki& trusted, const tls::LeafOptions* leaf, const TestPki& issuer) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = trusted.ca();
    if (leaf != nullptr) options.pem_cert_chain = issuer.IssuePem(*leaf, &options.pem_private_key);
    User response;
    return Ask(grpc::CreateChannel(Address("localhost"), grpc::SslCredentials(options)), &response);
  }

  TestPki pki_;
  base::SystemClock clock_;
  base::Log log_{clock_};
  metrics::Registry registry_;
  const std::string denied_path_ = pki_.folder() + "/denied";
  std::unique_ptr<DenyList> denied_;
  std::unique_ptr<Authorizer> authorizer_;
  std::unique_ptr<Calls> calls_;
  std::unique_ptr<Echo> echo_;
  HealthService health_;
  std::unique_ptr<Server> server_;
  int port_ = 0;
};

TEST_F(ServerTest, APeerOfOurCaWithTheRoleIsServed) {
  Start(pki_.Issue("auth/a"));
  EXPECT_TRUE(AskAs(pki_.Issue("viewer/v")).ok());
  EXPECT_TRUE(AskAs(pki_.Issue("admin/v")).ok());
}

// threats.md, Service identity: no cert, other CA, CA:TRUE leaf, 2 URI SANs, other trust domain, expired, other role.
TEST_F(ServerTest, PeersWithoutAnIdentityOfOursAreRefused) {
  Start(pki_.Issue("auth/a"));
  const TestPki other;
  const tls::LeafOptions good = TestPki::Leaf("viewer/v");
  EXPECT_TRUE(AskRaw(pki_, &good, pki_).ok()) << "the control: this client is refused for nothing else";

  EXPECT_EQ(AskRaw(pki_, nullptr, pki_).error_code(), grpc::StatusCode::UNAVAILABLE) << "no certificate";
  EXPECT_EQ(AskRaw(pki_, &good, other).error_code(), grpc::StatusCode::UNAVAILABLE) << "another CA";
  tls::LeafOptions expired = good;
  expired.now = std::chrono::system_clock::now() - std::chrono::hours(24 * 10);
  expired.days = 5;
  EXPECT_EQ(AskRaw(pki_, &expired, pki_).error_code(), grpc::StatusCode::UNAVAILABLE) << "expired";

  const auto unauthenticated = [&](const tls::LeafOptions& leaf, const char* what) {
    const grpc::Status status = AskRaw(pki_, &leaf, pki_);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << what << ": " << status.error_message();
    EXPECT_EQ(DecodeDetails(status).reason, "NO_IDENTITY") << what;
  };
  tls::LeafOptions bad = good;
  bad.is_ca = true;
  // Refused by OpenSSL at the handshake or by us at the call: both are fine.
  EXPECT_FALSE(AskRaw(pki_, &bad, pki_).ok()) << "CA:TRUE";
  bad = good;
  bad.uris.push_back("spiffe://test/gatepost/admin/v");
  unauthenticated(bad, "two URIs");
  bad = good;
  bad.uris.clear();
  unauthenticated(bad, "no URI");
  bad = good;
  bad.uris = {"spiffe://other/gatepost/viewer/v"};
  unauthenticated(bad, "another trust domain");
  bad = good;
  bad.uris = {"spiffe://test/gatepost/root/v"};
  unauthenticated(bad, "an unknown role");

  const grpc::Status edge = AskAs(pki_.Issue("edge/e"));
  EXPECT_EQ(edge.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(DecodeDetails(edge).reason, "ROLE_NOT_ALLOWED");
}

TEST_F(ServerTest, AClientRefusesTheRightRoleUnderAWrongNameAndTheReverse) {
  Start(pki_.Issue("auth/a"));
  const IdentityFiles viewer = pki_.Issue("viewer/v");
  EXPECT_TRUE(AskAs(viewer, Role::kAuth, "127.0.0.1").ok());
  EXPECT_TRUE(AskAs(viewer, Role::kAuth, "localhost").ok());
  EXPECT_TRUE(AskAs(viewer, Role::kAuth, "127.0.0.1", "localhost").ok()) << "a tunnel";
  EXPECT_EQ(AskAs(viewer, Role::kAuth, "127.0.0.1", "auth.example.org").error_code(), grpc::StatusCode::UNAVAILABLE)
      << "right role, wrong name";
  EXPECT_EQ(AskAs(viewer, Role::kAuth, "127.0.0.1", "127.0.0.2").error_code(), grpc::StatusCode::UNAVAILABLE)
      << "right role, wrong address";
  EXPECT_EQ(AskAs(viewer, Role::kConfig).error_code(), grpc::StatusCode::UNAVAILABLE) << "right name, wrong role";
}

TEST_F(ServerTest, AStolenEdgeCertificateCannotAnswerAsAuth) {
  Start(pki_.Issue("edge/e"));
  EXPECT_EQ(AskAs(pki_.Issue("viewer/v"), Role::kAuth).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, AClientRefusesAServerOfAnotherTrustDomainOrCa) {
  tls::LeafOptions foreign = TestPki::Leaf("auth/a");
  foreign.uris = {"spiffe://other/gatepost/auth/a"};
  Start(pki_.Issue(foreign));
  EXPECT_EQ(AskAs(pki_.Issue("viewer/v")).error_code(), grpc::StatusCode::UNAVAILABLE);
  TestPki stranger;
  EXPECT_EQ(AskAs(stranger.Issue("viewer/v")).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, ADeniedIdentityIsRefusedOnTheConnectionThatItHas) {
  Start(pki_.Issue("auth/a"));
  auto channel = MakeChannel({.address = Address(), .identity = pki_.Issue("viewer/v"), .server_role = Role::kAuth});
  ASSERT_TRUE(channel.ok());
  User response;
  ASSERT_TRUE(Ask(*channel, &response).ok());
  TestPki::Write(denied_path_, "spiffe://test/gatepost/viewer/v\n");
  ASSERT_TRUE(denied_->Reload().ok());
  const grpc::Status status = Ask(*channel, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(DecodeDetails(status).reason, "IDENTITY_DENIED");
}

// A rotation of the CA: the bundle with both, then leaves of the new one, without a restart.
TEST_F(ServerTest, CertificatesAndBundlesAreReloaded) {
  TestPki next;
  const IdentityFiles server = pki_.Issue("auth/a");
  Start(server);
  const IdentityFiles client = next.Issue(TestPki::Leaf("viewer/v"), next.ca() + pki_.ca());
  EXPECT_EQ(AskAs(client).error_code(), grpc::StatusCode::UNAVAILABLE) << "before the rotation";
  // Files change; the watchers look every second.
  next.Replace(server, TestPki::Leaf("auth/a"), pki_.ca() + next.ca());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  grpc::Status status;
  do {
    status = AskAs(client);
  } while (!status.ok() && std::chrono::steady_clock::now() < deadline);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(AskAs(pki_.Issue(TestPki::Leaf("viewer/old"), pki_.ca() + next.ca())).ok())
      << "the old CA's leaves live on";
}

TEST_F(ServerTest, StartSaysWhatIsWrong) {
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  EXPECT_TRUE(absl::IsFailedPrecondition(StartServer(options, {}, health_).status()));
  Start(pki_.Issue("auth/a"));
  options.listen = Address();
  options.identity = pki_.Issue("auth/a");
  EXPECT_TRUE(absl::IsUnavailable(StartServer(options, {}, health_).status())) << "a port is never shared";
}

// limits.md, Control plane: 4 MiB.
TEST_F(ServerTest, AMessageOf4MiBIsTakenAndOneOctetMoreIsNot) {
  Start(pki_.Issue("auth/a"));
  auto channel = MakeChannel({.address = Address(), .identity = pki_.Issue("viewer/v"), .server_role = Role::kAuth});
  GetUserRequest request;
  request.set_name(std::string(kMaxMessageBytes - 5, 'x'));
  ASSERT_EQ(request.ByteSizeLong(), static_cast<size_t>(kMaxMessageBytes));
  User response;
  EXPECT_TRUE(Ask(*channel, &response, request).ok());
  request.mutable_name()->push_back('x');
  EXPECT_EQ(Ask(*channel, &response, request).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// limits.md, Control plane: 8 KiB, of which each entry is 32 octets more than its name and value (RFC 7541 4.1);
// threats.md D7.
TEST_F(ServerTest, MetadataOf8KiBAreTakenAndOneOctetMoreAreNot) {
  Start(pki_.Issue("auth/a"));
  const IdentityFiles viewer = pki_.Issue("viewer/v");
  const auto ask = [&](size_t octets) {
    // Each on a connection of its own: with the refused call its connection goes.
    auto channel = MakeChannel({.address = Address(), .identity = viewer, .server_role = Role::kAuth});
    grpc::ClientContext context;  // without a deadline, whose own entry would be longer or shorter by an octet
    context.AddMetadata("x-padding", std::string(octets, 'x'));
    User response;
    return UserService::NewStub(*channel)->GetUser(&context, {}, &response).error_code();
  };
  // gRPC adds entries of its own, a few hundred octets: the last size that is taken is found by halving.
  size_t taken = 1, refused = kMaxMetadataBytes;
  ASSERT_EQ(ask(taken), grpc::StatusCode::OK);
  ASSERT_EQ(ask(refused), grpc::StatusCode::RESOURCE_EXHAUSTED);
  while (refused - taken > 1) {
    const size_t middle = (taken + refused) / 2;
    (ask(middle) == grpc::StatusCode::OK ? taken : refused) = middle;
  }
  EXPECT_EQ(ask(refused), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_GT(taken, size_t{kMaxMetadataBytes - 1024});
}

// limits.md, Control plane: 10 s, also for a client that gives no deadline.
TEST_F(ServerTest, AUnaryCallEndsAtItsDeadlineWhateverItsClientSays) {
  EXPECT_EQ(kMaxUnaryTime, std::chrono::seconds(10));
  Start(pki_.Issue("auth/a"), std::chrono::milliseconds(300));
  auto channel = MakeChannel({.address = Address(), .identity = pki_.Issue("viewer/v"), .server_role = Role::kAuth});
  const auto ask = [&](const char* name) {
    grpc::ClientContext context;
    GetUserRequest request;
    request.set_name(name);
    User response;
    return UserService::NewStub(*channel)->GetUser(&context, request, &response);
  };
  EXPECT_TRUE(ask("quick").ok());
  const auto begun = std::chrono::steady_clock::now();
  const grpc::Status status = ask("slow");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(300));
  // Its handler is still at work; the connection serves on.
  EXPECT_TRUE(ask("quick").ok());
  echo_->go_on.Notify();
  EXPECT_TRUE(ask("slow").ok()) << "in time now";
}

// threats.md M5: compressed messages are refused, whatever they would grow to.
TEST_F(ServerTest, CompressedMessagesAreRefused) {
  Start(pki_.Issue("auth/a"));
  auto channel = MakeChannel({.address = Address(), .identity = pki_.Issue("viewer/v"), .server_role = Role::kAuth});
  for (const grpc_compression_algorithm algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    context.set_compression_algorithm(algorithm);
    GetUserRequest request;
    request.set_name(std::string(1 << 20, 'x'));
    User response;
    const grpc::Status status = UserService::NewStub(*channel)->GetUser(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
  }
}

// limits.md, Control plane: 100 streams of a connection; the next waits for one to end.
TEST_F(ServerTest, TheHundredAndFirstStreamWaits) {
  Start(pki_.Issue("auth/a"));
  auto channel = MakeChannel({.address = Address(), .identity = pki_.Issue("viewer/v"), .server_role = Role::kAuth});
  const auto stub = Health::NewStub(*channel);
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader;
  };
  std::vector<std::unique_ptr<Stream>> streams;
  HealthCheckResponse response;
  for (int i = 0; i < kMaxConcurrentStreams; ++i) {
    streams.push_back(std::make_unique<Stream>());
    streams.back()->reader = stub->Watch(&streams.back()->context, HealthCheckRequest());
    ASSERT_TRUE(streams.back()->reader->Read(&response)) << i;
  }
  grpc::ClientContext late;
  late.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
  const auto reader = stub->Watch(&late, HealthCheckRequest());
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  streams.front()->context.TryCancel();
  streams.front()->reader->Finish();
  grpc::ClientContext again;
  again.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  const auto second = stub->Watch(&again, HealthCheckRequest());
  EXPECT_TRUE(second->Read(&response));
  again.TryCancel();
  second->Finish();
  for (auto& stream : streams) stream->context.TryCancel();
  for (size_t i = 1; i < streams.size(); ++i) streams[i]->reader->Finish();
}

TEST_F(ServerTest, HealthIsServedInTheClearAndFollowsReadiness) {
  auto server = StartPlaintextServer("127.0.0.1:0", health_, CompletionLoop::Driver::kWaiting);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto stub =
      Health::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string((*server)->port()), grpc::InsecureChannelCredentials()));
  const auto check = [&](const std::string& service) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    const grpc::Status status = stub->Check(&context, request, &response);
    return status.ok() ? HealthCheckResponse::ServingStatus_Name(response.status())
                       : std::to_string(status.error_code());
  };
  EXPECT_EQ(check("liveness"), "SERVING");
  EXPECT_EQ(check("readiness"), "NOT_SERVING");
  EXPECT_EQ(check("nothing"), std::to_string(grpc::StatusCode::NOT_FOUND));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  HealthCheckRequest request;
  request.set_service("readiness");
  const auto watch = stub->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  health_.SetReady(true);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  EXPECT_EQ(check("readiness"), "SERVING");
  EXPECT_EQ(check(""), "SERVING");
  health_.Shutdown();
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(check("readiness"), "NOT_SERVING");
}

}  // namespace
}  // namespace gatepost::rpc
