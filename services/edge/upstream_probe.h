// Asks every next hop what it can do (connect, EHLO, QUIT): at start, when one is new, and every 60 s. EHLO may promise
// only what all next hops of a virtual server can keep; sessions teach the same when they connect.
//
// Thread rule: the control thread.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <vector>

#include "services/base/clock.h"
#include "services/edge/budget.h"
#include "services/edge/upstream.h"
#include "services/edge/virtual_server_runtime.h"

namespace gatepost::edge {

class UpstreamProbe {
 public:
  // The references outlive the probe, which outlives the running of its executor.
  UpstreamProbe(asio::any_io_executor control, Dialer& dialer, Budget& budget, const base::Clock& clock);

  // From now on these; the ones not seen yet are asked at once.
  void Adopt(std::shared_ptr<const Snapshot> snapshot);
  void Stop();

 private:
  struct Target {
    std::shared_ptr<const Route> route;
    const Route::Hop* hop;
  };

  void Begin(bool all);
  asio::awaitable<void> Run();
  void Schedule();

  const asio::any_io_executor executor_;
  Dialer& dialer_;
  Budget& budget_;
  const base::Clock& clock_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::deque<Target> queue_;
  size_t running_ = 0;
  bool stopped_ = false;
  asio::steady_timer timer_;
};

}  // namespace gatepost::edge
