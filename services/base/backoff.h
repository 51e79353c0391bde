// Delays between attempts to reach a service: exponential with full jitter, so that a thousand clients do not come back
// at the same moment. A value; one thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "services/base/clock.h"
#include "services/base/random.h"

namespace gatepost::base {

// Drawn from [0, most].
inline Duration UniformDelay(Random& random, Duration most) {
  return Duration(static_cast<Duration::rep>(random.Below(static_cast<uint64_t>(most.count()) + 1)));
}

class Backoff {
 public:
  Backoff(Duration least, Duration most) : least_(least), most_(most), ceiling_(least) {}

  // The delay before the next attempt; the ceiling doubles with each call.
  Duration Next(Random& random) {
    const Duration delay = UniformDelay(random, ceiling_);
    ceiling_ = std::min(most_, ceiling_ * 2);
    return delay;
  }

  // After a success.
  void Reset() { ceiling_ = least_; }

 private:
  Duration least_;
  Duration most_;
  Duration ceiling_;
};

}  // namespace gatepost::base
