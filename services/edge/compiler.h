// From resources to the snapshot that sessions run on: translate, compile the policy, build the TLS contexts and the
// route of each virtual server. As a whole or not at all: one virtual server that cannot be compiled refuses the unit.
//
// What has not changed is taken over from the last compilation, so that a change of one virtual server among 10,000
// costs one. Thread rule: the control thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/edge/next_hop.h"
#include "services/edge/resources.h"
#include "services/edge/virtual_server_runtime.h"

namespace gatepost::edge {

class Compiler {
 public:
  // `metrics`: the handles of a virtual server, by its id.
  using MetricsFactory = std::function<std::shared_ptr<const LazyServerMetrics>(const std::string& id)>;
  explicit Compiler(MetricsFactory metrics) : metrics_(std::move(metrics)) {}

  // INVALID_ARGUMENT: names the virtual server and what is wrong; the compiler is as before.
  absl::StatusOr<std::shared_ptr<const Snapshot>> Compile(const Resources& resources);

 private:
  // What a runtime was made from. Equal pointers are equal resources.
  struct Sources {
    std::shared_ptr<const config::v1::VirtualServer> virtual_server;
    std::vector<std::shared_ptr<const config::v1::Certificate>> certificates;
    std::vector<std::shared_ptr<const config::v1::CertificateKey>> keys;
    std::shared_ptr<const config::v1::TicketKeys> ticket_keys;
    friend bool operator==(const Sources&, const Sources&) = default;
  };
  struct Compiled {
    Sources sources;
    std::shared_ptr<const VirtualServerRuntime> runtime;
  };

  static absl::StatusOr<Sources> Collect(const Resources& resources, const std::string& name,
                                         std::shared_ptr<const config::v1::VirtualServer> virtual_server);
  absl::StatusOr<std::shared_ptr<const VirtualServerRuntime>> CompileOne(const std::string& name,
                                                                         const Sources& sources,
                                                                         const Compiled* before);

  const MetricsFactory metrics_;
  HopStates hop_states_;
  std::map<std::string, Compiled> compiled_;
};

}  // namespace gatepost::edge
