// EdgeService on gRPC (proto/gatepost/config/v1/edge.proto).
#pragma once

#include "gatepost/config/v1/edge.grpc.pb.h"
#include "services/config/edge_registry.h"
#include "services/config/handler.h"
#include "services/config/watch_hub.h"

namespace gatepost::config {

class EdgeServiceImpl final : public v1::EdgeService::Service {
 public:
  // The references outlive the service.
  EdgeServiceImpl(const Handler& handler, EdgeRegistry& registry, const WatchHub& hub)
      : handler_(handler), registry_(registry), hub_(hub) {}

  grpc::Status GetEdge(grpc::ServerContext* context, const v1::GetEdgeRequest* request, v1::Edge* response) override;
  grpc::Status ListEdges(grpc::ServerContext* context, const v1::ListEdgesRequest* request,
                         v1::ListEdgesResponse* response) override;

 private:
  const Handler& handler_;
  EdgeRegistry& registry_;
  const WatchHub& hub_;
};

}  // namespace gatepost::config
