// Host names that administrators write into lists of clients, looked up when the list is stored: the seam, and DNS
// behind it. A name that cannot be looked up whole is not looked up: half of its addresses would be stored for all.
//
// Thread-safe. Blocks for kHostLookupTime at most.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/net/blocking_dns.h"

namespace gatepost::config {

// By canonical name: its addresses, in order, each once; or why there are none, in words that follow the field's path.
using HostAnswers = std::map<std::string, absl::StatusOr<std::vector<base::IpAddress>>, std::less<>>;

class HostLookup {
 public:
  virtual ~HostLookup() = default;
  // An answer for each of the names, which are canonical.
  virtual HostAnswers LookUp(const std::vector<std::string>& names) = 0;
};

class DnsHostLookup final : public HostLookup {
 public:
  // The references outlive it.
  DnsHostLookup(net::BlockingDns& dns, const base::Clock& clock) : dns_(dns), clock_(clock) {}

  HostAnswers LookUp(const std::vector<std::string>& names) override;

 private:
  net::BlockingDns& dns_;
  const base::Clock& clock_;
};

}  // namespace gatepost::config
