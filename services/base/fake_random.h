// A Random that repeats itself from a seed (splitmix64), for tests. Thread-safe.
#pragma once

#include <mutex>

#include "services/base/random.h"

namespace gatepost::base {

class FakeRandom final : public Random {
 public:
  explicit FakeRandom(uint64_t seed = 1) : state_(seed) {}

  void Fill(std::span<uint8_t> octets) override {
    std::lock_guard lock(mutex_);
    for (uint8_t& octet : octets) {
      state_ += 0x9e3779b97f4a7c15;
      uint64_t z = state_;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      octet = static_cast<uint8_t>(z >> 56);
    }
  }

 private:
  std::mutex mutex_;
  uint64_t state_;
};

}  // namespace gatepost::base
