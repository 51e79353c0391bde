#include "services/rpc/completion_loop.h"

#include <pthread.h>

namespace gatepost::rpc {

CompletionLoop::CompletionLoop(std::unique_ptr<grpc::CompletionQueue> queue, Driver driver)
    : queue_(std::move(queue)), driver_(driver) {
  if (driver_ == Driver::kPoll) return;
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "grpc");
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) static_cast<Completion*>(tag)->Complete(ok);
  });
}

CompletionLoop::~CompletionLoop() {
  if (driver_ == Driver::kPoll) {
    while (in_flight_.load(std::memory_order_acquire) != 0) Poll();
    queue_->Shutdown();
    Poll();
    return;
  }
  // A handler may begin another operation, which a queue that is shut down would not take.
  while (const int64_t count = in_flight_.load(std::memory_order_acquire)) in_flight_.wait(count);
  queue_->Shutdown();
  thread_.join();
}

void CompletionLoop::Poll() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)) == grpc::CompletionQueue::GOT_EVENT)
    static_cast<Completion*>(tag)->Complete(ok);
}

}  // namespace gatepost::rpc
