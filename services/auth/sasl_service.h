// SaslService by completions: one read and one write in flight on a stream, many exchanges (sasl_service.proto says what
// is promised). A stream never waits for a password's verifier, which has threads of its own; it does wait for the store.
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
#include "services/rpc/completion_loop.h"

namespace gatepost::auth {

class SaslServiceImpl final : public v1::SaslService::AsyncService {
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

  // Takes streams, on every loop of the server with which it was registered, from now on until that stops.
  void Serve(const std::vector<std::unique_ptr<rpc::CompletionLoop>>& loops);

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
  // Whether it has to be told at once that the service stops.
  bool Keep(std::shared_ptr<Stream> stream);
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
  std::map<Stream*, std::shared_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);  // From a client's call to its end.
};

}  // namespace gatepost::auth
