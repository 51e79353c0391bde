// The names of the config service's own metrics; handles resolved once. Calls are counted by rpc/call.h.
#pragma once

#include "services/metrics/metrics.h"

namespace gatepost::config {

struct Metrics {
  explicit Metrics(metrics::Registry& registry)
      : watch_streams(registry.AddGauge("gatepost_config_watch_streams", "Streams of edges that watch.")),
        units_sent(Units(registry, "sent")),
        units_acked(Units(registry, "acked")),
        units_nacked(Units(registry, "nacked")),
        units_not_built(Units(registry, "not_built")),
        slow_watches(registry.AddCounter("gatepost_config_slow_watches_total",
                                         "Streams ended because the edge did not answer in time.")),
        ticket_key_rotations(Rotations(registry, "success")),
        ticket_key_failures(Rotations(registry, "failure")) {}

  metrics::Gauge watch_streams;
  metrics::Counter units_sent;
  metrics::Counter units_acked;
  metrics::Counter units_nacked;
  metrics::Counter units_not_built;
  metrics::Counter slow_watches;
  metrics::Counter ticket_key_rotations;
  metrics::Counter ticket_key_failures;

 private:
  static metrics::Counter Units(metrics::Registry& registry, const char* event) {
    return registry.AddCounter("gatepost_config_units_total", "Units of the watch, by what became of them.",
                               {{"event", event}});
  }
  static metrics::Counter Rotations(metrics::Registry& registry, const char* outcome) {
    return registry.AddCounter("gatepost_config_ticket_key_rotations_total",
                               "How often all session ticket keys were made anew.", {{"outcome", outcome}});
  }
};

}  // namespace gatepost::config
