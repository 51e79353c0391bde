// Domain names in their one canonical form: A-labels in lower case, no final dot. The one place that knows IDNA.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gatepost::base {

inline constexpr size_t kLabelOctets = 63;  // RFC 1035 2.3.4

// U-labels, and the A-labels that stand for them, by UTS 46, not transitional, over NFC; lookalikes stay what they are.
// Nothing turns into a dot, an '@' or another octet that a name cannot hold: U+3002 and its like are no separators.
// `international`: U-labels are accepted. `most_octets`: of the result.
//
// INVALID_ARGUMENT with the reason ("has an empty label"): an empty or too long label or name, a hyphen at a label's
// end, an octet that is no letter, digit or hyphen, a label that begins with xn-- and stands for nothing.
absl::StatusOr<std::string> CanonicalDomain(std::string_view name, size_t most_octets, bool international = true);

}  // namespace gatepost::base
