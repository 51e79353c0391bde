// Metrics as handles that are resolved once, over prometheus-cpp. Labels are closed sets: resolve each combination at start, never
// from what a peer sent. Thread-safe; a handle lives as long as its Registry.
#pragma once

#include <absl/status/statusor.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gatepost::metrics {

using Labels = std::map<std::string, std::string>;

class Counter {
 public:
  Counter() = default;
  explicit Counter(prometheus::Counter* counter) : counter_(counter) {}
  void Increment(double by = 1) const {
    if (counter_ != nullptr) counter_->Increment(by);
  }
  double value() const { return counter_ == nullptr ? 0 : counter_->Value(); }

 private:
  prometheus::Counter* counter_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  explicit Gauge(prometheus::Gauge* gauge) : gauge_(gauge) {}
  void Set(double value) const {
    if (gauge_ != nullptr) gauge_->Set(value);
  }
  void Add(double by) const {
    if (gauge_ != nullptr) gauge_->Increment(by);
  }
  double value() const { return gauge_ == nullptr ? 0 : gauge_->Value(); }

 private:
  prometheus::Gauge* gauge_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  explicit Histogram(prometheus::Histogram* histogram) : histogram_(histogram) {}
  void Observe(double value) const {
    if (histogram_ != nullptr) histogram_->Observe(value);
  }

 private:
  prometheus::Histogram* histogram_ = nullptr;
};

// From 1 ms to 100 s, three a decade: for durations in seconds.
std::vector<double> DurationBuckets();

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The same name and labels give the same handle. Names end in _total, _seconds, _bytes as Prometheus has it.
  Counter AddCounter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge AddGauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram AddHistogram(const std::string& name, const std::string& help, const std::vector<double>& buckets, const Labels& labels = {});
  // A gauge whose value is asked for when it is scraped. `value` must be callable until the exposer is gone.
  void AddCallback(const std::string& name, const std::string& help, const Labels& labels, std::function<double()> value);

  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }
  const std::shared_ptr<prometheus::Collectable>& callbacks() const { return callbacks_; }

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  std::shared_ptr<prometheus::Collectable> callbacks_;
};

// gatepost_build_info{program, version} 1.
void AddBuildInfo(Registry& registry, const std::string& program, const std::string& version);

// GET /metrics on a port of its own, plain HTTP.
class Exposer {
 public:
  // HOST:PORT; port 0: one of the kernel's choice. UNAVAILABLE: it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<Exposer>> Start(const std::string& listen, const Registry& registry);
  ~Exposer();
  int port() const { return port_; }

 private:
  struct State;
  explicit Exposer(std::unique_ptr<State> state, int port);
  std::unique_ptr<State> state_;
  int port_;
};

}  // namespace gatepost::metrics
