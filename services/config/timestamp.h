// Times as protobuf says them.
#pragma once

#include <chrono>

#include "google/protobuf/timestamp.pb.h"
#include "services/base/clock.h"

namespace gatepost::config {

inline google::protobuf::Timestamp ToTimestamp(base::WallTime time) {
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  constexpr int64_t kNanos = 1'000'000'000;
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(nanos / kNanos - (nanos % kNanos < 0 ? 1 : 0));
  timestamp.set_nanos(static_cast<int32_t>((nanos % kNanos + kNanos) % kNanos));
  return timestamp;
}

}  // namespace gatepost::config
