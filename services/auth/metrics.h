// Every metric of the auth service: its name, its help, its labels, once. Labels are closed sets; never a user, an
// address, a text.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "services/metrics/metrics.h"

namespace gatepost::auth {

// How an exchange ended.
enum class Outcome { kSuccess, kCredentials, kMalformed, kMechanism, kUnavailable, kExpired, kCancelled, kThrottled };
inline constexpr std::array<std::string_view, 8> kOutcomeNames = {
    "success", "credentials", "malformed", "mechanism", "unavailable", "expired", "cancelled", "throttled"};
// What is served, and what clients invent.
inline constexpr std::array<std::string_view, 10> kMechanismLabels = {
    "PLAIN",  "LOGIN",       "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "NTLM",
    "GSSAPI", "OAUTHBEARER", "XOAUTH2",       "EXTERNAL",           "other"};

// What a directory said of a login.
enum class DirectoryReply { kRight, kWrong, kUnknown, kAmbiguous, kUnavailable, kNoSlot };
inline constexpr std::array<std::string_view, 6> kDirectoryReplyNames = {"right",     "wrong",       "unknown",
                                                                         "ambiguous", "unavailable", "no_slot"};

struct DirectoryMetrics {
  DirectoryMetrics() = default;
  explicit DirectoryMetrics(metrics::Registry& registry)
      : searches(registry.AddCounter("gatepost_auth_directory_searches_total", "Searches for a user.")),
        binds(registry.AddCounter("gatepost_auth_directory_binds_total", "Binds with a user's password.")),
        cache_hits(registry.AddCounter("gatepost_auth_directory_cache_hits_total",
                                       "Logins that were answered without asking the directory.")),
        server_failures(registry.AddCounter("gatepost_auth_directory_server_failures_total",
                                            "Servers of the directory that did not answer, or not as they should.")),
        seconds(registry.AddHistogram("gatepost_auth_directory_seconds", "From asking the directory to its answer.",
                                      metrics::DurationBuckets())) {
    for (size_t r = 0; r < kDirectoryReplyNames.size(); ++r) {
      replies[r] = registry.AddCounter("gatepost_auth_directory_logins_total", "Logins, by what the directory said.",
                                       {{"answer", kDirectoryReplyNames[r]}});
    }
  }

  metrics::Counter searches;
  metrics::Counter binds;
  metrics::Counter cache_hits;
  metrics::Counter server_failures;
  metrics::Histogram seconds;
  std::array<metrics::Counter, kDirectoryReplyNames.size()> replies;
};

struct Metrics {
  Metrics() = default;
  explicit Metrics(metrics::Registry& registry)
      : streams(registry.AddGauge("gatepost_auth_streams", "Streams of edges.")),
        exchanges(registry.AddGauge("gatepost_auth_exchanges", "Exchanges in flight.")),
        stray(registry.AddCounter("gatepost_auth_stray_messages_total",
                                  "Messages for exchanges that are not known, and late results.")),
        cache_hits(registry.AddCounter("gatepost_auth_cache_hits_total", "Logins whose password was verified lately.")),
        slot_timeouts(
            registry.AddCounter("gatepost_auth_slot_timeouts_total", "Passwords that found no verifier within 2 s.")),
        slot_wait_seconds(registry.AddHistogram("gatepost_auth_slot_wait_seconds", "Waiting for a verifier.",
                                                metrics::DurationBuckets())),
        verify_seconds(
            registry.AddHistogram("gatepost_auth_verify_seconds", "Computing argon2id.", metrics::DurationBuckets())),
        exchange_seconds(registry.AddHistogram(
            "gatepost_auth_answer_seconds", "From a client's credentials to the answer.", metrics::DurationBuckets())),
        revocations(
            registry.AddCounter("gatepost_auth_revocations_total", "Revocations told to edges, once for all streams.")),
        last_uses_dropped(registry.AddCounter("gatepost_auth_last_uses_dropped_total",
                                              "Times of last use that were not written.")),
        store_failures(
            registry.AddCounter("gatepost_auth_store_failures_total", "Logins that the store could not answer.")) {
    for (size_t m = 0; m < kMechanismLabels.size(); ++m) {
      for (size_t o = 0; o < kOutcomeNames.size(); ++o) {
        ended[m][o] = registry.AddCounter("gatepost_auth_exchanges_total", "Exchanges, by mechanism and outcome.",
                                          {{"mechanism", kMechanismLabels[m]}, {"outcome", kOutcomeNames[o]}});
      }
    }
  }

  void Ended(std::string_view mechanism, Outcome outcome) const {
    size_t m = 0;
    while (m + 1 < kMechanismLabels.size() && kMechanismLabels[m] != mechanism) ++m;
    ended[m][static_cast<size_t>(outcome)].Increment();
  }

  metrics::Gauge streams;
  metrics::Gauge exchanges;
  metrics::Counter stray;
  metrics::Counter cache_hits;
  metrics::Counter slot_timeouts;
  metrics::Histogram slot_wait_seconds;
  metrics::Histogram verify_seconds;
  metrics::Histogram exchange_seconds;
  metrics::Counter revocations;
  metrics::Counter last_uses_dropped;
  metrics::Counter store_failures;
  std::array<std::array<metrics::Counter, kOutcomeNames.size()>, kMechanismLabels.size()> ended;
};

}  // namespace gatepost::auth
