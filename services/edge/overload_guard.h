// Acts on overload.h's levels: looks at the memory every limits::kMemoryLook, closes the budget of clients while new
// ones are refused, has the workers end idle sessions while that is not enough, and gives freed memory back to the
// kernel (the allocator keeps it, and the kernel counts it as ours). Says each change: log, metrics, on_level.
//
// Without a limit it does nothing. Thread rule: the control thread.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <vector>

#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/edge/budget.h"
#include "services/edge/memory_reader.h"
#include "services/edge/metrics.h"
#include "services/edge/overload.h"
#include "services/edge/worker.h"

namespace gatepost::edge {

class OverloadGuard {
 public:
  // All of it outlives the guard.
  struct Parts {
    asio::any_io_executor control;
    std::vector<Worker*> workers;
    const MemoryReader& memory;
    Budget& client_budget;
    const EdgeMetrics& metrics;
    base::Log& log;
    const base::Clock& clock;
    std::function<void(OverloadLevel)> on_level;  // it has changed
  };
  explicit OverloadGuard(Parts parts);

  void Start();
  // It looks no more, unless a look is due already: the workers go after the control thread's context has stopped.
  void Stop();

 private:
  void Look();
  void Enter(OverloadLevel level, const MemoryUse& use);
  void EndIdleSessions();

  const Parts parts_;
  asio::steady_timer timer_;
  OverloadLevel level_ = OverloadLevel::kNone;
  base::MonotonicTime trimmed_{};
};

}  // namespace gatepost::edge
