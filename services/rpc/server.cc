#include "services/rpc/server.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::rpc {
namespace {

// Handlers that block, on all connections together; beyond it RESOURCE_EXHAUSTED.
constexpr int kMaxHandlerThreads = 64;

int Milliseconds(std::chrono::milliseconds duration) { return static_cast<int>(duration.count()); }

void SetLimits(const char* name, grpc::ServerBuilder* builder) {
  grpc::ResourceQuota quota(name);
  quota.SetMaxThreads(kMaxHandlerThreads);
  builder->SetResourceQuota(quota);
  builder->SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxConcurrentStreams);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 15'000);
  // A port that another process has is an error, not shared.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Nothing is decompressed: a small message could be made of gigabytes, and the limit is judged before. UNIMPLEMENTED.
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder->AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder->SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
}

// With `loops` queues, each driven by a loop.
absl::StatusOr<std::unique_ptr<Server>> Start(const std::string& listen, HealthService& health, int loops,
                                              CompletionLoop::Driver driver, grpc::ServerBuilder* builder,
                                              const int* port) {
  auto registered = std::make_unique<HealthService::Registered>();
  builder->RegisterService(registered.get());
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  for (int i = 0; i < loops; ++i) queues.push_back(builder->AddCompletionQueue());
  std::unique_ptr<grpc::Server> server = builder->BuildAndStart();
  std::vector<std::unique_ptr<CompletionLoop>> running;
  for (auto& queue : queues) running.push_back(std::make_unique<CompletionLoop>(std::move(queue), driver));
  if (server == nullptr || *port <= 0) {
    return absl::UnavailableError(
        base::StrCat("cannot listen on ", listen, ": is the address this machine's, and free?"));
  }
  health.Serve(*registered, *running.front());
  return std::make_unique<Server>(std::move(registered), std::move(server), std::move(running), *port);
}

}  // namespace

Server::Server(std::unique_ptr<HealthService::Registered> health, std::unique_ptr<grpc::Server> server,
               std::vector<std::unique_ptr<CompletionLoop>> loops, int port)
    : health_(std::move(health)), server_(std::move(server)), loops_(std::move(loops)), port_(port) {}

Server::~Server() { Stop(); }

void Server::Stop(std::chrono::milliseconds grace) {
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
}

absl::StatusOr<std::unique_ptr<Server>> StartServer(const ServerOptions& options,
                                                    const std::vector<grpc::Service*>& services,
                                                    HealthService& health) {
  GATEPOST_RETURN_IF_ERROR(ReadOwnIdentity(options.identity).status());
  grpc::experimental::TlsServerCredentialsOptions tls(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          options.identity.key, options.identity.cert, options.identity.ca, options.identity.reload_seconds));
  tls.watch_root_certs();
  tls.watch_identity_key_cert_pairs();
  tls.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  // gRPC verifies chain and dates; what the leaf says is judged per call, so that a refusal has a reason, and a denied
  // identity is refused on the connections that it has.
  tls.set_check_call_host(false);

  if (options.reflection) {
    static const bool kOnce = (grpc::reflection::InitProtoReflectionServerBuilderPlugin(), true);
    (void)kOnce;
  }
  grpc::ServerBuilder builder;
  SetLimits("api", &builder);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Milliseconds(options.connection_age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Milliseconds(options.connection_grace));
  // Clients ping every 30 s; every 10 s is permitted. We ping too: a peer whose machine is gone holds nothing for long.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  int port = 0;
  builder.AddListeningPort(options.listen, grpc::experimental::TlsServerCredentials(tls), &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  return Start(options.listen, health, options.loops, CompletionLoop::Driver::kWaiting, &builder, &port);
}

absl::StatusOr<std::unique_ptr<Server>> StartPlaintextServer(const std::string& listen, HealthService& health,
                                                             CompletionLoop::Driver driver) {
  grpc::ServerBuilder builder;
  SetLimits("health", &builder);
  int port = 0;
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
  return Start(listen, health, 1, driver, &builder, &port);
}

}  // namespace gatepost::rpc
