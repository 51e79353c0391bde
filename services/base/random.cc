#include "services/base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "services/base/check.h"

namespace gatepost::base {

uint64_t Random::Uint64() {
  uint8_t octets[8];
  Fill(octets);
  uint64_t value = 0;
  std::memcpy(&value, octets, sizeof value);
  return value;
}

uint64_t Random::Below(uint64_t bound) {
  if (bound == 0) return 0;
  // Values below `skip` would favour small results.
  const uint64_t skip = (0 - bound) % bound;
  for (;;) {
    const uint64_t value = Uint64();
    if (value >= skip) return value % bound;
  }
}

void SystemRandom::Fill(std::span<uint8_t> octets) {
  while (!octets.empty()) {
    const ssize_t n = getrandom(octets.data(), octets.size(), 0);
    if (n < 0) {
      GATEPOST_CHECK(errno == EINTR);
      continue;
    }
    octets = octets.subspan(static_cast<size_t>(n));
  }
}

std::string RandomId(Random& random, size_t characters) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string id(characters, '\0');
  random.Fill(std::span(reinterpret_cast<uint8_t*>(id.data()), id.size()));
  for (char& c : id) c = kAlphabet[static_cast<uint8_t>(c) & 31];
  return id;
}

}  // namespace gatepost::base
