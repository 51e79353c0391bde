// What DNS knows of a client's address, as facts for policy: its names, confirmed forward (RFC 8601 2.7.3), and the
// block lists that have it (RFC 5782). Each look-up has one deadline for all of its questions. The answers are an
// attacker's: an address has its owner's PTR records, and only what resolves back to it counts. Questions on their way are
// bounded for each IPv6 /64: who owns a reverse zone that does not answer makes his own look-ups fail, not others'.
//
// Thread rule: the worker's thread; the objects given outlive what waits.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <array>
#include <asio/awaitable.hpp>
#include <vector>

#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/edge/metrics.h"
#include "services/net/dns.h"
#include "services/policy/facts.h"
#include "services/policy/virtual_server.h"

namespace gatepost::edge {

// The seam between sessions and DNS.
class ClientLookup {
 public:
  virtual ~ClientLookup() = default;
  // Never kUnasked. `metrics` counts each question and what the client waited.
  virtual asio::awaitable<policy::ClientName> FindName(base::IpAddress address, base::Duration timeout,
                                                       const ServerMetrics& metrics) = 0;
  // All of the lists at once. Listed by one is listed, whatever becomes of the others; failed is: one could not be
  // asked.
  virtual asio::awaitable<policy::BlockListing> FindListing(base::IpAddress address,
                                                            const std::vector<policy::BlockList>& lists,
                                                            base::Duration timeout, const ServerMetrics& metrics) = 0;
};

class DnsClientLookup final : public ClientLookup {
 public:
  DnsClientLookup(net::Dns& dns, const base::Clock& clock) : dns_(dns), clock_(clock) {}

  asio::awaitable<policy::ClientName> FindName(base::IpAddress address, base::Duration timeout,
                                               const ServerMetrics& metrics) override;
  asio::awaitable<policy::BlockListing> FindListing(base::IpAddress address,
                                                    const std::vector<policy::BlockList>& lists, base::Duration timeout,
                                                    const ServerMetrics& metrics) override;

 private:
  // Of a look-up while it lasts; empty: its source has enough of them.
  class Turn;

  net::Dns& dns_;
  const base::Clock& clock_;
  absl::flat_hash_map<std::array<uint8_t, 16>, int> turns_;
};

}  // namespace gatepost::edge
