// One worker: a thread with its io_context, its listening sockets, its sessions, its streams to the auth service. A
// connection lives and dies on one worker.
//
// Thread rule: the constructor, Run(), Join() and Do() belong to who owns the workers (the control thread); everything
// else is called on the worker's thread, that is by Do().
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/base/log.h"
#include "services/base/random.h"
#include "services/edge/auth_exchange.h"
#include "services/edge/budget.h"
#include "services/edge/upstream.h"
#include "services/edge/upstream_pool.h"
#include "services/edge/virtual_server_runtime.h"
#include "services/net/listener.h"
#include "services/net/tcp_stream.h"
#include "services/policy/client_set.h"
#include "services/smtp/session_events.h"

namespace gatepost::edge {

class ClientLookup;
class SessionDriver;
class TlsAcceptor;

class Worker {
 public:
  // What all workers share; outlives them.
  struct Shared {
    base::Log& log;
    const base::Clock& clock;
    base::Random& random;
    Budget& client_budget;
    Budget& upstream_budget;
  };
  // What a listening socket is for.
  struct Binding {
    std::string virtual_server;
    policy::TlsMode tls_mode = policy::TlsMode::kStartTls;
    // Whose PROXY headers are believed; each connection begins with one. nullptr: none does.
    std::shared_ptr<const policy::ClientSet> proxies;
  };

  explicit Worker(const Shared& shared);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  asio::io_context& context() { return context_; }
  void Run();
  // Ends the thread; sessions must have ended, or are cut.
  void Join();
  // Runs `work` on the worker's thread and waits for it. Not from a worker's thread, and not after Join().
  template <typename Work>
  auto Do(Work work) {
    // (Posted as it is, Asio would take the future of a packaged_task for itself.)
    auto task = std::make_shared<std::packaged_task<decltype(work())()>>(std::move(work));
    auto result = task->get_future();
    asio::post(context_, [task] { (*task)(); });
    return result.get();
  }

  // ------------------------------------------------------------------------------------------ on the worker's thread

  // Before anything is listened to; they outlive the sessions.
  void Use(AuthService* auth, Dialer* dialer, TlsAcceptor* tls, ClientLookup* lookup) {
    auth_ = auth;
    dialer_ = dialer;
    tls_ = tls;
    lookup_ = lookup;
  }
  // From now on new sessions see this; sessions of virtual servers that are no longer started end between transactions.
  void Adopt(std::shared_ptr<const Snapshot> snapshot);

  // `endpoint` as bound, with the kernel's port where 0 was asked for.
  absl::StatusOr<base::Endpoint> Listen(const base::Endpoint& endpoint, Binding binding);
  void Rebind(const base::Endpoint& endpoint, Binding binding);
  void Unlisten(const base::Endpoint& endpoint);

  // New connections are greeted with 421, sessions end between transactions.
  void Drain();
  // Sessions end in a transaction too, but for those past their dot.
  void EndSessions();
  // Ends sessions that wait between transactions, `most` of them, longest idle first; how many. To get their memory back
  // at once they do not wait for the client to read.
  size_t EndIdle(size_t most);
  // Sessions of this user that authenticated before `since` end between transactions.
  void Revoke(const std::string& user, base::WallTime since);
  size_t sessions() const { return sessions_.size(); }

 private:
  // A connection with its place in the edge's budget (if there was one), and on whose behalf it is.
  struct Arrival {
    std::unique_ptr<net::TcpStream> stream;
    base::Endpoint client;
    base::Endpoint local;
    Budget::Lease lease;
  };

  void OnAccept(const base::Endpoint& endpoint, asio::ip::tcp::socket socket, const base::Endpoint& peer);
  // The PROXY header comes before everything else; then the session.
  static asio::awaitable<void> Introduce(Worker* worker, Binding binding, Arrival arrival);
  static asio::awaitable<void> ReadHeader(Worker* worker, Binding binding, Arrival arrival);
  void Begin(const Binding& binding, Arrival arrival);
  class Session;
  static asio::awaitable<void> Serve(Worker* worker, std::unique_ptr<Session> session);
  smtp::Start::Admission Admit(const VirtualServerRuntime& virtual_server, bool place_found) const;

  struct Listening {
    std::unique_ptr<net::Listener> listener;
    Binding binding;
  };

  const Shared shared_;
  // Before the context: what is left of the sessions when it is destroyed takes itself off the list.
  std::list<SessionDriver*> sessions_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  UpstreamPool upstreams_;
  std::thread thread_;

  AuthService* auth_ = nullptr;
  Dialer* dialer_ = nullptr;
  TlsAcceptor* tls_ = nullptr;
  ClientLookup* lookup_ = nullptr;
  std::shared_ptr<const Snapshot> snapshot_;
  std::map<base::Endpoint, Listening> listening_;
  bool draining_ = false;
};

}  // namespace gatepost::edge
