// Which server of a directory to ask: the first that is not known to be down. One that failed is left alone for a random
// time that doubles with each failure, then tried by one login, while others go elsewhere or are told "cannot say" at
// once: a dead directory costs nothing. Pure: times are the caller's. Not thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "services/auth/limits.h"
#include "services/base/backoff.h"
#include "services/base/clock.h"
#include "services/base/random.h"

namespace gatepost::auth {

class LdapServers {
 public:
  LdapServers(size_t count, base::Random& random) : random_(random), servers_(count) {}

  // nullopt: all are down. Succeeded() or Failed() is to follow; without, nobody else tries a server that was down for the
  // time that a login may take.
  std::optional<size_t> Pick(base::MonotonicTime now) {
    for (size_t i = 0; i < servers_.size(); ++i) {
      Server& server = servers_[i];
      if (!server.down) return i;
      if (now < server.next) continue;
      server.next = now + kDirectoryTime;
      server.tried = true;
      return i;
    }
    return std::nullopt;
  }

  // True: it was down.
  bool Succeeded(size_t i) {
    const bool was_down = servers_[i].down;
    servers_[i] = Server();
    return was_down;
  }

  // True: it was up.
  bool Failed(size_t i, base::MonotonicTime now) {
    Server& server = servers_[i];
    // Of logins that were under way when it went down one alone counts.
    if (server.down && !server.tried) return false;
    server.next = now + server.backoff.Next(random_);
    server.tried = false;
    return !std::exchange(server.down, true);
  }

  bool up() const {
    for (const Server& server : servers_) {
      if (!server.down) return true;
    }
    return false;
  }

 private:
  struct Server {
    bool down = false;
    bool tried = false;  // while it is down
    base::MonotonicTime next{};
    base::Backoff backoff{kDirectoryBackoffLeast, kDirectoryBackoffMost};
  };

  base::Random& random_;
  std::vector<Server> servers_;
};

}  // namespace gatepost::auth
