// What PLAIN and LOGIN ask of a name and a password alike; inside sasl/ only.
#pragma once

#include <string_view>

#include "services/base/strings.h"
#include "services/sasl/mechanism.h"

namespace gatepost::sasl {

// Well-formed UTF-8 without NUL, of 1 to `most` octets.
inline bool IsText(std::string_view text, size_t most) {
  return !text.empty() && text.size() <= most && text.find('\0') == std::string_view::npos && base::IsValidUtf8(text);
}

// A name has no control characters besides.
inline bool IsLogin(std::string_view text) {
  if (!IsText(text, kMostLoginOctets)) return false;
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

}  // namespace gatepost::sasl
