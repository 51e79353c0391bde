// One version of all policy, compiled and immutable. A session holds the virtual server that it began with from start to end.
// Thread-safe: nothing in it changes.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "services/policy/client_set.h"
#include "services/policy/domain_set.h"
#include "services/policy/virtual_server.h"

namespace gatepost::policy {

class CompiledVirtualServer {
 public:
  // INVALID_ARGUMENT, naming the field, for what cannot be served: no FQDN, a list or figure beyond its bounds.
  static absl::StatusOr<std::shared_ptr<const CompiledVirtualServer>> Compile(VirtualServer settings);

  const VirtualServer& settings() const { return settings_; }
  const ClientSet& connection_entries() const { return connection_entries_; }
  const ClientSet& relay_entries() const { return relay_entries_; }
  const DomainSet& local_domains() const { return local_domains_; }

 private:
  explicit CompiledVirtualServer(VirtualServer settings);

  VirtualServer settings_;
  ClientSet connection_entries_;
  ClientSet relay_entries_;
  DomainSet local_domains_;
};

struct Snapshot {
  std::string epoch;
  int64_t revision = 0;
  std::vector<std::shared_ptr<const CompiledVirtualServer>> virtual_servers;
};

}  // namespace gatepost::policy
