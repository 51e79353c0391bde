#include "services/config/watch_service.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::config {

class WatchServiceImpl::Stream final : public grpc::ServerBidiReactor<v1::WatchRequest, v1::WatchResponse>,
                                       public WatchStream,
                                       public std::enable_shared_from_this<Stream> {
 public:
  Stream(WatchServiceImpl& service, grpc::CallbackServerContext* context, const rpc::PeerIdentity& caller)
      : service_(service),
        context_(context),
        caller_(caller),
        session_(service.registry_, caller.name, service.repository_.epoch(), service.clock_.Now()) {}

  void Begin() {
    service_.hub_.Add(shared_from_this());
    absl::MutexLock lock(&mutex_);
    if (!ending_) StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    std::string started;
    std::optional<int64_t> held;
    {
      absl::MutexLock lock(&mutex_);
      // Half-closed by the edge: it has another stream, or goes.
      if (!ok) return End(grpc::Status::OK);
      if (ending_) return;
      const bool was_started = session_.started();
      if (absl::Status status = session_.OnMessage(&request_, service_.clock_.Now()); !status.ok()) {
        service_.log_.Warning("watch_refused", {{"peer", caller_.uri}, {"error", base::FromAbsl(status.message())}});
        return End(rpc::ToGrpcStatus(status));
      }
      if (!was_started) {
        started = session_.node_id();
        held = session_.base();
      }
      Record();
      request_.Clear();
      StartRead(&request_);
    }
    if (held && *held > service_.hub_.current()) SayIfAhead(started, *held);
    if (started.empty()) {
      service_.hub_.Wake(this);
    } else {
      service_.hub_.Started(this, started);
    }
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    session_.Written(service_.clock_.Now());
    if (!ok) return End(grpc::Status(grpc::StatusCode::CANCELLED, "the stream is gone"));
    if (ending_) return FinishWhenIdle();
    WriteNext();
  }

  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    End(grpc::Status(grpc::StatusCode::CANCELLED, "cancelled"));
  }

  void OnDone() override {
    {
      absl::MutexLock lock(&mutex_);
      done_ = true;
    }
    service_.hub_.Remove(this);
  }

  Wish WishAt(int64_t current) override {
    absl::MutexLock lock(&mutex_);
    if (ending_ || !session_.WantsUnit(current)) return {};
    return {true, session_.pool(), session_.base()};
  }

  void Send(std::shared_ptr<const Chain> chain) override {
    absl::MutexLock lock(&mutex_);
    // Things may have changed while the unit was made.
    if (ending_ || !session_.WantsUnit(chain->revision)) return;
    session_.Send(std::move(chain), service_.clock_.Now());
    WriteNext();
  }

  void Tick(int64_t current) override {
    absl::MutexLock lock(&mutex_);
    current_ = current;
    if (ending_) return;
    if (absl::Status status = session_.CheckDeadline(service_.clock_.Now()); !status.ok()) {
      service_.metrics_.slow_watches.Increment();
      service_.log_.Warning("watch_too_slow", {{"peer", caller_.uri}, {"node", session_.node_id()}});
      End(rpc::ToGrpcStatus(status));
      // It may not even read: what is being written would keep the stream for ever.
      context_->TryCancel();
      return;
    }
    WriteNext();
  }

  void Supersede() override {
    absl::MutexLock lock(&mutex_);
    session_.Supersede();
  }

  void Drain() override {
    absl::MutexLock lock(&mutex_);
    session_.Drain();
  }

  void Abort() override {
    absl::MutexLock lock(&mutex_);
    // gRPC's context goes with OnDone.
    if (done_) return;
    End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the service is stopping"));
    context_->TryCancel();
  }

 private:
  // Revisions of one epoch only grow: is this database older than what edges had from it (a restore without --restored)?
  // The hub hears of another replica's commits a moment later than edges may, so that the database itself is asked.
  void SayIfAhead(const std::string& node, int64_t held) {
    const absl::StatusOr<std::unique_ptr<store::View>> view = service_.repository_.store().Read();
    if (!view.ok() || held <= (*view)->revision()) return;
    service_.log_.Error("edge_ahead", {{"node", node}, {"revision", held}, {"current", (*view)->revision()}});
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (ending_ || writing_) return;
    const v1::WatchResponse* next = session_.Next(current_, service_.clock_.Now());
    if (next == nullptr) return;
    writing_ = true;
    StartWrite(next);
  }

  void End(grpc::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!ending_) {
      ending_ = true;
      status_ = std::move(status);
    }
    FinishWhenIdle();
  }

  void FinishWhenIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    finished_ = true;
    Finish(status_);
  }

  void Record() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    switch (session_.TakeEvent()) {
      case WatchSession::Event::kAcked:
        service_.metrics_.units_acked.Increment();
        break;
      case WatchSession::Event::kNacked:
        service_.metrics_.units_nacked.Increment();
        service_.log_.Warning("unit_refused", {{"node", session_.node_id()}, {"reason", session_.nack_reason()}});
        break;
      case WatchSession::Event::kNone:
        break;
    }
  }

  WatchServiceImpl& service_;
  grpc::CallbackServerContext* const context_;
  const rpc::PeerIdentity caller_;

  absl::Mutex mutex_;
  WatchSession session_ ABSL_GUARDED_BY(mutex_);
  v1::WatchRequest request_ ABSL_GUARDED_BY(mutex_);
  int64_t current_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
};

namespace {

constexpr std::string_view kWatch = "gatepost.config.v1.WatchService.Watch";

// Answers a call that is refused before it begins.
class RefusedStream final : public grpc::ServerBidiReactor<v1::WatchRequest, v1::WatchResponse> {
 public:
  explicit RefusedStream(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerBidiReactor<v1::WatchRequest, v1::WatchResponse>* WatchServiceImpl::Watch(
    grpc::CallbackServerContext* context) {
  rpc::Call call;
  const absl::StatusOr<rpc::PeerIdentity> caller = authorizer_.Authorize(*context, kWatch, &call.caller);
  calls_.Record(call, kWatch, caller.ok(), caller.status());
  if (!caller.ok()) return new RefusedStream(rpc::ToGrpcStatus(caller.status()));
  // The hub keeps it until gRPC has done with it.
  const auto stream = std::make_shared<Stream>(*this, context, *caller);
  stream->Begin();
  return stream.get();
}

}  // namespace gatepost::config
