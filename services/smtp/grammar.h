// The character classes of RFC 5321 and RFC 5322, once. ASCII; an octet beyond it is in none of them.
#pragma once

#include <string_view>

#include "services/base/strings.h"

namespace gatepost::smtp {

// RFC 5322 3.2.3: what an atom consists of.
constexpr bool IsAtext(char c) {
  return base::IsAlnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}
// RFC 5321 4.1.2: in a quoted string as it is; behind a backslash.
constexpr bool IsQtext(char c) { return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\'; }
constexpr bool IsQuotedPair(char c) { return c >= 0x20 && c <= 0x7e; }
constexpr bool IsLetDigHyphen(char c) { return base::IsAlnum(c) || c == '-'; }
constexpr bool IsBeyondAscii(char c) { return static_cast<unsigned char>(c) >= 0x80; }

// RFC 5321 4.1.2: esmtp-value. RFC 3461 4: xchar.
constexpr bool IsParameterValue(char c) { return c > 0x20 && c <= 0x7e && c != '='; }
constexpr bool IsXchar(char c) { return c > 0x20 && c <= 0x7e && c != '+' && c != '='; }

}  // namespace gatepost::smtp
