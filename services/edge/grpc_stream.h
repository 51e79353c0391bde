// The client's side of one long-lived bidirectional gRPC stream, seen from an io_context thread: messages go out
// through a queue, messages and the end come in as calls on that thread. Used by config_watch and auth_client.
//
// gRPC's threads do no more than asio::post. One message at a time comes in: the next is read when the handler of the
// last has returned, so that a fast server cannot fill our memory.
//
// Thread rule: everything public is called on the executor's thread, and both callbacks are called there. The stream
// keeps itself until gRPC is done with it; its owner holds a shared_ptr and calls Abandon() when it loses interest. The
// executor must run until the Gate given at the start is closed.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <asio/any_io_executor.hpp>
#include <asio/post.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "services/base/gate.h"

namespace gatepost::edge {

template <typename Request, typename Response>
class GrpcStream final : public grpc::ClientBidiReactor<Request, Response>,
                         public std::enable_shared_from_this<GrpcStream<Request, Response>> {
 public:
  struct Handlers {
    std::function<void(Response&)> on_message;
    std::function<void(const grpc::Status&)> on_end;  // Once, the last call; not after Abandon().
    // Of what has been written, or never will be: to wipe what is secret in it. On any thread; may be missing.
    std::function<void(Request&)> on_written = nullptr;
  };

  GrpcStream(asio::any_io_executor executor, base::Gate::Pass pass, Handlers handlers)
      : executor_(std::move(executor)), pass_(std::move(pass)), handlers_(std::move(handlers)) {}

  // `open` is the stub's call: open(context, reactor).
  template <typename Open>
  void Start(Open open) {
    self_ = this->shared_from_this();
    open(&context_, this);
    this->AddHold();
    this->StartCall();
    this->StartRead(&incoming_);
  }

  // Queued; lost without a word when the stream has ended or is half-closed (on_end says so).
  void Send(Request request) {
    std::lock_guard lock(mutex_);
    if (ended_ || half_closed_) return Forget(request);
    outgoing_.push_back(std::move(request));
    if (outgoing_.size() == 1) this->StartWrite(&outgoing_.front());
  }

  // After what is queued. The server then ends the stream.
  void HalfClose() {
    std::lock_guard lock(mutex_);
    if (ended_ || half_closed_) return;
    half_closed_ = true;
    if (outgoing_.empty()) this->StartWritesDone();
  }

  // Ends the stream; no callback is called from now on.
  void Abandon() {
    abandoned_ = true;
    context_.TryCancel();
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      asio::post(executor_, [self = self_] { self->Deliver(); });
      return;
    }
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
    }
    this->RemoveHold();
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    Forget(outgoing_.front());
    outgoing_.pop_front();
    if (!ok || ended_) {
      for (Request& request : outgoing_) Forget(request);
      outgoing_.clear();
      half_closed_ = true;
    } else if (!outgoing_.empty()) {
      this->StartWrite(&outgoing_.front());
    } else if (half_closed_) {
      this->StartWritesDone();
    }
  }

  void OnDone(const grpc::Status& status) override {
    asio::post(executor_, [self = std::move(self_), status] {
      if (!self->abandoned_) self->handlers_.on_end(status);
    });
  }

 private:
  void Forget(Request& request) const {
    if (handlers_.on_written) handlers_.on_written(request);
  }

  void Deliver() {
    if (!abandoned_) handlers_.on_message(incoming_);
    incoming_.Clear();
    this->StartRead(&incoming_);
  }

  grpc::ClientContext context_;
  const asio::any_io_executor executor_;
  base::Gate::Pass pass_;
  const Handlers handlers_;
  bool abandoned_ = false;  // Executor's thread.
  Response incoming_;
  std::shared_ptr<GrpcStream> self_;

  std::mutex mutex_;
  std::deque<Request> outgoing_;  // The front is being written.
  bool half_closed_ = false;
  bool ended_ = false;
};

}  // namespace gatepost::edge
