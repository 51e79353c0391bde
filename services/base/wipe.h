// Overwrites what was a secret, though nobody reads it again: the compiler must not leave that out. It reaches the octets
// that are given, not copies that were made of them: move strings that hold secrets, and reserve before they grow.
#pragma once

#include <string.h>

#include <string>

namespace gatepost::base {

inline void Wipe(char* octets, size_t n) {
  if (n > 0) explicit_bzero(octets, n);
}

// It is empty afterwards, and keeps its memory.
inline void Wipe(std::string* secret) {
  Wipe(secret->data(), secret->size());
  secret->clear();
}

}  // namespace gatepost::base
