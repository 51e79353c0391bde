// ThrottleService: what the brute-force defence refuses now (throttle.proto). Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include "gatepost/auth/v1/throttle.grpc.pb.h"
#include "services/auth/throttle_ledger.h"
#include "services/rpc/call.h"

namespace gatepost::auth {

class ThrottleServiceImpl final : public v1::ThrottleService::Service {
 public:
  // The references outlive the service, and the server on which it is registered.
  ThrottleServiceImpl(const rpc::Calls& calls, ThrottleLedger& ledger) : calls_(calls), ledger_(ledger) {}

  grpc::Status ListThrottles(grpc::ServerContext* context, const v1::ListThrottlesRequest* request,
                             v1::ListThrottlesResponse* response) override;
  grpc::Status ClearThrottle(grpc::ServerContext* context, const v1::ClearThrottleRequest* request,
                             google::protobuf::Empty* response) override;

 private:
  const rpc::Calls& calls_;
  ThrottleLedger& ledger_;
};

}  // namespace gatepost::auth
