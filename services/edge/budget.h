// How many connections the edge holds, counted over all workers: clients' and those to upstreams are two budgets, so
// that neither can take the file descriptors that the other, or the control plane, needs.
//
// Thread rule: thread-safe. A Lease belongs to one connection and is given back when it dies.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace gatepost::edge {

class Budget {
 public:
  explicit Budget(size_t most) : most_(most) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  class Lease {
   public:
    Lease() = default;
    explicit Lease(Budget* budget) : budget_(budget) {}
    Lease(Lease&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)) {}
    Lease& operator=(Lease&& other) noexcept {
      if (this != &other) {
        Release();
        budget_ = std::exchange(other.budget_, nullptr);
      }
      return *this;
    }
    ~Lease() { Release(); }

    explicit operator bool() const { return budget_ != nullptr; }

    void Release() {
      if (Budget* budget = std::exchange(budget_, nullptr)) budget->used_.fetch_sub(1, std::memory_order_acq_rel);
    }

   private:
    Budget* budget_ = nullptr;
  };

  // Nothing more is given away until this is taken back, however much is left. What was given stays.
  void Close(bool closed) { closed_.store(closed, std::memory_order_relaxed); }

  // An empty lease: nothing left, or closed.
  Lease TryAcquire() {
    if (closed_.load(std::memory_order_relaxed)) return Lease();
    size_t used = used_.load(std::memory_order_relaxed);
    while (used < most_) {
      if (used_.compare_exchange_weak(used, used + 1, std::memory_order_acq_rel)) return Lease(this);
    }
    return Lease();
  }

  size_t used() const { return used_.load(std::memory_order_acquire); }
  size_t most() const { return most_; }

 private:
  const size_t most_;
  std::atomic<size_t> used_{0};
  std::atomic<bool> closed_{false};
};

}  // namespace gatepost::edge
