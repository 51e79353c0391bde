// What has to be known of Unicode beyond UTF-8 itself (strings.h) and domain names (domain_name.h).
#pragma once

#include <string>
#include <string_view>

namespace gatepost::base {

// Normalization form C: two texts that read alike are then alike, octet for octet. What is not well-formed UTF-8 stays
// as it is.
std::string ToNfc(std::string_view text);

// A control character (C0, DEL, C1, the separators U+2028 and U+2029), or one that somebody who normalizes further
// (NFKC) turns into a character that means something in an address: @ . % ! < > " \ (for instance U+FF20, U+FE6B,
// U+FF0E). The ideographic full stop U+3002, which is a dot to IDNA, counts. Well-formed UTF-8 is presumed.
bool HidesSyntax(std::string_view text);

}  // namespace gatepost::base
