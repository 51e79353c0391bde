// How many connections a virtual server has now, in total and from each source (/32, /64), and how many are new within a minute, over
// all threads of an edge. Thread-safe. Memory is bounded by the open connections, and by 100,000 sources of the last minute.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <cstdint>
#include <utility>

#include "services/base/clock.h"
#include "services/base/ip_address.h"

namespace gatepost::policy {

class ConnectionLimiter {
 public:
  // Holds one place; gives it back when it goes. Must not outlive the limiter.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept : limiter_(std::exchange(other.limiter_, nullptr)), source_(other.source_) {}
    Place& operator=(Place&& other) noexcept {
      if (this != &other) {
        Return();
        limiter_ = std::exchange(other.limiter_, nullptr);
        source_ = other.source_;
      }
      return *this;
    }
    ~Place() { Return(); }
    explicit operator bool() const { return limiter_ != nullptr; }

   private:
    friend class ConnectionLimiter;
    Place(ConnectionLimiter* limiter, const base::IpAddress& source) : limiter_(limiter), source_(source) {}
    void Return() {
      if (ConnectionLimiter* limiter = std::exchange(limiter_, nullptr)) limiter->Leave(source_);
    }
    ConnectionLimiter* limiter_ = nullptr;
    base::IpAddress source_;
  };

  ConnectionLimiter() = default;
  ConnectionLimiter(const ConnectionLimiter&) = delete;
  ConnectionLimiter& operator=(const ConnectionLimiter&) = delete;

  // An empty place when one of the limits (0: none) is reached. Limits are the caller's, as policy has them now.
  Place Enter(const base::IpAddress& client, uint32_t per_source, uint32_t total);

  // One more new connection. False: the source has had `per_minute` (0: no limit) since the minute began that its first one opened.
  bool CountNew(const base::IpAddress& client, uint32_t per_minute, base::MonotonicTime now);

  uint64_t connections() const;
  static constexpr size_t kRecentSources = 100'000;
  size_t recent_sources() const;

  // IPv4: the address; IPv6: its /64.
  static base::IpAddress SourceOf(const base::IpAddress& client);

 private:
  using Key = std::array<uint8_t, 17>;
  struct Minute {
    base::MonotonicTime began;
    uint32_t connections = 0;
  };

  void Leave(const base::IpAddress& source);
  void MakeRoom(base::MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<Key, uint32_t> sources_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Key, Minute> recent_ ABSL_GUARDED_BY(mutex_);
  uint64_t total_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace gatepost::policy
