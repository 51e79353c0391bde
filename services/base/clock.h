// Time as a seam: who needs it is given a Clock. Monotonic time for deadlines, wall time for what people and certificates
// read. Thread-safe.
#pragma once

#include <chrono>
#include <string>

namespace gatepost::base {

using MonotonicTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes backwards; its zero is arbitrary.
  virtual MonotonicTime Now() const = 0;
  // UTC; jumps when the machine's clock is set.
  virtual WallTime WallNow() const = 0;
};

class SystemClock final : public Clock {
 public:
  MonotonicTime Now() const override { return std::chrono::steady_clock::now(); }
  WallTime WallNow() const override { return std::chrono::system_clock::now(); }
};

// "2026-11-24T11:03:47.123Z" (RFC 3339, UTC, milliseconds).
std::string FormatRfc3339(WallTime time);
// "Tue, 24 Nov 2026 11:03:47 +0000" (RFC 5322 3.3).
std::string FormatRfc5322(WallTime time);

}  // namespace gatepost::base
