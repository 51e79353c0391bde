#include "services/edge/upstream_probe.h"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <set>
#include <utility>

#include "services/edge/limits.h"

namespace gatepost::edge {

UpstreamProbe::UpstreamProbe(asio::any_io_executor control, Dialer& dialer, Budget& budget, const base::Clock& clock)
    : executor_(control), dialer_(dialer), budget_(budget), clock_(clock), timer_(control) {}

void UpstreamProbe::Adopt(std::shared_ptr<const Snapshot> snapshot) {
  snapshot_ = std::move(snapshot);
  Begin(false);
}

void UpstreamProbe::Stop() {
  stopped_ = true;
  queue_.clear();
  timer_.cancel();
}

void UpstreamProbe::Begin(bool all) {
  if (stopped_ || !snapshot_) return;
  std::set<const HopState*> known;
  for (const Target& target : queue_) known.insert(target.hop->state.get());
  for (const auto& [name, virtual_server] : snapshot_->virtual_servers) {
    for (const Route::Hop& hop : virtual_server->route()->hops) {
      if ((!all && hop.state->seen()) || !known.insert(hop.state.get()).second) continue;
      queue_.push_back({virtual_server->route(), &hop});
    }
  }
  while (running_ < limits::kProbesAtOnce && running_ < queue_.size()) {
    ++running_;
    asio::co_spawn(executor_, Run(), asio::detached);
  }
  Schedule();
}

asio::awaitable<void> UpstreamProbe::Run() {
  while (!queue_.empty()) {
    Target target = std::move(queue_.front());
    queue_.pop_front();
    Upstream::Options options{
        .route = target.route, .dialer = &dialer_, .budget = &budget_, .clock = &clock_};
    Upstream upstream(std::move(options));
    co_await upstream.ConnectTo(*target.hop, clock_.Now() + limits::kProbe);
    co_await upstream.Quit();
  }
  --running_;
}

void UpstreamProbe::Schedule() {
  timer_.expires_after(limits::kProbeInterval);
  timer_.async_wait([this](std::error_code error) {
    if (!error) Begin(true);
  });
}

}  // namespace gatepost::edge
