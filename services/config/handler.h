// Between gRPC's methods and the catalogue: rpc::Calls judges who may and writes the audit line; this adds how our failures are
// told (reasons, violations) and what the audit line names. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "services/config/catalogue.h"
#include "services/rpc/call.h"

namespace gatepost::config {

class Handler {
 public:
  // `calls` outlives the handler.
  explicit Handler(const rpc::Calls& calls) : calls_(calls) {}

  // `method` is the descriptor's full name. `body` is run if the caller may.
  grpc::Status Run(grpc::ServerContext& context, std::string_view method,
                   const std::function<absl::Status(Call* call)>& body) const;

 private:
  const rpc::Calls& calls_;
};

}  // namespace gatepost::config
