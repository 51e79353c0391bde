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

// A list of clients: what decides by address, and what by name. Entries keep the indexes that they have in the list.
struct CompiledClientList {
  explicit CompiledClientList(const std::vector<ClientEntry>& entries);
  ClientSet addresses;
  DomainSet domains;  // each with its subdomains
};

class CompiledVirtualServer {
 public:
  // INVALID_ARGUMENT, naming the field, for what cannot be served: no FQDN, a list or figure beyond its bounds.
  static absl::StatusOr<std::shared_ptr<const CompiledVirtualServer>> Compile(VirtualServer settings);

  const VirtualServer& settings() const { return settings_; }
  const CompiledClientList& connection_list() const { return connection_list_; }
  const CompiledClientList& relay_list() const { return relay_list_; }
  const DomainSet& local_domains() const { return local_domains_; }

 private:
  explicit CompiledVirtualServer(VirtualServer settings);

  VirtualServer settings_;
  CompiledClientList connection_list_;
  CompiledClientList relay_list_;
  DomainSet local_domains_;
};

struct Snapshot {
  std::string epoch;
  int64_t revision = 0;
  std::vector<std::shared_ptr<const CompiledVirtualServer>> virtual_servers;
};

}  // namespace gatepost::policy
