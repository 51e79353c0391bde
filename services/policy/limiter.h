// How many connections a virtual server has now, in total and from each source (/32, /64), over all threads of an edge. Thread-safe.
// Memory is bounded by the open connections: a source without one is forgotten.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <cstdint>
#include <utility>

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

  uint64_t connections() const;

  // IPv4: the address; IPv6: its /64.
  static base::IpAddress SourceOf(const base::IpAddress& client);

 private:
  void Leave(const base::IpAddress& source);

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::array<uint8_t, 17>, uint32_t> sources_ ABSL_GUARDED_BY(mutex_);
  uint64_t total_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace gatepost::policy
