// Whose sessions are to be ended, told to every stream of every edge: within a second of the commit, on whichever
// replica it was, and to a new stream first everything of the last 24 h. A user has one revocation, the latest.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "services/auth/metrics.h"
#include "services/base/bell.h"
#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

class RevocationSink {
 public:
  virtual ~RevocationSink() = default;
  // `users/{id}` or `directories/{directory}/users/{login}`. Called with a lock of Revocations held: must be quick and
  // must not call it.
  virtual void OnRevoked(const std::string& user, base::WallTime since) = 0;
};

class Revocations {
 public:
  // The references outlive it. It is the store's one listener.
  Revocations(store::RecordStore& store, const base::Clock& clock, base::Log& log, const Metrics& metrics);
  ~Revocations();

  // Reads the last 24 h; then follows the store, on a thread of its own. UNAVAILABLE: the store does not answer.
  absl::Status Start();

  // Tells the sink all that is in force, and from now on all that comes, each once or more.
  void Add(RevocationSink* sink);
  // The sink is not called any more when this returns.
  void Remove(RevocationSink* sink);

  // Reads what is new in the store now. The thread does, after each commit and every 500 ms.
  absl::Status Refresh();
  // Deletes what is older than 24 h.
  absl::Status Clean();

 private:
  void Run();
  absl::Status ReadAll(store::View& view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(reading_mutex_);
  void Take(const store::Record& record) ABSL_LOCKS_EXCLUDED(mutex_);

  store::RecordStore& store_;
  const base::Clock& clock_;
  base::Log& log_;
  const Metrics& metrics_;

  absl::Mutex reading_mutex_;  // Held while the store is read; before mutex_.
  int64_t seen_ ABSL_GUARDED_BY(reading_mutex_) = -1;  // The store's revision up to which all is known.

  absl::Mutex mutex_;  // Never while the store is read: streams that come and go take it on gRPC's thread.
  std::map<std::string, base::WallTime> since_ ABSL_GUARDED_BY(mutex_);
  std::set<RevocationSink*> sinks_ ABSL_GUARDED_BY(mutex_);

  base::Bell bell_;  // Rung by the store's changes, and at the end.
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace gatepost::auth
