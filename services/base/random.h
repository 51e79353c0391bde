// Random octets as a seam: keys, ids, nonces, jitter. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace gatepost::base {

class Random {
 public:
  virtual ~Random() = default;
  // Fills with octets that nobody can foretell.
  virtual void Fill(std::span<uint8_t> octets) = 0;

  uint64_t Uint64();
  // Uniform in [0, bound); 0 when bound is 0.
  uint64_t Below(uint64_t bound);
};

// The kernel's (getrandom). Aborts when the kernel has none to give.
class SystemRandom final : public Random {
 public:
  void Fill(std::span<uint8_t> octets) override;
};

// `characters` of lower-case base32 (a-z, 2-7), 5 bits each.
std::string RandomId(Random& random, size_t characters);

}  // namespace gatepost::base
