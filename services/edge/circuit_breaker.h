// Whether to ask a service that has stopped answering. After so many failures in a row nobody asks for a time with
// jitter (open); then one attempt may, each time (half open), and its answer lets all others through again (closed). An
// attempt that is never reported, since its client went away, holds nobody longer than that time.
//
// Pure: times are the caller's. One thread.
#pragma once

#include "services/base/backoff.h"
#include "services/base/clock.h"
#include "services/base/random.h"

namespace gatepost::edge {

class CircuitBreaker {
 public:
  struct Options {
    int failures;  // in a row; at least 1
    // How long it stays open: drawn between these two.
    base::Duration open_least;
    base::Duration open_most;
  };

  CircuitBreaker(Options options, base::Random& random) : options_(options), random_(random) {}

  bool open() const { return failures_ >= options_.failures; }

  bool Allows(base::MonotonicTime now) const { return !open() || now >= next_attempt_; }

  // Someone asks. Half open: the next waits as long again.
  void Begin(base::MonotonicTime now) {
    if (open()) Wait(now);
  }

  // An answer, whatever it says. True: this has closed it.
  bool Answered() {
    const bool was_open = open();
    failures_ = 0;
    return was_open;
  }

  // No answer in time. True: this has opened it.
  bool Failed(base::MonotonicTime now) {
    if (open()) return false;
    if (++failures_ < options_.failures) return false;
    Wait(now);
    return true;
  }

 private:
  void Wait(base::MonotonicTime now) {
    next_attempt_ = now + options_.open_least + base::UniformDelay(random_, options_.open_most - options_.open_least);
  }

  const Options options_;
  base::Random& random_;
  int failures_ = 0;
  base::MonotonicTime next_attempt_{};
};

}  // namespace gatepost::edge
