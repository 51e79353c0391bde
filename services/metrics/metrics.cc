#include "services/metrics/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <mutex>

#ifndef GATEPOST_VERSION
#define GATEPOST_VERSION "0.1.0"
#endif

namespace gatepost::metrics {
namespace {

prometheus::Labels ToPrometheus(const Labels& labels) {
  prometheus::Labels out;
  for (const Label& label : labels) out.emplace(label.name, label.value);
  return out;
}

double OpenFiles() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
       entry.increment(error))
    ++count;
  return count;
}

double MaxFiles() {
  rlimit limit = {};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<double>(limit.rlim_cur) : 0;
}

double ResidentBytes() {
  long pages = 0, resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double NowSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

void Counter::Increment(double by) const {
  if (counter_ != nullptr) counter_->Increment(by);
}
double Counter::Value() const { return counter_ == nullptr ? 0 : counter_->Value(); }
void Gauge::Set(double value) const {
  if (gauge_ != nullptr) gauge_->Set(value);
}
void Gauge::Add(double by) const {
  if (gauge_ != nullptr) gauge_->Increment(by);
}
double Gauge::Value() const { return gauge_ == nullptr ? 0 : gauge_->Value(); }
void Histogram::Observe(double value) const {
  if (histogram_ != nullptr) histogram_->Observe(value);
}

const std::vector<double>& DurationBuckets() {
  static const std::vector<double> kBuckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                               1,     2.5,    5,     10,   30,    60,   300, 600};
  return kBuckets;
}

// Values that are read when they are asked for.
class Registry::Functions final : public prometheus::Collectable {
 public:
  struct Function {
    std::string name, help;
    bool counter;
    std::function<double()> read;
  };

  void Add(Function function) {
    std::lock_guard lock(mutex_);
    functions_.push_back(std::move(function));
  }

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::lock_guard lock(mutex_);
    std::vector<prometheus::MetricFamily> families;
    for (const Function& function : functions_) {
      prometheus::MetricFamily family;
      family.name = function.name;
      family.help = function.help;
      family.type = function.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
      prometheus::ClientMetric metric;
      (function.counter ? metric.counter.value : metric.gauge.value) = function.read();
      family.metric.push_back(std::move(metric));
      families.push_back(std::move(family));
    }
    return families;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Function> functions_;
};

Registry::Registry() : registry_(std::make_shared<prometheus::Registry>()), functions_(std::make_shared<Functions>()) {}
Registry::~Registry() = default;
std::shared_ptr<prometheus::Collectable> Registry::functions() const { return functions_; }

Counter Registry::AddCounter(std::string_view name, std::string_view help, const Labels& labels) {
  auto& family = prometheus::BuildCounter().Name(std::string(name)).Help(std::string(help)).Register(*registry_);
  return Counter(&family.Add(ToPrometheus(labels)));
}

Gauge Registry::AddGauge(std::string_view name, std::string_view help, const Labels& labels) {
  auto& family = prometheus::BuildGauge().Name(std::string(name)).Help(std::string(help)).Register(*registry_);
  return Gauge(&family.Add(ToPrometheus(labels)));
}

Histogram Registry::AddHistogram(std::string_view name, std::string_view help, const std::vector<double>& buckets,
                                 const Labels& labels) {
  auto& family = prometheus::BuildHistogram().Name(std::string(name)).Help(std::string(help)).Register(*registry_);
  return Histogram(&family.Add(ToPrometheus(labels), buckets));
}

void Registry::AddFunction(std::string_view name, std::string_view help, bool counter, std::function<double()> read) {
  functions_->Add({std::string(name), std::string(help), counter, std::move(read)});
}
void Registry::AddGaugeFunction(std::string_view name, std::string_view help, std::function<double()> read) {
  AddFunction(name, help, false, std::move(read));
}
void Registry::AddCounterFunction(std::string_view name, std::string_view help, std::function<double()> read) {
  AddFunction(name, help, true, std::move(read));
}

void Registry::AddProcessMetrics(std::string_view program) {
  AddGauge("gatepost_build_info", "1; the labels say what runs.", {{"program", program}, {"version", BuildVersion()}})
      .Set(1);
  AddGauge("process_start_time_seconds", "When the process started, in seconds since 1970.").Set(NowSeconds());
  AddCounterFunction("process_cpu_seconds_total", "User and system CPU time.", CpuSeconds);
  AddGaugeFunction("process_resident_memory_bytes", "Resident memory.", ResidentBytes);
  AddGaugeFunction("process_open_fds", "Open file descriptors.", OpenFiles);
  AddGaugeFunction("process_max_fds", "How many there may be.", MaxFiles);
}

std::string Registry::Text() const {
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  for (auto& family : functions_->Collect()) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

std::string_view BuildVersion() { return GATEPOST_VERSION; }

}  // namespace gatepost::metrics
