// SaslService on gRPC's callback API: one reactor a stream, one read and one write in flight, many exchanges on it
// (sasl_service.proto says what is promised). A stream never blocks: passwords go to the verifier's threads.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gatepost/auth/v1/sasl_service.grpc.pb.h"
#include "services/auth/mechanisms.h"
#include "services/auth/metrics.h"
#include "services/auth/revocations.h"
#include "services/auth/sasl_exchange.h"
#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/rpc/authorization.h"
#include "services/rpc/call.h"

namespace gatepost::auth {

class SaslServiceImpl final : public v1::SaslService::CallbackService {
 public:
  // The references outlive the service, and the server on which it is registered.
  SaslServiceImpl(const rpc::Calls& calls, const rpc::Authorizer& authorizer, Mechanisms& mechanisms,
                  const SaslExchange::Judges& judges, Revocations& revocations, const base::Clock& clock,
                  base::Log& log, const Metrics& metrics)
      : calls_(calls),
        authorizer_(authorizer),
        mechanisms_(mechanisms),
        judges_(judges),
        revocations_(revocations),
        clock_(clock),
        log_(log),
        metrics_(metrics) {}

  grpc::ServerBidiReactor<v1::AuthenticateRequest, v1::AuthenticateResponse>* Authenticate(
      grpc::CallbackServerContext* context) override;

  // Ends exchanges whose client has taken too long; tells edges when other mechanisms can be served. Called every
  // second or so.
  void Tick();
  // Says `draining` on every stream, now and to come.
  void Drain();
  // Streams that are open.
  size_t streams() const;

 private:
  class Stream;
  std::vector<std::shared_ptr<Stream>> Streams() const;
  void Forget(Stream* stream);

  const rpc::Calls& calls_;
  const rpc::Authorizer& authorizer_;
  Mechanisms& mechanisms_;
  const SaslExchange::Judges judges_;
  Revocations& revocations_;
  const base::Clock& clock_;
  base::Log& log_;
  const Metrics& metrics_;

  mutable absl::Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<Stream*, std::shared_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);  // Kept until gRPC is done with them.
};

}  // namespace gatepost::auth
