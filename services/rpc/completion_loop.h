// gRPC's completion queues: a thread that takes what has completed, and the operations that complete.
//
//   class Stream : public std::enable_shared_from_this<Stream> {
//     void Ask() { call_->Read(&message_, read_.Tag(shared_from_this())); }
//     void OnRead(bool ok);
//     rpc::Operation<Stream> read_{loop_, &Stream::OnRead};
//   };
//
// Why not the callback API: gRPC 1.51 serves it on Linux with two threads that hand the sockets' poller to each other,
// and every completion, even of a write that was done at once, wakes one of them: 50 us of CPU for each login in an
// edge, against 25 here. That holds where the loop's is the process's only thread that polls for gRPC (ADR 008).
#pragma once

#include <grpcpp/completion_queue.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace gatepost::rpc {

// What waits for an operation of gRPC.
class Completion {
 public:
  // The operation is over. What `ok` says depends on it: grpc::CompletionQueue::Next.
  virtual void Complete(bool ok) = 0;

 protected:
  ~Completion() = default;
};

// Takes the completions of one queue and calls what waits for them on a thread of its own; BeginHere() may call some of
// them, of any object, on its caller's beside it.
class CompletionLoop {
 public:
  enum class Driver {
    kWaiting,  // Waits for completions.
    kPaced,    // Looks for them every 50 ms, for what can wait so long: no second thread waits for gRPC.
  };

  // With a queue for calls that this process makes.
  CompletionLoop() : CompletionLoop(std::make_unique<grpc::CompletionQueue>()) {}
  explicit CompletionLoop(std::unique_ptr<grpc::CompletionQueue> queue, Driver driver = Driver::kWaiting);
  // Returns when every operation has completed. Whoever began one has cancelled it, and begins no more but from handlers;
  // the servers whose queue this is have been shut down.
  ~CompletionLoop();
  CompletionLoop(const CompletionLoop&) = delete;
  CompletionLoop& operator=(const CompletionLoop&) = delete;

  grpc::CompletionQueue* queue() const { return queue_.get(); }

  // Calls `begin`, which begins an operation, from a thread that is not the loop's. Where the operation completes at once,
  // as most writes do, it is completed on the calling thread, after `begin`, and the loop's is not woken.
  template <typename Begin>
  void BeginHere(Begin begin) {
    void* tag = nullptr;
    bool ok = false;
    if (queue_->DoThenAsyncNext(std::move(begin), &tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)) ==
        grpc::CompletionQueue::GOT_EVENT) {
      static_cast<Completion*>(tag)->Complete(ok);
    }
  }

 private:
  template <typename Owner>
  friend class Operation;

  void RunPaced();
  void Poll();

  void Begun() { in_flight_.fetch_add(1, std::memory_order_relaxed); }
  void Over() {
    if (in_flight_.fetch_sub(1, std::memory_order_acq_rel) == 1) in_flight_.notify_all();
  }

  const std::unique_ptr<grpc::CompletionQueue> queue_;
  const Driver driver_;
  std::atomic<int64_t> in_flight_ = 0;
  std::mutex mutex_;
  std::condition_variable ending_;
  bool end_ = false;  // Under mutex_; kPaced.
  std::thread thread_;
};

// One operation of an object: at most one of it is in flight. The object lives at least until its handler has returned.
template <typename Owner>
class Operation final : public Completion {
 public:
  using Handler = void (Owner::*)(bool ok);

  Operation(CompletionLoop& loop, Handler handler) : loop_(loop), handler_(handler) {}
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  // The tag to begin it with, on the loop's queue.
  void* Tag(std::shared_ptr<Owner> owner) {
    loop_.Begun();
    owner_ = std::move(owner);
    return static_cast<Completion*>(this);
  }

  void Complete(bool ok) override {
    CompletionLoop& loop = loop_;
    {
      const std::shared_ptr<Owner> owner = std::exchange(owner_, nullptr);
      (owner.get()->*handler_)(ok);
    }
    loop.Over();
  }

  // It will never complete: AsyncNotifyWhenDone() of a call that never came. The owner may go.
  void Drop() {
    CompletionLoop& loop = loop_;
    owner_.reset();
    loop.Over();
  }

 private:
  CompletionLoop& loop_;
  const Handler handler_;
  std::shared_ptr<Owner> owner_;
};

}  // namespace gatepost::rpc
