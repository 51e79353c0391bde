// Host names to addresses: the seam, and the implementation over c-ares on the worker's own loop.
// Thread rule: one io_context thread. Answers are bounded and cached by their TTL; a name that was known stays in use when DNS fails.
#pragma once

#include <absl/status/statusor.h>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "services/base/clock.h"
#include "services/base/ip_address.h"

namespace gatepost::net {

class Resolver {
 public:
  virtual ~Resolver() = default;
  // An address literal answers itself. At most 32 addresses, IPv4 and IPv6. NOT_FOUND: there is no such name, or it has no
  // address; UNAVAILABLE, DEADLINE_EXCEEDED: it cannot be said. CANCELLED: the resolver is gone.
  virtual asio::awaitable<absl::StatusOr<std::vector<base::IpAddress>>> Resolve(std::string host, base::MonotonicTime deadline) = 0;
};

// The hosts file, then DNS: `servers`, or where there are none the system's, with its search list. INTERNAL: c-ares cannot be set
// up. The clock outlives it.
absl::StatusOr<std::unique_ptr<Resolver>> MakeResolver(const asio::any_io_executor& executor, const base::Clock& clock,
                                                       const std::vector<base::Endpoint>& servers = {});

}  // namespace gatepost::net
