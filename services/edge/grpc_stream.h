// The client's side of one long-lived bidirectional gRPC stream, seen from an io_context thread: messages go out
// through a queue, messages and the end come in as calls on that thread. Used by config_watch and auth_client.
//
// The completion loop's thread posts what comes in and writes what is queued. One message at a time comes in: the next is
// read when the handler of the last has returned, so that a fast server cannot fill our memory.
//
// Thread rule: everything public is called on the executor's thread, and both callbacks are called there. The stream
// keeps itself until gRPC is done with it; its owner holds a shared_ptr and calls Abandon() when it loses interest. The
// executor and the loop must run until the Gate given at the start is closed.
#pragma once

#include <grpcpp/grpcpp.h>

#include <asio/any_io_executor.hpp>
#include <asio/post.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "services/base/gate.h"
#include "services/rpc/completion_loop.h"

namespace gatepost::edge {

template <typename Request, typename Response>
class GrpcStream final : public std::enable_shared_from_this<GrpcStream<Request, Response>> {
 public:
  struct Handlers {
    std::function<void(Response&)> on_message;
    std::function<void(const grpc::Status&)> on_end;  // Once, the last call; not after Abandon().
    // Of what has been written, or never will be: to wipe what is secret in it. On any thread; may be missing.
    std::function<void(Request&)> on_written = nullptr;
  };

  // The loop outlives the stream.
  GrpcStream(asio::any_io_executor executor, rpc::CompletionLoop& loop, base::Gate::Pass pass, Handlers handlers)
      : executor_(std::move(executor)), loop_(loop), pass_(std::move(pass)), handlers_(std::move(handlers)) {}

  // `prepare` is the stub's call: prepare(context, queue).
  template <typename Prepare>
  void Start(Prepare prepare) {
    call_ = prepare(&context_, loop_.queue());
    call_->StartCall(write_.Tag(this->shared_from_this()));
  }

  // Queued; lost without a word when the stream has ended or is half-closed (on_end says so).
  void Send(Request request) {
    {
      std::lock_guard lock(mutex_);
      if (ended_ || half_closed_) return Forget(request);
      outgoing_.push_back(std::move(request));
      if (writing_) return;
      writing_ = true;
    }
    loop_.BeginHere([this] {
      std::lock_guard lock(mutex_);
      Write();
    });
  }

  // After what is queued. The server then ends the stream.
  void HalfClose() {
    std::lock_guard lock(mutex_);
    if (ended_ || half_closed_) return;
    half_closed_ = true;
    if (!writing_) WriteNext();
  }

  // Ends the stream; no callback is called from now on.
  void Abandon() {
    abandoned_ = true;
    context_.TryCancel();
  }

 private:
  // The call has started, or the front of the queue, or the half-close, is written.
  void OnWritten(bool ok) {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (!started_) {
      started_ = true;
      Read();
    } else if (!outgoing_.empty()) {
      Forget(outgoing_.front());
      outgoing_.pop_front();
    }
    if (!ok) GiveUp();
    WriteNext();
  }

  void OnRead(bool ok) {
    if (ok) return asio::post(executor_, [self = this->shared_from_this()] { self->Deliver(); });
    std::lock_guard lock(mutex_);
    ended_ = true;
    GiveUp();
    WriteNext();
  }

  void OnFinished(bool /*ok*/) {
    asio::post(executor_, [self = this->shared_from_this()] {
      if (!self->abandoned_) self->handlers_.on_end(self->status_);
    });
  }

  void Deliver() {
    if (!abandoned_) handlers_.on_message(incoming_);
    incoming_.Clear();
    Read();
  }

  void Read() { call_->Read(&incoming_, read_.Tag(this->shared_from_this())); }

  // Under mutex_, with nothing being written: what comes next.
  void WriteNext() {
    if (writing_) return;
    if (ended_) {
      if (!std::exchange(finishing_, true)) call_->Finish(&status_, finish_.Tag(this->shared_from_this()));
    } else if (!outgoing_.empty()) {
      writing_ = true;
      Write();
    } else if (half_closed_ && !std::exchange(said_all_, true)) {
      writing_ = true;
      call_->WritesDone(write_.Tag(this->shared_from_this()));
    }
  }

  void Write() { call_->Write(outgoing_.front(), write_.Tag(this->shared_from_this())); }

  // Nothing more can be written.
  void GiveUp() {
    half_closed_ = said_all_ = true;
    while (outgoing_.size() > (writing_ ? 1 : 0)) {
      Forget(outgoing_.back());
      outgoing_.pop_back();
    }
  }

  void Forget(Request& request) const {
    if (handlers_.on_written) handlers_.on_written(request);
  }

  const asio::any_io_executor executor_;
  rpc::CompletionLoop& loop_;
  base::Gate::Pass pass_;
  const Handlers handlers_;
  bool abandoned_ = false;  // Executor's thread.

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<Request, Response>> call_;
  Response incoming_;
  grpc::Status status_;
  rpc::Operation<GrpcStream> write_{loop_, &GrpcStream::OnWritten};
  rpc::Operation<GrpcStream> read_{loop_, &GrpcStream::OnRead};
  rpc::Operation<GrpcStream> finish_{loop_, &GrpcStream::OnFinished};

  std::mutex mutex_;
  std::deque<Request> outgoing_;  // The front is being written, once the call has started.
  bool started_ = false;
  bool writing_ = true;  // At first: the start of the call.
  bool half_closed_ = false;
  bool said_all_ = false;  // The half-close is on its way.
  bool ended_ = false;     // There is no more to read.
  bool finishing_ = false;
};

}  // namespace gatepost::edge
