// The end of an edge, in order (SIGTERM): not ready at once; still accepting for --drain-delay, so that load balancers
// can take note; then the accept queues are emptied and the listeners closed, idle sessions get 421 4.3.2, transactions
// in flight 60 s; then only those past their dot are waited for, until the next hop's verdict or its time-out.
//
// Thread rule: the control thread.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <vector>

#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/edge/worker.h"

namespace gatepost::edge {

class Drain {
 public:
  struct Options {
    base::Duration delay;      // --drain-delay
    base::Duration in_flight;  // limits::kDrain
    base::Duration past_dot;   // limits::kDrainPastDot
  };
  // What is to be done by others: not ready; no listener is opened any more; all sessions are over.
  struct Callbacks {
    std::function<void()> on_begin;
    std::function<void()> on_closing;
    std::function<void(size_t left)> on_end;
  };
  Drain(asio::any_io_executor control, std::vector<Worker*> workers, base::Log& log, Options options,
        Callbacks callbacks);

  // The first call counts.
  void Begin();
  bool begun() const { return begun_; }

 private:
  void CloseListeners();
  void Watch(bool sessions_told);
  size_t Sessions() const;

  const std::vector<Worker*> workers_;
  base::Log& log_;
  const Options options_;
  const Callbacks callbacks_;
  asio::steady_timer timer_;
  base::MonotonicTime closed_at_{};
  bool begun_ = false;
};

}  // namespace gatepost::edge
