// Connections to next hops that sessions of one worker leave for the next session: it saves connecting, the greeting,
// EHLO and TLS.
//
// A connection is left only in a state in which nothing of one client can reach another's transaction:
// - the last transaction ended with the next hop's 250 to the end of its message, or with a 250 to RSET, or there
//   was none. Either clears the next hop's buffers, and MAIL is in order again (RFC 5321 4.1.1.4, 4.1.1.5). Whatever ended in another way ends
//   the connection, and so does any refusal: next hops count errors per connection, and hang up on who makes many;
// - no octet beyond that 250 has come, and none comes while it is idle: looked for every second and once more when it
//   is taken over, so that an early reply, a 421 or the end is never the answer to what is said next (protocol.md 4, 8);
// - the next hop was never told of a client (XCLIENT, PROXY).
// It is found again only by the same Route, that is by sessions of the same virtual server in the same configuration
// (next hops, TLS settings, our name in EHLO), and by the same address. limits.h bounds number, idling, age and
// transactions.
//
// Thread rule: the worker's thread. It is destroyed before the executor's context.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <optional>

#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/edge/budget.h"
#include "services/edge/limits.h"
#include "services/edge/next_hop.h"
#include "services/net/stream.h"
#include "services/smtp/client_session.h"

namespace gatepost::edge {

// A connection to a next hop with its conversation.
struct UpstreamConnection {
  std::unique_ptr<net::Stream> stream;
  std::unique_ptr<smtp::ClientSession> conversation;
  const Route::Hop* hop = nullptr;  // the route holds it
  base::Endpoint endpoint;          // the address of the hop's that it goes to
  base::MonotonicTime opened{};
  Budget::Lease lease;
};

class UpstreamPool {
 public:
  struct Options {
    size_t per_next_hop = limits::kIdlePerNextHop;
    size_t most = limits::kIdleUpstreams;
    base::Duration idle = limits::kUpstreamIdle;
    base::Duration age = limits::kUpstreamAge;
    uint64_t transactions = limits::kUpstreamTransactions;
  };

  // Both outlive it.
  UpstreamPool(asio::any_io_executor executor, const base::Clock& clock, const Budget& budget)
      : UpstreamPool(std::move(executor), clock, budget, Options()) {}
  UpstreamPool(asio::any_io_executor executor, const base::Clock& clock, const Budget& budget, Options options);
  ~UpstreamPool();
  UpstreamPool(const UpstreamPool&) = delete;
  UpstreamPool& operator=(const UpstreamPool&) = delete;

  // Keeps the connection, and with it the route. False: it may not be kept, and is as it was.
  bool Leave(std::shared_ptr<const Route> route, UpstreamConnection* connection);
  // The one that was left last. The caller looks whether the next hop has spoken since.
  std::optional<UpstreamConnection> Take(const Route& route, const Route::Hop& hop, const base::Endpoint& endpoint);

  // Closes a connection that is of no more use, with QUIT unless the next hop has something to say itself.
  void Dismiss(UpstreamConnection connection);
  // One of them was dead: the others to this address go the same way.
  void Forget(const Route& route, const base::Endpoint& endpoint);
  // Gives back the lease of the one that has been idle longest. False: there is none.
  bool CloseOldest();
  // The configuration has changed: what is open is of no more use, or soon.
  void CloseAll();
  // Keeps nothing from now on.
  void Shut();

  size_t size() const { return idle_.size(); }

 private:
  struct Idle {
    std::shared_ptr<const Route> route;
    UpstreamConnection connection;
    base::MonotonicTime since;
  };
  using List = std::list<Idle>;

  bool MayBeKept(const UpstreamConnection& connection, base::MonotonicTime now) const;
  List::iterator Close(List::iterator idle);
  template <typename Condition>
  void CloseWhere(const Condition& condition);
  void Schedule();
  void Sweep();

  const asio::any_io_executor executor_;
  const base::Clock& clock_;
  const Budget& budget_;
  const Options options_;
  asio::steady_timer timer_;
  bool scheduled_ = false;
  bool shut_ = false;
  List idle_;  // the longest idle first
};

}  // namespace gatepost::edge
