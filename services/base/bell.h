// A wait of a limited time that another thread can end: what a thread with a period sleeps on.
//   if (bell_.Wait(std::chrono::milliseconds(500))) ...   // rung, or the time has passed
//
// On the monotonic clock. Timed waits of Debian 12's Abseil (AwaitWithTimeout and its like) end at a time of the wall clock:
// when that is set back by an hour they take an hour longer. (failures.md F21)
//
// Thread-safe; one thread waits.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

#include "services/base/clock.h"

namespace gatepost::base {

class Bell {
 public:
  // Wakes who waits, or the next who will.
  void Ring() {
    {
      const std::lock_guard lock(mutex_);
      rung_ = true;
    }
    changed_.notify_one();
  }

  // True: it was rung since the last Wait(). False: `most` has passed.
  bool Wait(Duration most) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, std::chrono::steady_clock::now() + most, [this] { return rung_; });
    return std::exchange(rung_, false);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rung_ = false;
};

}  // namespace gatepost::base
