#include "services/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

#include <mutex>

#include "services/base/strings.h"
#include "services/rpc/limits.h"

namespace gatepost::rpc {
namespace {

// gRPC decides when a server is built whether it has the health service, by a process-wide switch.
void EnableHealth() {
  static std::once_flag once;
  std::call_once(once, [] { grpc::EnableDefaultHealthCheckService(true); });
}

void Bound(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(limits::kMessageOctets);
  builder.SetMaxSendMessageSize(limits::kMessageOctets);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, limits::kMetadataOctets);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits::kStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, limits::kConnectionAgeMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, limits::kConnectionGraceMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, limits::kKeepaliveMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, limits::kKeepaliveTimeoutMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, limits::kPermittedPingMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, limits::kHandshakeMilliseconds);
  // An occupied port is an error, never shared.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

absl::Status CannotListen(const std::string& listen) {
  return absl::UnavailableError(
      base::ToAbsl(base::StrCat("cannot listen on ", listen, ": is the address this machine's, and the port free?")));
}

void SetHealth(grpc::Server& server, bool ready) {
  grpc::HealthCheckServiceInterface* health = server.GetHealthCheckService();
  if (health == nullptr) return;
  health->SetServingStatus("liveness", true);
  health->SetServingStatus("readiness", ready);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, const std::vector<grpc::Service*>& services) {
  EnableHealth();
  if (options.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  std::unique_ptr<Server> server(new Server());
  grpc::ServerBuilder builder;
  Bound(builder);
  builder.AddListeningPort(options.listen, MakeServerCredentials(options.files), &server->port_);
  for (grpc::Service* service : services) builder.RegisterService(service);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || server->port_ == 0) return CannotListen(options.listen);
  SetHealth(*server->server_, false);
  return server;
}

Server::~Server() { Shutdown(std::chrono::milliseconds(0)); }

void Server::SetReady(bool ready) { SetHealth(*server_, ready); }

void Server::Shutdown(std::chrono::milliseconds deadline) {
  if (server_ == nullptr) return;
  SetHealth(*server_, false);
  server_->Shutdown(std::chrono::system_clock::now() + deadline);
  server_->Wait();
  server_ = nullptr;
}

absl::StatusOr<std::unique_ptr<HealthServer>> HealthServer::Start(const std::string& listen) {
  EnableHealth();
  std::unique_ptr<HealthServer> server(new HealthServer());
  grpc::ServerBuilder builder;
  Bound(builder);
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &server->port_);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || server->port_ == 0) return CannotListen(listen);
  SetHealth(*server->server_, false);
  return server;
}

HealthServer::~HealthServer() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

void HealthServer::SetReady(bool ready) { SetHealth(*server_, ready); }

}  // namespace gatepost::rpc
