#include "services/rpc/health.h"

#include <utility>

namespace gatepost::rpc {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One Check, from before it comes.
class HealthService::CheckCall final : public std::enable_shared_from_this<CheckCall> {
 public:
  CheckCall(HealthService& health, Registered& server, CompletionLoop& loop)
      : health_(health), server_(server), loop_(loop) {}

  void Await() {
    auto* queue = static_cast<grpc::ServerCompletionQueue*>(loop_.queue());
    server_.RequestCheck(&context_, &request_, &responder_, queue, queue, arrived_.Tag(shared_from_this()));
  }

 private:
  void OnArrived(bool ok) {
    if (!ok) return;  // The server stops.
    std::make_shared<CheckCall>(health_, server_, loop_)->Await();
    HealthCheckResponse response;
    {
      absl::ReaderMutexLock lock(&health_.mutex_);
      response.set_status(health_.StatusOf(request_.service()));
    }
    responder_.Finish(response,
                      response.status() == HealthCheckResponse::SERVICE_UNKNOWN
                          ? grpc::Status(grpc::StatusCode::NOT_FOUND, "services are liveness and readiness")
                          : grpc::Status::OK,
                      finished_.Tag(shared_from_this()));
  }
  void OnFinished(bool /*ok*/) {}

  HealthService& health_;
  Registered& server_;
  CompletionLoop& loop_;
  grpc::ServerContext context_;
  HealthCheckRequest request_;
  grpc::ServerAsyncResponseWriter<HealthCheckResponse> responder_{&context_};
  Operation<CheckCall> arrived_{loop_, &CheckCall::OnArrived};
  Operation<CheckCall> finished_{loop_, &CheckCall::OnFinished};
};

// One Watch, from before it comes: writes the status when it begins and after each change, one write in flight. The
// health's mutex guards it.
class HealthService::WatchCall final : public std::enable_shared_from_this<WatchCall> {
 public:
  WatchCall(HealthService& health, Registered& server, CompletionLoop& loop)
      : health_(health), server_(server), loop_(loop) {}

  void Await() {
    auto* queue = static_cast<grpc::ServerCompletionQueue*>(loop_.queue());
    context_.AsyncNotifyWhenDone(done_.Tag(shared_from_this()));
    server_.RequestWatch(&context_, &request_, &writer_, queue, queue, arrived_.Tag(shared_from_this()));
  }

  // Says the status unless it was said.
  void Tell(HealthCheckResponse::ServingStatus status) {
    if (busy_ || ended_ || (said_ && status == response_.status())) return;
    response_.set_status(status);
    said_ = busy_ = true;
    writer_.Write(response_, written_.Tag(shared_from_this()));
  }
  // Once the write in flight is over.
  void End() {
    ended_ = true;
    if (busy_ || std::exchange(finished_, true)) return;
    busy_ = true;
    writer_.Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping"), written_.Tag(shared_from_this()));
  }
  const std::string& name() const { return request_.service(); }

 private:
  void OnArrived(bool ok) {
    if (!ok) return done_.Drop();  // The server stops.
    std::make_shared<WatchCall>(health_, server_, loop_)->Await();
    absl::MutexLock lock(&health_.mutex_);
    if (ended_) return;  // Given up already: OnDone may come first, on another thread (CompletionLoop::BeginHere).
    health_.watches_.emplace(this, shared_from_this());
    if (health_.stopping_) {
      End();
    } else {
      Tell(health_.StatusOf(name()));
    }
  }
  void OnWritten(bool ok) {
    absl::MutexLock lock(&health_.mutex_);
    busy_ = false;
    if (ended_ || !ok) {
      End();
    } else {
      Tell(health_.StatusOf(name()));
    }
  }
  // Finished, or given up by the client.
  void OnDone(bool /*ok*/) {
    absl::MutexLock lock(&health_.mutex_);
    ended_ = true;
    health_.watches_.erase(this);
  }

  HealthService& health_;
  Registered& server_;
  CompletionLoop& loop_;
  grpc::ServerContext context_;
  HealthCheckRequest request_;
  grpc::ServerAsyncWriter<HealthCheckResponse> writer_{&context_};
  Operation<WatchCall> arrived_{loop_, &WatchCall::OnArrived};
  Operation<WatchCall> written_{loop_, &WatchCall::OnWritten};  // Or finished.
  Operation<WatchCall> done_{loop_, &WatchCall::OnDone};
  HealthCheckResponse response_;
  bool said_ = false;
  bool busy_ = false;  // A write is in flight.
  bool ended_ = false;
  bool finished_ = false;
};

HealthService::~HealthService() { Shutdown(); }

void HealthService::Serve(Registered& server, CompletionLoop& loop) {
  std::make_shared<CheckCall>(*this, server, loop)->Await();
  std::make_shared<WatchCall>(*this, server, loop)->Await();
}

void HealthService::SetReady(bool ready) {
  absl::MutexLock lock(&mutex_);
  ready_ = ready && !stopping_;
  for (const auto& [call, kept] : watches_) call->Tell(StatusOf(call->name()));
}

bool HealthService::ready() const {
  absl::MutexLock lock(&mutex_);
  return ready_;
}

void HealthService::Shutdown() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  ready_ = false;
  for (const auto& [call, kept] : watches_) call->End();
}

HealthCheckResponse::ServingStatus HealthService::StatusOf(const std::string& service) const {
  if (service == "liveness") return HealthCheckResponse::SERVING;
  if (service.empty() || service == "readiness")
    return ready_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  return HealthCheckResponse::SERVICE_UNKNOWN;
}

}  // namespace gatepost::rpc
