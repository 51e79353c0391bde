// Metrics for Prometheus: thin handles, resolved once at start, over prometheus-cpp. This is the only room that
// includes it.
//
// A handle that was default-constructed counts nothing, so that tests need no registry. Labels are closed sets (a verb,
// an outcome) and at most a virtual server's id: never an address, a user or a text that a peer sent.
//
// Handles are thread-safe, cheap to copy, take no lock, and must not outlive the registry.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
class Collectable;
}  // namespace prometheus

namespace gatepost::metrics {

class Counter {
 public:
  Counter() = default;
  void Increment(double by = 1) const;
  // What was counted; 0 for an empty handle. For tests.
  double Value() const;

 private:
  friend class Registry;
  explicit Counter(prometheus::Counter* counter) : counter_(counter) {}
  prometheus::Counter* counter_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void Set(double value) const;
  void Add(double by) const;
  double Value() const;

 private:
  friend class Registry;
  explicit Gauge(prometheus::Gauge* gauge) : gauge_(gauge) {}
  prometheus::Gauge* gauge_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void Observe(double value) const;

 private:
  friend class Registry;
  explicit Histogram(prometheus::Histogram* histogram) : histogram_(histogram) {}
  prometheus::Histogram* histogram_ = nullptr;
};

// {"outcome", "success"}
struct Label {
  std::string_view name;
  std::string_view value;
};
using Labels = std::vector<Label>;

// Upper bounds of buckets in seconds, for what takes from a millisecond to ten minutes.
const std::vector<double>& DurationBuckets();

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // A name is registered once per set of label values; the same again is the same metric. Help belongs to the name.
  // Thread-safe.
  Counter AddCounter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge AddGauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram AddHistogram(std::string_view name, std::string_view help, const std::vector<double>& buckets,
                         const Labels& labels = {});
  // Asked at each scrape, on the exposer's thread; `read` must be thread-safe and quick. Registered for good.
  // `counter`: the value never falls.
  void AddGaugeFunction(std::string_view name, std::string_view help, std::function<double()> read);
  void AddCounterFunction(std::string_view name, std::string_view help, std::function<double()> read);

  // gatepost_build_info{program,version} 1, and the process's own start time, CPU, memory and open files.
  void AddProcessMetrics(std::string_view program);

  // All metrics in Prometheus's text format.
  std::string Text() const;

 private:
  friend class Exposer;
  class Functions;
  std::shared_ptr<prometheus::Collectable> functions() const;
  void AddFunction(std::string_view name, std::string_view help, bool counter, std::function<double()> read);

  std::shared_ptr<prometheus::Registry> registry_;
  std::shared_ptr<Functions> functions_;
};

// The version that build info, logs and the watch state.
std::string_view BuildVersion();

}  // namespace gatepost::metrics
