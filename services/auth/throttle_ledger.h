// The brute-force defence as the replicas of the auth service share it: each writes its failures to the store a few times
// a second and reads the others', so that a figure that is reached is in force everywhere within a second. What is
// kept:
//
//   failures/{time}-{replica}   a batch: lines `F {ms} {tag} {address} {login}` and, of ClearThrottle,
//                               `C {ms} {kind} {network} {login}`; for the window, then its writer deletes it
//   known/{network} {login}     when the pair last logged in, in milliseconds; for 30 days
//
// A store that cannot be written or read stops no login: each replica then counts by itself. What waits to be written
// is bounded and goes in small transactions: 500 known pairs in each, with pauses that grow while they fail.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "services/auth/throttle.h"
#include "services/base/backoff.h"
#include "services/base/bell.h"
#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/base/log.h"
#include "services/base/random.h"
#include "services/metrics/metrics.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

struct ThrottleMetrics {
  ThrottleMetrics() = default;
  explicit ThrottleMetrics(metrics::Registry& registry);
  metrics::Counter throttled[3];  // by kind
  metrics::Counter failures;
  metrics::Counter evicted;
  metrics::Counter known_dropped;
  metrics::Gauge counters;
};

// Known pairs that wait to be written.
inline constexpr size_t kMostPendingKnown = 100'000;

class ThrottleLedger {
 public:
  struct Options {
    ThrottleFigures figures;
    // Shared by the replicas (32 octets): passwords are told apart by an HMAC under it.
    std::string tag_key;
  };
  // The references outlive it.
  ThrottleLedger(store::RecordStore& store, const base::Clock& clock, base::Random& random, base::Log& log,
                 const ThrottleMetrics& metrics, Options options);
  ~ThrottleLedger();
  ThrottleLedger(const ThrottleLedger&) = delete;
  ThrottleLedger& operator=(const ThrottleLedger&) = delete;

  // Reads what is in force; then follows the store on a thread of its own, every 250 ms.
  absl::Status Start();

  // Before the verifier is asked. False: 454, whatever the password. `login`: its key (prepare.h).
  bool Admit(std::string_view login, const base::IpAddress& client);
  // What a wrong password is told apart by. `password`: as prepared.
  FailureTag TagOf(std::string_view login, std::string_view password) const;
  // Without a tag, where the mechanism shows no password, each failure counts.
  void Failed(std::string_view login, const base::IpAddress& client, std::optional<FailureTag> tag);
  void Succeeded(std::string_view login, const base::IpAddress& client);

  std::vector<Throttle::Entry> InForce();
  // Everywhere within a second. False: no such counter is in force here.
  bool Clear(ThrottleKind kind, std::string_view login, std::string_view network);

  // Writes what is new and reads what others wrote. The thread does.
  absl::Status Exchange();
  // Deletes pairs that have not logged in for 30 days, and batches of replicas that are gone; some at a time.
  absl::Status Clean();

 private:
  // One batch of this replica's in the store.
  struct Written {
    std::string key;
    base::WallTime at;
  };

  void Run();
  bool IsKnown(std::string_view login, std::string_view network) const;
  absl::Status WritePending() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status WriteKnown() ABSL_EXCLUSIVE_LOCKS_REQUIRED(exchange_mutex_) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status ReadOthers() ABSL_LOCKS_EXCLUDED(mutex_);
  void Take(std::string_view batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  store::RecordStore& store_;
  const base::Clock& clock_;
  base::Random& random_;
  base::Log& log_;
  const ThrottleMetrics& metrics_;
  const ThrottleFigures figures_;
  const std::string tag_key_;
  const std::string replica_;

  mutable absl::Mutex mutex_;
  Throttle throttle_ ABSL_GUARDED_BY(mutex_);
  std::string pending_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, base::WallTime> pending_known_ ABSL_GUARDED_BY(mutex_);
  // Pairs whose record is fresh enough, so that not every login writes.
  std::map<std::string, base::WallTime, std::less<>> fresh_known_ ABSL_GUARDED_BY(mutex_);
  uint64_t evicted_told_ ABSL_GUARDED_BY(mutex_) = 0;

  // Of the exchanging thread.
  absl::Mutex exchange_mutex_;
  int64_t seen_ ABSL_GUARDED_BY(exchange_mutex_) = -1;
  uint64_t batches_ ABSL_GUARDED_BY(exchange_mutex_) = 0;
  std::deque<Written> written_ ABSL_GUARDED_BY(exchange_mutex_);
  base::Backoff known_backoff_ ABSL_GUARDED_BY(exchange_mutex_);
  base::MonotonicTime known_retry_at_ ABSL_GUARDED_BY(exchange_mutex_){};

  base::Bell stop_;  // Rung at the end.
  std::thread thread_;
};

}  // namespace gatepost::auth
