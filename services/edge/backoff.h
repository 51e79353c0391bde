// Delays between attempts to reach a service: exponential with full jitter, so that a thousand edges do not come back
// at the same moment. A value; one thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "services/base/clock.h"
#include "services/base/random.h"

namespace gatepost::edge {

// Drawn from [0, most].
inline base::Duration UniformDelay(base::Random& random, base::Duration most) {
  return base::Duration(static_cast<base::Duration::rep>(random.Below(static_cast<uint64_t>(most.count()) + 1)));
}

class Backoff {
 public:
  Backoff(base::Duration least, base::Duration most) : least_(least), most_(most), ceiling_(least) {}

  // The delay before the next attempt; the ceiling doubles with each call.
  base::Duration Next(base::Random& random) {
    const base::Duration delay = UniformDelay(random, ceiling_);
    ceiling_ = std::min(most_, ceiling_ * 2);
    return delay;
  }

  // After a success.
  void Reset() { ceiling_ = least_; }

 private:
  base::Duration least_;
  base::Duration most_;
  base::Duration ceiling_;
};

}  // namespace gatepost::edge
