// One listening socket of one worker. Several workers, and edges, share an address by SO_REUSEPORT; so that no other program's
// port is shared by accident, Probe() binds once without it (operations.md, "Listeners of several edges on one host").
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <functional>
#include <memory>

#include "services/base/ip_address.h"

namespace gatepost::net {

// Binds exclusively (SO_REUSEADDR alone) and lets go again. UNAVAILABLE, with the reason: another process holds the port, or the
// address is not this machine's. Port 0 is always free.
absl::Status ProbeExclusive(const base::Endpoint& endpoint);

class Listener {
 public:
  // Called on the io_context's thread for each connection, which may be gone already. It has TCP_NODELAY.
  using OnAccept = std::function<void(asio::ip::tcp::socket, const base::Endpoint& peer)>;

  // Bound and listening with SO_REUSEPORT (IPV6_V6ONLY always); accepts once Start() is called.
  static absl::StatusOr<std::unique_ptr<Listener>> Open(asio::io_context& context, const base::Endpoint& endpoint);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Accepts until Close(). Without file descriptors it turns one client away by a descriptor held back for that, then waits (a
  // tenth of a second, then longer, a second at most) while the kernel's backlog holds who comes: no spin.
  void Start(OnAccept on_accept);
  // Takes what the kernel has accepted already (a drain must not reset it), then closes. Idempotent.
  void Close();
  // As bound: the port that the kernel chose for port 0.
  base::Endpoint endpoint() const;
  // How often accepting had to wait for descriptors.
  uint64_t exhausted() const;

 private:
  struct State;
  explicit Listener(std::shared_ptr<State> state);
  static void Launch(const std::shared_ptr<State>& state, bool again = false);
  // `pause`: nothing is accepted at first.
  static asio::awaitable<void> Run(std::shared_ptr<State> state, bool pause);

  std::shared_ptr<State> state_;
};

}  // namespace gatepost::net
