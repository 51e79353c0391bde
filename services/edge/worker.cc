#include "services/edge/worker.h"

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <exception>
#include <utility>
#include <vector>

#include "services/base/status_macros.h"
#include "services/edge/limits.h"
#include "services/edge/session_driver.h"
#include "services/edge/session_log.h"
#include "services/net/proxy_reader.h"
#include "services/net/tcp_stream.h"

namespace gatepost::edge {
namespace {

constexpr size_t kSessionIdCharacters = 13;  // 65 bits

ProxyOutcome OutcomeOf(const net::ProxyReadResult& read) {
  if (!read.ec) return ProxyOutcome::kAccepted;
  if (read.ec == std::errc::timed_out) return ProxyOutcome::kTimedOut;
  return read.ec == std::errc::bad_message ? ProxyOutcome::kMalformed : ProxyOutcome::kClosed;
}

}  // namespace

Worker::Worker(const Shared& shared)
    : shared_(shared),
      work_(context_.get_executor()),
      upstreams_(context_.get_executor(), shared.clock, shared.upstream_budget) {}

Worker::~Worker() { Join(); }

void Worker::Run() {
  thread_ = std::thread([this] { context_.run(); });
}

void Worker::Join() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] { listening_.clear(); });
  work_.reset();
  context_.stop();
  thread_.join();
}

void Worker::Adopt(std::shared_ptr<const Snapshot> snapshot) {
  snapshot_ = std::move(snapshot);
  upstreams_.CloseAll();
  for (SessionDriver* session : sessions_) {
    const auto found = snapshot_->virtual_servers.find(session->virtual_server().name());
    // A pause lets sessions go on; only who comes anew is turned away.
    if (found == snapshot_->virtual_servers.end() || found->second->settings().state == policy::ServerState::kStopped) {
      session->Interrupt(smtp::Interrupt::Reason::kClosing, false);
    }
  }
}

absl::StatusOr<base::Endpoint> Worker::Listen(const base::Endpoint& endpoint, Binding binding) {
  GATEPOST_ASSIGN_OR_RETURN(std::unique_ptr<net::Listener> listener, net::Listener::Open(context_, endpoint));
  const base::Endpoint bound = listener->endpoint();
  Listening& entry = listening_[bound];
  entry.listener = std::move(listener);
  entry.binding = std::move(binding);
  entry.listener->Start([this, bound](asio::ip::tcp::socket socket, const base::Endpoint& peer) {
    OnAccept(bound, std::move(socket), peer);
  });
  return bound;
}

void Worker::Rebind(const base::Endpoint& endpoint, Binding binding) {
  const auto found = listening_.find(endpoint);
  if (found != listening_.end()) found->second.binding = std::move(binding);
}

void Worker::Unlisten(const base::Endpoint& endpoint) {
  const auto found = listening_.find(endpoint);
  if (found == listening_.end()) return;
  found->second.listener->Close();  // Accepts what is queued; the binding is still needed for it.
  listening_.erase(found);
}

void Worker::OnAccept(const base::Endpoint& endpoint, asio::ip::tcp::socket socket, const base::Endpoint& peer) {
  const auto listening = listening_.find(endpoint);
  if (listening == listening_.end() || !snapshot_) return;
  const Binding& binding = listening->second.binding;
  try {
    Arrival arrival;
    arrival.stream = std::make_unique<net::TcpStream>(std::move(socket), peer);
    arrival.client = peer;
    arrival.local = endpoint.address.IsUnspecified() ? arrival.stream->local() : endpoint;
    arrival.lease = shared_.client_budget.TryAcquire();
    if (binding.proxies) {
      asio::co_spawn(context_, Introduce(this, binding, std::move(arrival)), asio::detached);
    } else {
      Begin(binding, std::move(arrival));
    }
  } catch (const std::exception& error) {  // Out of memory: this connection is closed.
    shared_.log.Error("session_failed", {{"error", error.what()}});
  }
}

void Worker::Begin(const Binding& binding, Arrival arrival) {
  const auto found = snapshot_->virtual_servers.find(binding.virtual_server);
  if (found == snapshot_->virtual_servers.end()) return;
  auto session = std::make_unique<Session>(*this, found->second, std::move(arrival), binding.tls_mode);
  asio::co_spawn(context_, Serve(this, std::move(session)), asio::detached);
}

asio::awaitable<void> Worker::Introduce(Worker* worker, Binding binding, Arrival arrival) {
  try {
    co_await ReadHeader(worker, std::move(binding), std::move(arrival));
  } catch (const std::exception& error) {
    worker->shared_.log.Error("session_failed", {{"error", error.what()}});
  }
}

asio::awaitable<void> Worker::ReadHeader(Worker* worker, Binding binding, Arrival arrival) {
  ProxyOutcome outcome = ProxyOutcome::kUntrusted;
  if (!arrival.lease) {
    outcome = ProxyOutcome::kNoPlace;  // Whose place it would be is not known, and a reply would go to the proxy.
  } else if (binding.proxies->Find(arrival.client.address)) {
    const net::ProxyReadResult read =
        co_await net::ReadProxyHeader(*arrival.stream, worker->shared_.clock.Now() + limits::kProxyHeader);
    outcome = OutcomeOf(read);
    if (read.header.connection) {
      arrival.client = read.header.connection->source;
      arrival.local = read.header.connection->destination;
    }
  }
  // What was applied while the header came holds.
  const auto found = worker->snapshot_->virtual_servers.find(binding.virtual_server);
  if (found == worker->snapshot_->virtual_servers.end()) co_return;
  found->second->metrics().ProxyHeader(outcome);
  if (outcome != ProxyOutcome::kAccepted) {
    worker->shared_.log.Info("proxy_header_refused", {{"virtual_server", binding.virtual_server},
                                                      {"peer", arrival.client.ToString()},
                                                      {"reason", OutcomeName(outcome)}});
    co_return;
  }
  worker->Begin(binding, std::move(arrival));
}

smtp::Start::Admission Worker::Admit(const VirtualServerRuntime& virtual_server, bool place_found) const {
  using Admission = smtp::Start::Admission;
  if (draining_ || virtual_server.settings().state != policy::ServerState::kStarted) return Admission::kNotAccepting;
  return place_found ? Admission::kAdmitted : Admission::kTooManyConnections;
}

// A session with everything that lives as long as it. In one place on the heap, so that the frame of its coroutine,
// which would hold every temporary as long, stays small.
class Worker::Session {
 public:
  Session(Worker& worker, std::shared_ptr<const VirtualServerRuntime> virtual_server, Arrival arrival,
          policy::TlsMode tls_mode)
      : worker_(worker),
        lease_(std::move(arrival.lease)),
        place_(TakePlace(*virtual_server, arrival.client)),
        id_(base::RandomId(worker.shared_.random, kSessionIdCharacters)),
        log_(worker.shared_.log, worker.shared_.clock, virtual_server, id_, arrival.client),
        driver_(DriverOptions(virtual_server, arrival, tls_mode),
                SessionOptions(*virtual_server, arrival.client, tls_mode)),
        enrolled_(worker.sessions_.insert(worker.sessions_.end(), &driver_)) {}
  ~Session() { worker_.sessions_.erase(enrolled_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  SessionDriver& driver() { return driver_; }

 private:
  // In the virtual server, if there is one in the edge.
  policy::ConnectionLimiter::Place TakePlace(const VirtualServerRuntime& virtual_server, const base::Endpoint& client) {
    if (!lease_) return {};
    const policy::Limits& limits = virtual_server.settings().limits;
    policy::ConnectionLimiter& limiter = virtual_server.limiter();
    if (!limiter.CountNew(client.address, limits.new_connections_per_minute, worker_.shared_.clock.Now())) return {};
    return limiter.Enter(client.address, limits.connections_per_source, limits.connections);
  }

  SessionDriver::Options DriverOptions(const std::shared_ptr<const VirtualServerRuntime>& virtual_server,
                                       Arrival& arrival, policy::TlsMode tls_mode) {
    const Shared& shared = worker_.shared_;
    Upstream::Options upstream{.route = virtual_server->route(),
                               .dialer = worker_.dialer_,
                               .budget = &shared.upstream_budget,
                               .pool = &worker_.upstreams_,
                               .clock = &shared.clock,
                               .observer = &log_,
                               .client = net::ProxiedConnection{arrival.client, arrival.local}};
    SessionDriver::Options options;
    options.virtual_server = virtual_server;
    options.start = {.admission = worker_.Admit(*virtual_server, static_cast<bool>(place_)),
                     .implicit_tls = tls_mode == policy::TlsMode::kImplicit};
    options.client = std::move(arrival.stream);
    options.session_id = id_;
    options.tls = worker_.tls_;
    options.lookup = worker_.lookup_;
    options.auth = worker_.auth_;
    options.upstream = std::make_unique<Upstream>(std::move(upstream));
    options.clock = &shared.clock;
    options.linger = lease_ ? limits::kLinger : base::Duration::zero();
    options.log = &log_;
    return options;
  }

  smtp::SessionOptions SessionOptions(const VirtualServerRuntime& virtual_server, const base::Endpoint& client,
                                      policy::TlsMode tls_mode) {
    smtp::SessionOptions session;
    session.virtual_server = &virtual_server.policy();
    session.next_hop = virtual_server.route()->capabilities();
    if (worker_.auth_ != nullptr) session.servable_mechanisms = worker_.auth_->mechanisms();
    session.starttls_available = tls_mode == policy::TlsMode::kStartTls && virtual_server.tls() != nullptr;
    session.session_id = id_;
    session.client = {.address = client.address, .port = client.port, .tls = {}};
    session.random = &worker_.shared_.random;
    session.clock = &worker_.shared_.clock;
    session.observer = &log_;
    return session;
  }

  Worker& worker_;
  // The two limits in which a connection must find a place: the edge's and the virtual server's.
  const Budget::Lease lease_;
  const policy::ConnectionLimiter::Place place_;
  const std::string id_;
  SessionLog log_;
  SessionDriver driver_;
  const std::list<SessionDriver*>::iterator enrolled_;
};

asio::awaitable<void> Worker::Serve(Worker* worker, std::unique_ptr<Session> session) {
  try {
    co_await session->driver().Run();
  } catch (const std::exception& error) {
    // Out of memory, at worst: this session is over, its sockets are closed, the others go on.
    worker->shared_.log.Error("session_failed", {{"error", error.what()}});
  }
}

void Worker::Drain() {
  draining_ = true;
  upstreams_.Shut();
  for (auto& [endpoint, listening] : listening_) listening.listener->Close();
  listening_.clear();
  for (SessionDriver* session : sessions_) session->Interrupt(smtp::Interrupt::Reason::kClosing, false);
}

void Worker::EndSessions() {
  for (SessionDriver* session : sessions_) session->Interrupt(smtp::Interrupt::Reason::kClosing, true);
}

size_t Worker::EndIdle(size_t most) {
  std::vector<SessionDriver*> idle;
  for (SessionDriver* session : sessions_) {
    if (session->idle()) idle.push_back(session);
  }
  const size_t count = std::min(most, idle.size());
  std::partial_sort(
      idle.begin(), idle.begin() + static_cast<std::ptrdiff_t>(count), idle.end(),
      [](const SessionDriver* a, const SessionDriver* b) { return a->last_advanced() < b->last_advanced(); });
  for (size_t i = 0; i < count; ++i) idle[i]->Shed();
  return count;
}

void Worker::Revoke(const std::string& user, base::WallTime since) {
  for (SessionDriver* session : sessions_) {
    const policy::Identity* identity = session->identity();
    if (identity != nullptr && identity->user == user && session->authenticated_at() <= since) {
      session->Interrupt(smtp::Interrupt::Reason::kRevoked, false);
    }
  }
}

}  // namespace gatepost::edge
