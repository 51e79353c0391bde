// How slowly a client may send the octets of a message (limits.md, "Message data"): it must send something every so
// often and keep up an average, over any window of five minutes; time counts only while we read. A value, no clock of
// its own.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "services/base/clock.h"

namespace gatepost::smtp {

class DataPace {
 public:
  // `silence`: the longest time without an octet. `least_rate`: octets a second, over `window`.
  DataPace(base::Duration silence, base::Duration window, uint64_t least_rate)
      : silence_(silence), slice_(window / kSlices), least_octets_(SecondsOf(window) * least_rate) {}

  // A read begins; the result is when it must have brought something.
  base::MonotonicTime BeginRead(base::MonotonicTime now) {
    reading_since_ = now;
    return now + std::min(silence_, UntilTooSlow());
  }

  // The read brought `octets` (they count for the slice of time in which it began). False: too slow.
  bool EndRead(base::MonotonicTime now, uint64_t octets) {
    base::Duration left = now - reading_since_;
    octets_[current_] += octets;
    bool fast_enough = left < silence_ && left < UntilTooSlow();
    while (left >= slice_ - in_slice_) {
      left -= slice_ - in_slice_;
      in_slice_ = base::Duration::zero();
      current_ = (current_ + 1) % kSlices;
      octets_[current_] = 0;
      full_slices_ = std::min(full_slices_ + 1, kSlices);
      if (left > slice_ * kSlices) left %= slice_;  // longer than the window: every slice is empty by now
    }
    in_slice_ += left;
    return fast_enough;
  }

 private:
  static constexpr int kSlices = 10;
  static uint64_t SecondsOf(base::Duration duration) {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
  }

  // How much longer the client may be silent before some whole window holds too few octets.
  base::Duration UntilTooSlow() const {
    uint64_t sum = 0;
    for (uint64_t octets : octets_) sum += octets;
    // At the end of the current slice the window is complete if nine full ones lie before it; each further slice of
    // silence pushes the oldest one out.
    for (int step = 1; step <= 2 * kSlices; ++step) {
      bool complete = full_slices_ + step >= kSlices;
      if (complete && sum < least_octets_) return slice_ * step - in_slice_;
      sum -= octets_[(current_ + step) % kSlices] * (step <= kSlices ? 1 : 0);
    }
    return slice_ * 2 * kSlices;
  }

  base::Duration silence_;
  base::Duration slice_;
  uint64_t least_octets_;
  base::MonotonicTime reading_since_{};
  base::Duration in_slice_{};
  int full_slices_ = 0;
  int current_ = 0;
  std::array<uint64_t, kSlices> octets_{};
};

}  // namespace gatepost::smtp
