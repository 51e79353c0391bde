// VirtualServerService on gRPC (proto/gatepost/config/v1/virtual_server.proto).
#pragma once

#include "gatepost/config/v1/virtual_server.grpc.pb.h"
#include "services/config/catalogue.h"
#include "services/config/handler.h"
#include "services/config/repository.h"

namespace gatepost::config {

class VirtualServerServiceImpl final : public v1::VirtualServerService::Service {
 public:
  // The references outlive the service.
  VirtualServerServiceImpl(const Handler& handler, Catalogue& catalogue, Repository& repository)
      : handler_(handler), catalogue_(catalogue), repository_(repository) {}

  grpc::Status GetVirtualServer(grpc::ServerContext* context, const v1::GetVirtualServerRequest* request,
                                v1::VirtualServer* response) override;
  grpc::Status ListVirtualServers(grpc::ServerContext* context, const v1::ListVirtualServersRequest* request,
                                  v1::ListVirtualServersResponse* response) override;
  grpc::Status CreateVirtualServer(grpc::ServerContext* context, const v1::CreateVirtualServerRequest* request,
                                   v1::VirtualServer* response) override;
  grpc::Status UpdateVirtualServer(grpc::ServerContext* context, const v1::UpdateVirtualServerRequest* request,
                                   v1::VirtualServer* response) override;
  grpc::Status DeleteVirtualServer(grpc::ServerContext* context, const v1::DeleteVirtualServerRequest* request,
                                   google::protobuf::Empty* response) override;
  grpc::Status StartVirtualServer(grpc::ServerContext* context, const v1::StartVirtualServerRequest* request,
                                  v1::VirtualServer* response) override;
  grpc::Status StopVirtualServer(grpc::ServerContext* context, const v1::StopVirtualServerRequest* request,
                                 v1::VirtualServer* response) override;
  grpc::Status PauseVirtualServer(grpc::ServerContext* context, const v1::PauseVirtualServerRequest* request,
                                  v1::VirtualServer* response) override;
  grpc::Status SimulateSession(grpc::ServerContext* context, const v1::SimulateSessionRequest* request,
                               v1::SimulateSessionResponse* response) override;

 private:
  grpc::Status SetState(grpc::ServerContext* context, std::string_view method, const std::string& name,
                        const std::string& etag, v1::VirtualServer::State state, v1::VirtualServer* response);

  const Handler& handler_;
  Catalogue& catalogue_;
  Repository& repository_;
};

}  // namespace gatepost::config
