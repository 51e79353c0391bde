#include "services/edge/drain.h"

#include <utility>

namespace gatepost::edge {
namespace {

constexpr std::chrono::milliseconds kLook{20};

}  // namespace

Drain::Drain(asio::any_io_executor control, std::vector<Worker*> workers, base::Log& log, Options options,
             Callbacks callbacks)
    : workers_(std::move(workers)),
      log_(log),
      options_(options),
      callbacks_(std::move(callbacks)),
      timer_(std::move(control)) {}

void Drain::Begin() {
  if (std::exchange(begun_, true)) return;
  log_.Info("drain_begin", {{"sessions", Sessions()}});
  callbacks_.on_begin();
  timer_.expires_after(options_.delay);
  timer_.async_wait([this](std::error_code error) {
    if (!error) CloseListeners();
  });
}

void Drain::CloseListeners() {
  callbacks_.on_closing();
  for (Worker* worker : workers_) worker->Do([worker] { worker->Drain(); });
  closed_at_ = std::chrono::steady_clock::now();
  Watch(false);
}

void Drain::Watch(bool sessions_told) {
  const size_t sessions = Sessions();
  const base::Duration waited = std::chrono::steady_clock::now() - closed_at_;
  if (sessions == 0 || waited >= options_.in_flight + options_.past_dot) {
    log_.Info("drain_end", {{"sessions", sessions},
                            {"milliseconds", std::chrono::duration_cast<std::chrono::milliseconds>(waited).count()}});
    callbacks_.on_end(sessions);
    return;
  }
  if (!sessions_told && waited >= options_.in_flight) {
    log_.Warning("drain_overdue", {{"sessions", sessions}});
    for (Worker* worker : workers_) worker->Do([worker] { worker->EndSessions(); });
    sessions_told = true;
  }
  timer_.expires_after(kLook);
  timer_.async_wait([this, sessions_told](std::error_code error) {
    if (!error) Watch(sessions_told);
  });
}

size_t Drain::Sessions() const {
  size_t sessions = 0;
  for (Worker* worker : workers_) sessions += worker->Do([worker] { return worker->sessions(); });
  return sessions;
}

}  // namespace gatepost::edge
