#include "services/rpc/health.h"

#include <vector>

namespace gatepost::rpc {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One Watch: writes the status when it begins and after each change, one write in flight.
class HealthService::Watcher final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthService* service, std::string name) : service_(service), name_(std::move(name)) {
    absl::MutexLock lock(&service_->mutex_);
    service_->watchers_.insert(this);
    if (service_->stopping_) {
      End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping"));
    } else {
      Tell();
    }
  }

  // The service's mutex is held. Says the status unless it was said.
  void Tell() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const HealthCheckResponse::ServingStatus status = service_->StatusOf(name_);
    if (writing_ || ended_ || (said_ && status == response_.status())) return;
    response_.set_status(status);
    said_ = writing_ = true;
    StartWrite(&response_);
  }
  void End(grpc::Status status) {
    if (std::exchange(ended_, true)) return;
    Finish(std::move(status));
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&service_->mutex_);
    writing_ = false;
    if (ok) {
      Tell();
    } else {
      End(grpc::Status::CANCELLED);
    }
  }
  void OnCancel() override {
    absl::MutexLock lock(&service_->mutex_);
    End(grpc::Status::CANCELLED);
  }
  void OnDone() override {
    {
      absl::MutexLock lock(&service_->mutex_);
      service_->watchers_.erase(this);
    }
    delete this;
  }

 private:
  HealthService* const service_;
  const std::string name_;
  // Guarded by the service's mutex.
  HealthCheckResponse response_;
  bool said_ = false;
  bool writing_ = false;
  bool ended_ = false;
};

HealthService::~HealthService() { Shutdown(); }

void HealthService::SetReady(bool ready) {
  absl::MutexLock lock(&mutex_);
  ready_ = ready && !stopping_;
  for (Watcher* watcher : watchers_) watcher->Tell();
}

bool HealthService::ready() const {
  absl::MutexLock lock(&mutex_);
  return ready_;
}

void HealthService::Shutdown() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  ready_ = false;
  for (Watcher* watcher : watchers_) watcher->End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping"));
}

HealthCheckResponse::ServingStatus HealthService::StatusOf(const std::string& service) const {
  if (service == "liveness") return HealthCheckResponse::SERVING;
  if (service.empty() || service == "readiness")
    return ready_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  return HealthCheckResponse::SERVICE_UNKNOWN;
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context, const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  absl::ReaderMutexLock lock(&mutex_);
  response->set_status(StatusOf(request->service()));
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(response->status() == HealthCheckResponse::SERVICE_UNKNOWN
                      ? grpc::Status(grpc::StatusCode::NOT_FOUND, "services are liveness and readiness")
                      : grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(grpc::CallbackServerContext* /*context*/,
                                                                    const HealthCheckRequest* request) {
  return new Watcher(this, request->service());
}

}  // namespace gatepost::rpc
