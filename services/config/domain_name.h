// Domain names in their one canonical form: A-labels in lower case, no final dot.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gatepost::config {

// Letters, digits, hyphens and dots, or U-labels (IDNA 2008, UTS 46 nontransitional). INVALID_ARGUMENT with the reason: an
// empty or too long label or name, a hyphen at a label's end, a last label of digits alone, an invalid A- or U-label.
absl::StatusOr<std::string> CanonicalDomain(std::string_view name);

}  // namespace gatepost::config
