#include "services/edge/upstream_pool.h"

#include <algorithm>
#include <array>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <string_view>
#include <utility>
#include <variant>

namespace gatepost::edge {
namespace {

// How often idle connections are looked at.
constexpr std::chrono::seconds kSweep{1};

// The answer is not waited for: it changes nothing (as Postfix's smtp_skip_quit_response). A value, with everything
// that it needs: it may outlive the pool.
asio::awaitable<void> SayQuit(UpstreamConnection connection, base::MonotonicTime deadline) {
  const smtp::ClientSession::Action action = connection.conversation->Quit();
  if (const auto* write = std::get_if<smtp::ClientSession::Write>(&action)) {
    const std::array<std::string_view, 1> pieces{write->octets};
    connection.stream->SetWriteDeadline(deadline);
    co_await connection.stream->Write(pieces);
  }
  connection.stream->Close();
}

}  // namespace

UpstreamPool::UpstreamPool(asio::any_io_executor executor, const base::Clock& clock, const Budget& budget,
                           Options options)
    : executor_(executor), clock_(clock), budget_(budget), options_(options), timer_(std::move(executor)) {}

UpstreamPool::~UpstreamPool() = default;

bool UpstreamPool::MayBeKept(const UpstreamConnection& connection, base::MonotonicTime now) const {
  const smtp::ClientSession& conversation = *connection.conversation;
  return !shut_ && options_.most > 0 && conversation.spotless() &&
         conversation.transactions() < options_.transactions && now - connection.opened < options_.age &&
         budget_.used() * 100 <= budget_.most() * limits::kIdleBudgetPercent;
}

bool UpstreamPool::Leave(std::shared_ptr<const Route> route, UpstreamConnection* connection) {
  const base::MonotonicTime now = clock_.Now();
  if (route->proxy_header || !MayBeKept(*connection, now)) return false;
  const auto alike = std::count_if(idle_.begin(), idle_.end(), [&](const Idle& idle) {
    return idle.route == route && idle.connection.hop == connection->hop;
  });
  if (static_cast<size_t>(alike) >= options_.per_next_hop) return false;
  if (idle_.size() >= options_.most) CloseOldest();
  idle_.push_back({std::move(route), std::move(*connection), now});
  Schedule();
  return true;
}

std::optional<UpstreamConnection> UpstreamPool::Take(const Route& route, const Route::Hop& hop,
                                                     const base::Endpoint& endpoint) {
  const auto found = std::find_if(idle_.rbegin(), idle_.rend(), [&](const Idle& idle) {
    return idle.route.get() == &route && idle.connection.hop == &hop && idle.connection.endpoint == endpoint;
  });
  if (found == idle_.rend()) return std::nullopt;
  const List::iterator last = std::prev(found.base());
  if (clock_.Now() - last->since >= options_.idle) return std::nullopt;  // And so are all the others of them.
  UpstreamConnection connection = std::move(last->connection);
  idle_.erase(last);
  return connection;
}

UpstreamPool::List::iterator UpstreamPool::Close(List::iterator idle) {
  UpstreamConnection connection = std::move(idle->connection);
  const List::iterator next = idle_.erase(idle);  // First: to dismiss it may fail, for want of memory.
  Dismiss(std::move(connection));
  return next;
}

void UpstreamPool::Dismiss(UpstreamConnection connection) {
  connection.lease.Release();
  if (connection.stream->ReadableNow()) {
    connection.stream->Close();
  } else {
    asio::co_spawn(executor_, SayQuit(std::move(connection), clock_.Now() + limits::kQuit), asio::detached);
  }
}

template <typename Condition>
void UpstreamPool::CloseWhere(const Condition& condition) {
  for (List::iterator idle = idle_.begin(); idle != idle_.end();) {
    idle = condition(*idle) ? Close(idle) : std::next(idle);
  }
}

void UpstreamPool::Forget(const Route& route, const base::Endpoint& endpoint) {
  CloseWhere([&](const Idle& idle) { return idle.route.get() == &route && idle.connection.endpoint == endpoint; });
}

bool UpstreamPool::CloseOldest() {
  if (idle_.empty()) return false;
  Close(idle_.begin());
  return true;
}

void UpstreamPool::CloseAll() {
  CloseWhere([](const Idle&) { return true; });
}

void UpstreamPool::Shut() {
  shut_ = true;
  CloseAll();
}

void UpstreamPool::Schedule() {
  if (scheduled_) return;
  timer_.expires_after(kSweep);
  timer_.async_wait([this](std::error_code error) {
    if (error) return;
    scheduled_ = false;
    Sweep();
    if (!idle_.empty()) Schedule();
  });
  scheduled_ = true;
}

void UpstreamPool::Sweep() {
  const base::MonotonicTime now = clock_.Now();
  CloseWhere(
      [&](const Idle& idle) { return now - idle.since >= options_.idle || idle.connection.stream->ReadableNow(); });
}

}  // namespace gatepost::edge
