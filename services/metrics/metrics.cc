#include "services/metrics/metrics.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <prometheus/exposer.h>

#include <exception>
#include <utility>

#include "services/base/strings.h"

namespace gatepost::metrics {
namespace {

using prometheus::MetricFamily;

// Gauges that are computed when they are asked for.
class Callbacks final : public prometheus::Collectable {
 public:
  void Add(const std::string& name, const std::string& help, const Labels& labels, std::function<double()> value) {
    absl::MutexLock lock(&mutex_);
    Family& family = families_[name];
    family.help = help;
    family.members.emplace_back(labels, std::move(value));
  }

  std::vector<MetricFamily> Collect() const override {
    absl::MutexLock lock(&mutex_);
    std::vector<MetricFamily> collected;
    for (const auto& [name, family] : families_) {
      MetricFamily out;
      out.name = name;
      out.help = family.help;
      out.type = prometheus::MetricType::Gauge;
      for (const auto& [labels, value] : family.members) {
        prometheus::ClientMetric metric;
        for (const auto& [label, text] : labels) metric.label.push_back({label, text});
        metric.gauge.value = value();
        out.metric.push_back(std::move(metric));
      }
      collected.push_back(std::move(out));
    }
    return collected;
  }

 private:
  struct Family {
    std::string help;
    std::vector<std::pair<Labels, std::function<double()>>> members;
  };
  mutable absl::Mutex mutex_;
  std::map<std::string, Family> families_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::vector<double> DurationBuckets() {
  return {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100};
}

Registry::Registry() : registry_(std::make_shared<prometheus::Registry>()), callbacks_(std::make_shared<Callbacks>()) {}
Registry::~Registry() = default;

Counter Registry::AddCounter(const std::string& name, const std::string& help, const Labels& labels) {
  return Counter(&prometheus::BuildCounter().Name(name).Help(help).Register(*registry_).Add(labels));
}

Gauge Registry::AddGauge(const std::string& name, const std::string& help, const Labels& labels) {
  return Gauge(&prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add(labels));
}

Histogram Registry::AddHistogram(const std::string& name, const std::string& help, const std::vector<double>& buckets, const Labels& labels) {
  return Histogram(&prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_).Add(labels, buckets));
}

void Registry::AddCallback(const std::string& name, const std::string& help, const Labels& labels, std::function<double()> value) {
  static_cast<Callbacks&>(*callbacks_).Add(name, help, labels, std::move(value));
}

void AddBuildInfo(Registry& registry, const std::string& program, const std::string& version) {
  registry.AddGauge("gatepost_build_info", "1, with what runs as labels.", {{"program", program}, {"version", version}}).Set(1);
}

struct Exposer::State {
  // Threads that serve scrapes: few, so that a hung scrape costs little.
  explicit State(const std::string& listen) : exposer(listen, 2) {}
  prometheus::Exposer exposer;
  std::shared_ptr<prometheus::Registry> registry;
  std::shared_ptr<prometheus::Collectable> callbacks;
};

Exposer::Exposer(std::unique_ptr<State> state, int port) : state_(std::move(state)), port_(port) {}
Exposer::~Exposer() = default;

absl::StatusOr<std::unique_ptr<Exposer>> Exposer::Start(const std::string& listen, const Registry& registry) {
  try {
    auto state = std::make_unique<State>(listen);
    state->registry = registry.registry();
    state->callbacks = registry.callbacks();
    state->exposer.RegisterCollectable(state->registry);
    state->exposer.RegisterCollectable(state->callbacks);
    const std::vector<int> ports = state->exposer.GetListeningPorts();
    const int port = ports.empty() ? 0 : ports.front();
    return std::unique_ptr<Exposer>(new Exposer(std::move(state), port));
  } catch (const std::exception& error) {
    return absl::UnavailableError(base::ToAbsl(
        base::StrCat("cannot serve metrics on ", listen, ": is the address this machine's, and the port free? (", std::string_view(error.what()), ")")));
  }
}

}  // namespace gatepost::metrics
