#include "services/rpc/completion_loop.h"

#include <pthread.h>

#include <chrono>

namespace gatepost::rpc {
namespace {

constexpr std::chrono::milliseconds kPace{50};

}  // namespace

CompletionLoop::CompletionLoop(std::unique_ptr<grpc::CompletionQueue> queue, Driver driver)
    : queue_(std::move(queue)), driver_(driver) {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "grpc");
    if (driver_ == Driver::kPaced) return RunPaced();
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) static_cast<Completion*>(tag)->Complete(ok);
  });
}

CompletionLoop::~CompletionLoop() {
  // A handler may begin another operation, which a queue that is shut down would not take.
  while (const int64_t count = in_flight_.load(std::memory_order_acquire)) in_flight_.wait(count);
  {
    std::lock_guard lock(mutex_);
    end_ = true;
  }
  ending_.notify_all();
  queue_->Shutdown();
  thread_.join();
  if (driver_ == Driver::kPaced) Poll();  // To its end, as gRPC wants it.
}

void CompletionLoop::RunPaced() {
  std::unique_lock lock(mutex_);
  while (!end_) {
    lock.unlock();
    Poll();
    lock.lock();
    ending_.wait_for(lock, kPace, [this] { return end_; });
  }
}

void CompletionLoop::Poll() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)) == grpc::CompletionQueue::GOT_EVENT)
    static_cast<Completion*>(tag)->Complete(ok);
}

}  // namespace gatepost::rpc
