// Domain names as an administrator may write them: base/domain_name.h, and a little stricter.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gatepost::config {

// INVALID_ARGUMENT with the reason also for more than 253 octets (what DNS holds) and for a last label of digits alone.
absl::StatusOr<std::string> CanonicalDomain(std::string_view name);

}  // namespace gatepost::config
