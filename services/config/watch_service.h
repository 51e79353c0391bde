// WatchService on gRPC's callback API: one reactor a stream, one read and one write in flight.
#pragma once

#include "gatepost/config/v1/watch_service.grpc.pb.h"
#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/config/edge_registry.h"
#include "services/config/metrics.h"
#include "services/config/repository.h"
#include "services/config/watch_hub.h"
#include "services/rpc/authorization.h"
#include "services/rpc/call.h"

namespace gatepost::config {

class WatchServiceImpl final : public v1::WatchService::CallbackService {
 public:
  // The references outlive the service, and the server on which it is registered.
  WatchServiceImpl(const rpc::Calls& calls, const rpc::Authorizer& authorizer,
                   Repository& repository, EdgeRegistry& registry, WatchHub& hub,
                   const base::Clock& clock, base::Log& log, Metrics& metrics)
      : calls_(calls),
        authorizer_(authorizer),
        repository_(repository),
        registry_(registry),
        hub_(hub),
        clock_(clock),
        log_(log),
        metrics_(metrics) {}

  grpc::ServerBidiReactor<v1::WatchRequest, v1::WatchResponse>* Watch(grpc::CallbackServerContext* context) override;

 private:
  class Stream;

  const rpc::Calls& calls_;
  const rpc::Authorizer& authorizer_;
  Repository& repository_;
  EdgeRegistry& registry_;
  WatchHub& hub_;
  const base::Clock& clock_;
  base::Log& log_;
  Metrics& metrics_;
};

}  // namespace gatepost::config
