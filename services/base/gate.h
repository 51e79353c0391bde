// Counts operations in flight so that what they use can be taken down after them: Close() lets no more in and waits.
//
//   if (base::Gate::Pass pass = gate.Enter()) { ... }      // the pass is held for as long as the operation runs
//   gate.Close();                                          // returns when every pass is gone
//
// Thread-safe. A pass may be moved to another thread and given back there; it must not outlive the gate.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <utility>

namespace gatepost::base {

class Gate {
 public:
  class Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      if (this != &other) {
        Return();
        gate_ = std::exchange(other.gate_, nullptr);
      }
      return *this;
    }
    ~Pass() { Return(); }
    explicit operator bool() const { return gate_ != nullptr; }
    // Gives the pass back early.
    void Return() {
      if (Gate* gate = std::exchange(gate_, nullptr)) gate->Leave();
    }

   private:
    friend class Gate;
    explicit Pass(Gate* gate) : gate_(gate) {}
    Gate* gate_ = nullptr;
  };

  Gate() = default;
  ~Gate() { Close(); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // An empty pass once the gate is closed.
  Pass Enter() {
    absl::MutexLock lock(&mutex_);
    if (closed_) return Pass();
    ++inside_;
    return Pass(this);
  }

  // Blocks until nobody is inside. May be called again.
  void Close() {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    mutex_.Await(absl::Condition(+[](int* inside) { return *inside == 0; }, &inside_));
  }

 private:
  void Leave() {
    absl::MutexLock lock(&mutex_);
    --inside_;
  }

  absl::Mutex mutex_;
  int inside_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gatepost::base
