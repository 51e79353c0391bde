// Questions to DNS for policy: names of addresses, addresses of names, block lists. The seam, and the implementation
// over c-ares on the worker's own loop: by deadline, cached by TTL (that there is nothing, too), equal questions on
// their way asked once, bounded in every direction. Next hops' names, with the hosts file and the search list, are
// resolver.h's.
//
// Thread rule: one io_context thread. Who asks is told even when the implementation goes first.
#pragma once

#include <absl/status/statusor.h>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/net/dns_message.h"

namespace gatepost::net {

struct DnsQuestion {
  std::string name;
  DnsType type = DnsType::kA;
};

enum class DnsOutcome : uint8_t {
  kAnswered,
  kNone,      // no such name, or no such record of it
  kFailed,    // SERVFAIL, REFUSED, an answer that is none, no server, too many questions on their way
  kTimedOut,  // of the servers, or of who asked
};

struct DnsReply {
  DnsOutcome outcome = DnsOutcome::kTimedOut;
  bool cached = false;
  DnsRecords records;  // kAnswered alone
};

class Dns {
 public:
  virtual ~Dns() = default;
  // All of them at once; the replies in their order, when the last is there or at the deadline.
  virtual asio::awaitable<std::vector<DnsReply>> Ask(std::vector<DnsQuestion> questions,
                                                     base::MonotonicTime deadline) = 0;
};

struct DnsOptions {
  std::vector<base::Endpoint> servers;  // empty: the system's
  size_t cache_entries = 10'000;
  size_t cache_octets = 4 << 20;
  // On their way at once; the next fails. A question lives as long as c-ares tries, whoever has gone away.
  size_t most_in_flight = 1'000;
  std::chrono::seconds shortest_ttl{5};
  std::chrono::seconds longest_ttl{3600};
  // Of "there is none". Failures are not kept.
  std::chrono::seconds negative_ttl{60};
};

// INTERNAL: c-ares cannot be set up. The clock outlives it.
absl::StatusOr<std::unique_ptr<Dns>> MakeDns(const asio::any_io_executor& executor, const base::Clock& clock,
                                             const DnsOptions& options);

}  // namespace gatepost::net
