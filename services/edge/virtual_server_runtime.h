// One virtual server as this edge serves it: its compiled policy and what belongs to it here (certificates, the route
// to its next hops, its connection counters). Immutable; made anew when the configuration changes, while sessions go on
// with the one that they began with.
//
// Thread rule: shared by all workers through shared_ptr<const>.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "services/edge/metrics.h"
#include "services/edge/next_hop.h"
#include "services/policy/limiter.h"
#include "services/policy/snapshot.h"

namespace gatepost::tls {
class ServerContext;
}

namespace gatepost::edge {

class VirtualServerRuntime {
 public:
  struct Parts {
    std::string name;  // `virtualServers/{id}`
    std::shared_ptr<const policy::CompiledVirtualServer> policy;
    std::shared_ptr<const tls::ServerContext> tls;  // nullptr: no certificate, no TLS
    std::shared_ptr<const Route> route;
    // These two outlive a change of configuration.
    std::shared_ptr<policy::ConnectionLimiter> limiter;
    std::shared_ptr<const LazyServerMetrics> metrics;
  };
  explicit VirtualServerRuntime(Parts parts) : parts_(std::move(parts)) {}

  const std::string& name() const { return parts_.name; }
  const policy::VirtualServer& settings() const { return parts_.policy->settings(); }
  const policy::CompiledVirtualServer& policy() const { return *parts_.policy; }
  const std::shared_ptr<const tls::ServerContext>& tls() const { return parts_.tls; }
  const std::shared_ptr<const Route>& route() const { return parts_.route; }
  policy::ConnectionLimiter& limiter() const { return *parts_.limiter; }
  const ServerMetrics& metrics() const { return parts_.metrics->Get(); }

  // For the next version of this virtual server.
  const std::shared_ptr<policy::ConnectionLimiter>& limiter_ptr() const { return parts_.limiter; }
  const std::shared_ptr<const LazyServerMetrics>& metrics_ptr() const { return parts_.metrics; }

 private:
  const Parts parts_;
};

// One version of everything.
struct Snapshot {
  std::string epoch;
  int64_t revision = 0;
  std::map<std::string, std::shared_ptr<const VirtualServerRuntime>, std::less<>> virtual_servers;  // by name
};

}  // namespace gatepost::edge
