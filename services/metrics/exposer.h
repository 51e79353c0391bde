// Serves a registry at http://ADDRESS/metrics: plain HTTP on a port of its own, loopback unless told otherwise.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "services/metrics/metrics.h"

namespace prometheus {
class Exposer;
}

namespace gatepost::metrics {

class Exposer {
 public:
  // "127.0.0.1:9090", "[::1]:9090"; port 0: any. The registry must outlive the exposer. UNAVAILABLE: the address is
  // taken.
  static absl::StatusOr<std::unique_ptr<Exposer>> Start(const std::string& listen, const Registry& registry);
  ~Exposer();

  int port() const;

 private:
  explicit Exposer(std::unique_ptr<prometheus::Exposer> exposer);
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace gatepost::metrics
