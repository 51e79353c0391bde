// Credentials that were verified lately, so that a client which logs in again costs no argon2id. An entry is an HMAC of
// the user's id, its revision and the password, under a key made at start: any change of the user, on whichever
// replica, makes another key of it, so that it is in force at once. Failures are not cached. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <string_view>
#include <unordered_map>

#include "services/base/clock.h"
#include "services/base/random.h"

namespace gatepost::auth {

class CredentialCache {
 public:
  using Key = std::array<uint8_t, 32>;

  // `clock` outlives the cache.
  CredentialCache(const base::Clock& clock, base::Random& random);

  Key KeyOf(std::string_view user, int64_t revision, std::string_view password) const;
  // Within 10 min of Add().
  bool Contains(const Key& key) const;
  // The oldest entry makes room beyond 100,000.
  void Add(const Key& key);

  size_t size() const;
  // How often KeyOf was called. For tests of equal work.
  uint64_t runs() const { return runs_.load(); }

 private:
  struct Hash {
    size_t operator()(const Key& key) const;
  };
  void Trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const base::Clock& clock_;
  Key secret_;
  mutable std::atomic<uint64_t> runs_{0};
  mutable absl::Mutex mutex_;
  std::unordered_map<Key, base::MonotonicTime, Hash> entries_ ABSL_GUARDED_BY(mutex_);  // -> when it was added
  std::deque<std::pair<base::MonotonicTime, Key>> order_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gatepost::auth
