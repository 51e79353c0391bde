// Drives one SMTP session: carries out what smtp::ServerSession asks for (read, write, TLS, verdicts, the auth service,
// the next hop), one action at a time, and hands the answer back. It decides nothing itself.
//
// A session holds its virtual server, compiled, from start to end, whatever is applied meanwhile.
// Thread rule: one worker's thread. The driver lives in the frame of the coroutine that serves the connection.
#pragma once

#include <asio/awaitable.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "services/base/clock.h"
#include "services/edge/auth_exchange.h"
#include "services/edge/client_lookup.h"
#include "services/edge/limits.h"
#include "services/edge/session_log.h"
#include "services/edge/upstream.h"
#include "services/edge/virtual_server_runtime.h"
#include "services/net/stream.h"
#include "services/smtp/server_session.h"

namespace gatepost::edge {

// TLS as a server: the seam to tls/.
class TlsAcceptor {
 public:
  virtual ~TlsAcceptor() = default;
  struct Accepted {
    std::unique_ptr<net::Stream> stream;  // nullptr: the handshake failed, and the connection is closed
    policy::TlsFacts tls;
    std::string error;  // why it failed, for the log: nothing of the peer's choosing
  };
  virtual asio::awaitable<Accepted> Accept(std::unique_ptr<net::Stream> plain,
                                           std::shared_ptr<const VirtualServerRuntime> virtual_server,
                                           base::MonotonicTime deadline) = 0;
};

class SessionDriver {
 public:
  struct Options {
    std::shared_ptr<const VirtualServerRuntime> virtual_server;
    std::unique_ptr<net::Stream> client;
    smtp::Start start;
    std::string session_id;
    TlsAcceptor* tls = nullptr;
    AuthService* auth = nullptr;  // nullptr: no auth service; AUTH is answered 454.
    ClientLookup* lookup = nullptr;
    std::unique_ptr<Upstream> upstream;
    const base::Clock* clock = nullptr;
    // How long a client that we close is given to read our last reply.
    base::Duration linger = limits::kLinger;
    SessionLog* log = nullptr;  // may be nullptr
  };

  SessionDriver(Options options, smtp::SessionOptions session);
  SessionDriver(const SessionDriver&) = delete;
  SessionDriver& operator=(const SessionDriver&) = delete;

  // The whole session; returns when both sides are closed.
  asio::awaitable<void> Run();

  // The session ends as soon as no transaction is open; with `at_once` also in one, unless it is past its dot.
  void Interrupt(smtp::Interrupt::Reason reason, bool at_once);

  // It waits for the client between transactions; since when.
  bool idle() const { return reading_ && interruptible_; }
  base::MonotonicTime last_advanced() const { return last_advanced_; }
  // Ends an idle session without waiting until the client has read the reply: memory is short.
  void Shed();

  const VirtualServerRuntime& virtual_server() const { return *options_.virtual_server; }
  // The authenticated user, or the one who is about to be; or nullptr.
  const policy::Identity* identity() const {
    const policy::Identity* identity = session_.identity();
    return identity != nullptr ? identity : session_.almost_authenticated();
  }
  // Since when; meaningless without an identity.
  base::WallTime authenticated_at() const { return authenticated_at_; }

 private:
  asio::awaitable<smtp::Event> Perform(smtp::Action& action);
  // Policy's questions, answered at once; false: it was none of them.
  bool Judge(const smtp::Action& action, smtp::Event* event);
  asio::awaitable<smtp::Event> Read(smtp::ReadClient read);
  asio::awaitable<bool> Flush();
  asio::awaitable<smtp::Event> Handshake();
  asio::awaitable<void> Wait(base::Duration duration);
  asio::awaitable<smtp::Event> Authenticate(smtp::AuthStart start);
  asio::awaitable<smtp::Event> Continue(smtp::AuthRespond respond);
  asio::awaitable<void> CloseClient(bool linger);

  Options options_;
  smtp::ServerSession session_;
  std::unique_ptr<AuthExchange> exchange_;
  std::optional<smtp::Interrupt::Reason> interrupt_;
  bool at_once_ = false;
  bool reading_ = false;
  bool interruptible_ = false;
  base::WallTime authenticated_at_{};
  base::MonotonicTime last_advanced_{};
};

}  // namespace gatepost::edge
