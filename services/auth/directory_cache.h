// Answers of a directory that are remembered for a while, where its settings let them be: until then neither a changed
// password nor a changed group is in force. Wrong passwords are not remembered. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "services/auth/credential_cache.h"
#include "services/auth/directory.h"
#include "services/base/clock.h"
#include "services/base/random.h"

namespace gatepost::auth {

class DirectoryCache {
 public:
  // `ttl` 0: nothing is remembered. `clock` outlives it.
  DirectoryCache(std::chrono::seconds ttl, const base::Clock& clock, base::Random& random)
      : ttl_(ttl), clock_(clock), keys_(clock, random) {}

  std::optional<DirectoryAnswer> Find(std::string_view login_key, std::string_view password) const;
  // The oldest makes room beyond 10,000.
  void Add(std::string_view login_key, std::string_view password, const DirectoryAnswer& answer);
  size_t size() const;

 private:
  struct Entry {
    DirectoryAnswer answer;
    base::MonotonicTime added;
  };

  const std::chrono::seconds ttl_;
  const base::Clock& clock_;
  const CredentialCache keys_;  // for its keyed hash of a login and a password
  mutable absl::Mutex mutex_;
  std::map<CredentialCache::Key, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<base::MonotonicTime, CredentialCache::Key>> order_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gatepost::auth
