#include "services/config/domain_name.h"

#include <algorithm>

#include "services/base/domain_name.h"
#include "services/base/strings.h"

namespace gatepost::config {
namespace {

constexpr size_t kMaxNameOctets = 253;

}  // namespace

absl::StatusOr<std::string> CanonicalDomain(std::string_view name) {
  absl::StatusOr<std::string> canonical = base::CanonicalDomain(name, kMaxNameOctets);
  if (!canonical.ok()) return canonical;
  const std::string_view label = std::string_view(*canonical).substr(canonical->rfind('.') + 1);
  if (std::all_of(label.begin(), label.end(), base::IsDigit)) {
    return absl::InvalidArgumentError("is an address, not a name");
  }
  return canonical;
}

}  // namespace gatepost::config
