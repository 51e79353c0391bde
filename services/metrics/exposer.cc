#include "services/metrics/exposer.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/registry.h>

#include <exception>

#include "services/base/strings.h"

namespace gatepost::metrics {

Exposer::Exposer(std::unique_ptr<prometheus::Exposer> exposer) : exposer_(std::move(exposer)) {}
Exposer::~Exposer() = default;

absl::StatusOr<std::unique_ptr<Exposer>> Exposer::Start(const std::string& listen, const Registry& registry) {
  try {
    // Scrapers are few, and a stuck one must not keep the next from being served.
    auto exposer = std::make_unique<prometheus::Exposer>(std::vector<std::string>{
        "listening_ports", listen, "num_threads", "3", "request_timeout_ms", "10000", "enable_keep_alive", "no"});
    exposer->RegisterCollectable(registry.registry_);
    exposer->RegisterCollectable(registry.functions());
    return std::unique_ptr<Exposer>(new Exposer(std::move(exposer)));
  } catch (const std::exception&) {
    return absl::UnavailableError(
        base::StrCat("cannot serve metrics on ", listen, ": is the address this machine's, and free?"));
  }
}

int Exposer::port() const {
  const std::vector<int> ports = exposer_->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

}  // namespace gatepost::metrics
