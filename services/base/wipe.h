// Overwrites what was a secret, though nobody reads it again: the compiler must not leave that out. It reaches the memory
// that the string has now, to its last octet; not what the string had before it grew, and not the copies that moving a
// short string makes (up to 15 octets lie in the string itself). What travels is a Secret (secret.h).
#pragma once

#include <string.h>

#include <string>

namespace gatepost::base {

inline void Wipe(char* octets, size_t n) {
  if (n > 0) explicit_bzero(octets, n);
}

// It is empty afterwards, and keeps its memory. What a longer text has left behind the string's end goes too.
inline void Wipe(std::string* secret) {
  secret->resize(secret->capacity());
  Wipe(secret->data(), secret->size());
  secret->clear();
}

}  // namespace gatepost::base
