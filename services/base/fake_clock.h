// A Clock that stands still until a test moves it. Thread-safe.
#pragma once

#include <mutex>

#include "services/base/clock.h"

namespace gatepost::base {

class FakeClock final : public Clock {
 public:
  explicit FakeClock(WallTime wall = WallTime(std::chrono::seconds(1'795'518'000))) : wall_(wall) {}

  MonotonicTime Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  WallTime WallNow() const override {
    std::lock_guard lock(mutex_);
    return wall_;
  }
  // Both clocks go forward.
  void Advance(Duration by) {
    std::lock_guard lock(mutex_);
    now_ += by;
    wall_ += std::chrono::duration_cast<WallTime::duration>(by);
  }
  // The wall clock alone is set.
  void SetWall(WallTime wall) {
    std::lock_guard lock(mutex_);
    wall_ = wall;
  }

 private:
  mutable std::mutex mutex_;
  MonotonicTime now_{std::chrono::hours(1)};
  WallTime wall_;
};

}  // namespace gatepost::base
