// Dns (dns.h) for programs whose threads may wait: the control plane. Who asks is blocked until the last reply or the
// deadline; the questions live on a loop with a thread of its own. The seam, and that implementation.
//
// Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "services/base/clock.h"
#include "services/net/dns.h"

namespace gatepost::net {

class BlockingDns {
 public:
  virtual ~BlockingDns() = default;
  // As Dns::Ask. By the deadline there is a reply for every question.
  virtual std::vector<DnsReply> Ask(std::vector<DnsQuestion> questions, base::MonotonicTime deadline) = 0;
};

// `most_asking`: threads that wait at once; whoever comes beyond them is answered kFailed at once. Taking it down waits
// for who asks. INTERNAL: c-ares cannot be set up. The clock outlives it.
absl::StatusOr<std::unique_ptr<BlockingDns>> StartBlockingDns(const base::Clock& clock, const DnsOptions& options,
                                                              size_t most_asking);

}  // namespace gatepost::net
