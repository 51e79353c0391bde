// One session's connection to a next hop: drives smtp::ClientSession over a stream, with the time-outs of the design.
//
// Opened by the first accepted recipient; the addresses are tried in order, all of a name's before the next name; kept
// for the session's later transactions. An upstream connection belongs to one client session at a time; the session may
// leave it to a pool at its end, and take one over instead of connecting: upstream_pool.h says when, and why nothing of
// one client can then reach another's transaction. A connection that has died between transactions is replaced by a new
// one, once, before a recipient has been accepted; on one that was taken over, so is whatever answer to MAIL that is
// not 2yz: only a connection of its own decides about a transaction. Nothing is ever sent twice after a dot.
//
// Thread rule: the worker's thread; one operation at a time.
#pragma once

#include <asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/clock.h"
#include "services/edge/budget.h"
#include "services/edge/next_hop.h"
#include "services/edge/upstream_pool.h"
#include "services/net/proxy_header.h"
#include "services/net/stream.h"
#include "services/smtp/client_session.h"
#include "services/smtp/session_events.h"
#include "services/smtp/upstream_outcome.h"

namespace gatepost::edge {

// How streams to next hops come about: the seam to net/ and tls/.
class Dialer {
 public:
  virtual ~Dialer() = default;
  // Addresses of a host (a name, or an address as text), in the order in which they are to be tried; `dns_servers`: who
  // is asked, empty: the system's.
  struct Addresses {
    std::vector<base::IpAddress> addresses;
    std::string error;  // why there are none
  };
  virtual asio::awaitable<Addresses> Resolve(std::string host, std::vector<base::Endpoint> dns_servers,
                                             base::MonotonicTime deadline) = 0;
  struct Connection {
    std::unique_ptr<net::Stream> stream;  // nullptr: failed
    std::string error;
  };
  virtual asio::awaitable<Connection> Connect(base::Endpoint endpoint, base::MonotonicTime deadline) = 0;
  // TLS as a client over `plain`, the peer's name checked against the context's, or `host` where it has none.
  virtual asio::awaitable<Connection> Secure(std::unique_ptr<net::Stream> plain,
                                             std::shared_ptr<const tls::ClientContext> context, std::string host,
                                             base::MonotonicTime deadline) = 0;
};

// What is told of upstream connections, for metrics and the log.
class UpstreamObserver {
 public:
  virtual ~UpstreamObserver() = default;
  // An attempt to open a connection has ended.
  virtual void OnConnect(const smtp::UpstreamOutcome& /*outcome*/, base::Duration /*took*/) {}
  // The session holds one connection more (1), or less (-1).
  virtual void OnOpen(int /*change*/) {}
  // A connection that another session left was taken over and took our transaction; or it did not, and is replaced.
  virtual void OnTakenOver(bool /*good*/) {}
  // The next hop's answer to the dot, or what came instead.
  virtual void OnEndOfData(const smtp::UpstreamOutcome& /*outcome*/, base::Duration /*took*/) {}
  // A reply that says that we are set up wrongly (530, 504, ...); our client was told 451 4.3.5.
  virtual void OnMisconfigured(const smtp::UpstreamOutcome& /*outcome*/) {}
};

class Upstream {
 public:
  struct Options {
    std::shared_ptr<const Route> route;
    Dialer* dialer = nullptr;
    Budget* budget = nullptr;
    UpstreamPool* pool = nullptr;  // nullptr: each session has its own connection
    const base::Clock* clock = nullptr;
    UpstreamObserver* observer = nullptr;
    // Our client's connection, for a PROXY header; nothing: the edge speaks for itself (a probe).
    std::optional<net::ProxiedConnection> client;
  };

  explicit Upstream(Options options);
  ~Upstream();
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  // What the action points to outlives the call.
  asio::awaitable<smtp::UpstreamOutcome> Open(smtp::OpenTransaction transaction);
  asio::awaitable<smtp::UpstreamOutcome> AddRecipient(smtp::AddRecipient recipient);
  asio::awaitable<smtp::UpstreamOutcome> BeginData();
  asio::awaitable<smtp::UpstreamOutcome> SendBody(std::span<const std::string_view> pieces);
  // `end_read`: when our client's last octet was read.
  asio::awaitable<smtp::UpstreamOutcome> Finish(std::span<const std::string_view> pieces, base::MonotonicTime end_read);
  // The transaction is over; RSET is said before the next one.
  void Reset() { reset_due_ = connected(); }
  // Closes at once, without a dot.
  void Drop();
  // The end of the session: the connection is left to the pool, where it may be.
  void Leave();
  // QUIT, if there is anybody to say it to.
  asio::awaitable<void> Quit();

  bool connected() const { return stream_ != nullptr; }
  const smtp::Capabilities& capabilities() const { return client_->capabilities(); }

  // Connects to the first address of this one hop that answers EHLO; for Open() and for the probe.
  asio::awaitable<smtp::UpstreamOutcome> ConnectTo(const Route::Hop& hop, base::MonotonicTime deadline);

 private:
  // MAIL on the connection that is kept; nothing: there is none that lives, or none that takes another transaction.
  asio::awaitable<std::optional<smtp::UpstreamOutcome>> OpenAgain(smtp::OpenTransaction transaction);
  // A connection, of the pool's or a new one, then MAIL and RCPT on it.
  asio::awaitable<smtp::UpstreamOutcome> OpenOnAnother(smtp::OpenTransaction transaction);
  smtp::ClientSession::Action Begin(const smtp::OpenTransaction& transaction);
  asio::awaitable<smtp::UpstreamOutcome> Connect(base::MonotonicTime deadline);
  // All that makes up the connection, and back.
  UpstreamConnection Detach();
  void Attach(UpstreamConnection connection);
  // One of the pool's, if one is left that lives.
  asio::awaitable<bool> TakeOver(const Route::Hop& hop, const base::Endpoint& endpoint);
  asio::awaitable<smtp::UpstreamOutcome> ConnectToAddress(const Route::Hop& hop, base::Endpoint endpoint,
                                                          base::MonotonicTime deadline);
  // The PROXY header, before anything else is said or heard.
  asio::awaitable<std::error_code> Introduce(base::MonotonicTime deadline);
  void CloseStream();
  asio::awaitable<bool> AwaitBudget(base::MonotonicTime deadline);
  // Carries out a step of the machine until it has finished.
  asio::awaitable<smtp::UpstreamOutcome> Drive(smtp::ClientSession::Action action);
  asio::awaitable<smtp::ClientSession::Event> Write(smtp::ClientSession::Write write);
  base::MonotonicTime Deadline(smtp::ClientSession::Wait wait) const;
  // The next hop has spoken out of turn, or is gone.
  asio::awaitable<std::optional<smtp::ClientSession::Event>> SpokeEarly();

  const Options options_;
  Budget::Lease lease_;
  std::unique_ptr<net::Stream> stream_;
  std::unique_ptr<smtp::ClientSession> client_;
  const Route::Hop* hop_ = nullptr;  // of stream_; the route holds it
  base::Endpoint endpoint_;          // of stream_
  base::MonotonicTime opened_{};     // when stream_ was
  bool from_pool_ = false;           // stream_ was taken over
  bool may_take_over_ = false;       // while Connect() runs
  bool reset_due_ = false;
  const smtp::ClientIdentity* identity_ = nullptr;  // whom a new connection is opened for; while Open() runs
  base::MonotonicTime opening_{};                   // the deadline of all of it up to the first RCPT's answer
  base::MonotonicTime end_read_{};
  // Octets of the message that leave with a command in one write: the last ones with the dot, a chunk with its BDAT.
  std::span<const std::string_view> message_;
};

}  // namespace gatepost::edge
