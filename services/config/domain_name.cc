#include "services/config/domain_name.h"

#include <idn2.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "services/base/strings.h"

namespace gatepost::config {
namespace {

constexpr size_t kMaxNameOctets = 253;
constexpr size_t kMaxLabelOctets = 63;
constexpr size_t kMaxInputOctets = 1'024;  // U-labels in UTF-8 are longer than their A-labels.

bool IsLdh(char c) { return base::IsAlnum(c) || c == '-'; }

absl::Status CheckLabel(std::string_view label) {
  if (label.empty()) return absl::InvalidArgumentError("has an empty label");
  if (label.size() > kMaxLabelOctets) return absl::InvalidArgumentError("has a label of more than 63 octets");
  if (label.front() == '-' || label.back() == '-')
    return absl::InvalidArgumentError("has a label that begins or ends with a hyphen");
  if (!std::all_of(label.begin(), label.end(), IsLdh))
    return absl::InvalidArgumentError("may hold letters, digits, hyphens and dots only");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> CanonicalDomain(std::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError("must not be empty");
  if (name.size() > kMaxInputOctets) return absl::InvalidArgumentError("is longer than 253 octets");
  if (name.find('\0') != name.npos) return absl::InvalidArgumentError("may hold letters, digits, hyphens and dots only");
  std::string canonical = base::AsciiLower(name);
  const bool ascii = std::all_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!ascii || canonical.find("xn--") != canonical.npos) {
    char* converted = nullptr;
    const int code = idn2_to_ascii_8z(canonical.c_str(), &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    const std::unique_ptr<char, void (*)(void*)> owner(converted, idn2_free);
    if (code != IDN2_OK || converted == nullptr) return absl::InvalidArgumentError("has an invalid internationalized label");
    canonical = converted;
  }
  if (canonical.size() > kMaxNameOctets) return absl::InvalidArgumentError("is longer than 253 octets");
  std::string_view rest = canonical;
  std::string_view label;
  while (true) {
    const size_t dot = rest.find('.');
    label = rest.substr(0, dot);
    if (absl::Status status = CheckLabel(label); !status.ok()) return status;
    if (dot == rest.npos) break;
    rest.remove_prefix(dot + 1);
  }
  if (std::all_of(label.begin(), label.end(), base::IsDigit)) return absl::InvalidArgumentError("is an address, not a name");
  return canonical;
}

}  // namespace gatepost::config
