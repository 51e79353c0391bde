// The next hops of a virtual server as the edge uses them: how to reach each, how TLS is done with it, and what it can
// do.
//
// What a next hop can do is learnt by the probe and by every session, and kept by name and port, so that it survives a
// change of the virtual server's configuration. What EHLO may promise is the intersection over all of them. Thread
// rule: thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/policy/virtual_server.h"
#include "services/smtp/capabilities.h"

namespace gatepost::tls {
class ClientContext;
}

namespace gatepost::edge {

// What one next hop was last seen to be able to do.
class HopState {
 public:
  // Unseen() until it has been seen.
  smtp::Capabilities capabilities() const {
    std::lock_guard lock(mutex_);
    return capabilities_;
  }
  void Learn(const smtp::Capabilities& capabilities) {
    std::lock_guard lock(mutex_);
    if (!(capabilities_ == capabilities)) capabilities_ = capabilities;
    seen_ = true;
  }
  bool seen() const {
    std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  mutable std::mutex mutex_;
  smtp::Capabilities capabilities_ = smtp::Capabilities::Unseen();
  bool seen_ = false;
};

// States by next hop. They live as long as somebody uses them.
class HopStates {
 public:
  // Two ways to speak with one next hop (in clear, under TLS) may show two sets of capabilities.
  std::shared_ptr<HopState> Find(const policy::NextHop& hop, policy::UpstreamTlsMode mode) {
    std::lock_guard lock(mutex_);
    std::weak_ptr<HopState>& known = states_[{hop, mode}];
    std::shared_ptr<HopState> state = known.lock();
    if (!state) known = state = std::make_shared<HopState>();
    std::erase_if(states_, [](const auto& entry) { return entry.second.expired(); });
    return state;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<policy::NextHop, policy::UpstreamTlsMode>, std::weak_ptr<HopState>> states_;
};

// Immutable but for the states.
struct Route {
  struct Hop {
    policy::NextHop address;
    std::shared_ptr<const tls::ClientContext> tls;  // nullptr: in clear
    std::shared_ptr<HopState> state;
  };
  std::vector<Hop> hops;
  std::vector<base::Endpoint> dns_servers;  // who knows the hops' addresses; empty: the system's servers
  bool proxy_header = false;                // each connection begins with a PROXY header (v2) that names our client
  policy::DeliveryTimeouts timeouts;
  std::string client_name;  // for EHLO

  smtp::Capabilities capabilities() const {
    if (hops.empty()) return smtp::Capabilities::Unseen();
    smtp::Capabilities all = hops.front().state->capabilities();
    for (size_t i = 1; i < hops.size(); ++i) all = smtp::Capabilities::Intersect(all, hops[i].state->capabilities());
    return all;
  }
};

}  // namespace gatepost::edge
