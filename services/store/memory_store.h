// A RecordStore in memory, for tests and for trying things out: nothing survives the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/store/record_store.h"

namespace gatepost::store {

class MemoryStore : public RecordStore {
 public:
  struct Options {
    size_t max_changes = 100'000;  // Kept in the log of changes.
  };

  // `clock` and `random` outlive the store.
  MemoryStore(const base::Clock& clock, base::Random& random, Options options);
  MemoryStore(const base::Clock& clock, base::Random& random) : MemoryStore(clock, random, Options()) {}

  const std::string& epoch() const override { return epoch_; }
  absl::StatusOr<std::unique_ptr<View>> Read() override;
  absl::StatusOr<Committed> Commit(const Transaction& transaction) override;
  void SetListener(Listener listener) override;

 private:
  struct Value {
    std::string value;
    int64_t revision = 0;
  };
  struct Request {
    std::string fingerprint;
    std::string answer;
    int64_t revision = 0;
    base::WallTime expires;
  };
  // Copied as a whole for a view: simple, and right for tests.
  struct State {
    int64_t revision = 0;
    int64_t changes_from = 0;  // The log reaches back to changes after this revision.
    std::map<std::string, Value, std::less<>> records;
    std::deque<Change> changes;
  };
  class MemoryView;

  const base::Clock& clock_;
  const Options options_;
  std::string epoch_;
  absl::Mutex mutex_;
  std::shared_ptr<const State> state_ ABSL_GUARDED_BY(mutex_) = std::make_shared<State>();
  std::map<std::string, Request> requests_ ABSL_GUARDED_BY(mutex_);
  absl::Mutex listener_mutex_;  // Held while the listener runs.
  Listener listener_ ABSL_GUARDED_BY(listener_mutex_);
};

}  // namespace gatepost::store
