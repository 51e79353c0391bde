#include "services/edge/worker.h"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <exception>
#include <utility>

#include "services/base/status_macros.h"
#include "services/edge/limits.h"
#include "services/edge/session_driver.h"
#include "services/edge/session_log.h"
#include "services/net/tcp_stream.h"

namespace gatepost::edge {
namespace {

constexpr size_t kSessionIdCharacters = 13;  // 65 bits

// A driver in the worker's list for as long as it runs.
class Enrolled {
 public:
  Enrolled(std::list<SessionDriver*>& list, SessionDriver* driver)
      : list_(list), place_(list.insert(list.end(), driver)) {}
  ~Enrolled() { list_.erase(place_); }
  Enrolled(const Enrolled&) = delete;
  Enrolled& operator=(const Enrolled&) = delete;

 private:
  std::list<SessionDriver*>& list_;
  std::list<SessionDriver*>::iterator place_;
};

}  // namespace

Worker::Worker(const Shared& shared) : shared_(shared), work_(context_.get_executor()) {}

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
  for (SessionDriver* session : sessions_) {
    const auto found = snapshot_->virtual_servers.find(session->virtual_server().name());
    if (found == snapshot_->virtual_servers.end() || found->second->settings().state != policy::ServerState::kStarted) {
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
  entry.listener->Start([this, bound](asio::ip::tcp::socket socket) { OnAccept(bound, std::move(socket)); });
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

void Worker::OnAccept(const base::Endpoint& endpoint, asio::ip::tcp::socket socket) {
  const auto listening = listening_.find(endpoint);
  if (listening == listening_.end() || !snapshot_) return;
  const Binding& binding = listening->second.binding;
  const auto found = snapshot_->virtual_servers.find(binding.virtual_server);
  if (found == snapshot_->virtual_servers.end()) return;
  asio::co_spawn(context_, Serve(this, found->second, std::move(socket), binding.tls_mode), asio::detached);
}

smtp::Start::Admission Worker::Admit(const VirtualServerRuntime& virtual_server, bool place_found) const {
  using Admission = smtp::Start::Admission;
  if (draining_ || virtual_server.settings().state != policy::ServerState::kStarted) return Admission::kNotAccepting;
  return place_found ? Admission::kAdmitted : Admission::kTooManyConnections;
}

asio::awaitable<void> Worker::Serve(Worker* worker, std::shared_ptr<const VirtualServerRuntime> virtual_server,
                                    asio::ip::tcp::socket socket, policy::TlsMode tls_mode) {
  const Shared& shared = worker->shared_;
  const base::Endpoint client = net::PeerOf(socket);
  if (client.port == 0) co_return;  // Gone before we looked.

  // The two limits that a connection must find a place in: the edge's and the virtual server's.
  Budget::Lease lease = shared.client_budget.TryAcquire();
  policy::ConnectionLimiter::Place place;
  if (lease) {
    const policy::Limits& limits = virtual_server->settings().limits;
    place = virtual_server->limiter().Enter(client.address, limits.connections_per_source, limits.connections);
  }

  std::string id = base::RandomId(shared.random, kSessionIdCharacters);
  SessionLog observer(shared.log, shared.clock, virtual_server, id, client);

  Upstream::Options upstream{.route = virtual_server->route(),
                             .dialer = worker->dialer_,
                             .budget = &shared.upstream_budget,
                             .clock = &shared.clock,
                             .observer = &observer};
  SessionDriver::Options options;
  options.virtual_server = virtual_server;
  options.start = {.admission = worker->Admit(*virtual_server, static_cast<bool>(place)),
                   .implicit_tls = tls_mode == policy::TlsMode::kImplicit};
  options.client = std::make_unique<net::TcpStream>(std::move(socket));
  options.tls = worker->tls_;
  options.auth = worker->auth_;
  options.upstream = std::make_unique<Upstream>(std::move(upstream));
  options.clock = &shared.clock;
  options.linger = lease ? limits::kLinger : base::Duration::zero();
  options.log = &observer;
  smtp::SessionOptions& session = options.session;
  session.virtual_server = &virtual_server->policy();
  session.next_hop = virtual_server->route()->capabilities();
  if (worker->auth_ != nullptr) session.servable_mechanisms = worker->auth_->mechanisms();
  session.starttls_available = tls_mode == policy::TlsMode::kStartTls && virtual_server->tls() != nullptr;
  session.session_id = id;
  options.session_id = std::move(id);
  session.client = {.address = client.address, .port = client.port, .tls = {}};
  session.random = &shared.random;
  session.clock = &shared.clock;
  session.observer = &observer;

  SessionDriver driver(std::move(options));
  const Enrolled enrolled(worker->sessions_, &driver);
  try {
    co_await driver.Run();
  } catch (const std::exception& error) {
    // Out of memory, at worst: this session is over, its sockets are closed, the others go on.
    shared.log.Error("session_failed", {{"client", client.ToString()}, {"error", error.what()}});
  }
}

void Worker::Drain() {
  draining_ = true;
  for (auto& [endpoint, listening] : listening_) listening.listener->Close();
  listening_.clear();
  for (SessionDriver* session : sessions_) session->Interrupt(smtp::Interrupt::Reason::kClosing, false);
}

void Worker::EndSessions() {
  for (SessionDriver* session : sessions_) session->Interrupt(smtp::Interrupt::Reason::kClosing, true);
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
