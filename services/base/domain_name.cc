#include "services/base/domain_name.h"

#include <idn2.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "services/base/strings.h"

namespace gatepost::base {
namespace {

// U-labels in UTF-8 are longer than their A-labels; beyond this nothing is looked at.
constexpr size_t kInputOctets = 1'024;

bool IsLdh(char c) { return IsAlnum(c) || c == '-'; }

absl::Status CheckLabel(std::string_view label) {
  if (label.empty()) return absl::InvalidArgumentError("has an empty label");
  if (label.size() > kLabelOctets) return absl::InvalidArgumentError("has a label of more than 63 octets");
  if (label.front() == '-' || label.back() == '-')
    return absl::InvalidArgumentError("has a label that begins or ends with a hyphen");
  if (!std::all_of(label.begin(), label.end(), IsLdh))
    return absl::InvalidArgumentError("may hold letters, digits, hyphens and dots only");
  return absl::OkStatus();
}

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Without STD3 rules what becomes '@' or '/' comes out, and CheckLabel() refuses it; with them libidn2 drops it
// silently.
absl::StatusOr<std::string> ToALabels(const std::string& name) {
  const absl::Status invalid = absl::InvalidArgumentError("has an invalid internationalized label");
  if (!IsValidUtf8(name) || name.find('\0') != std::string::npos) return invalid;
  char* converted = nullptr;
  const int code = idn2_to_ascii_8z(name.c_str(), &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<char, void (*)(void*)> owner(converted, idn2_free);
  if (code != IDN2_OK || converted == nullptr) return invalid;
  std::string domain = converted;
  if (std::count(domain.begin(), domain.end(), '.') != std::count(name.begin(), name.end(), '.')) return invalid;
  return domain;
}

}  // namespace

absl::StatusOr<std::string> CanonicalDomain(std::string_view name, size_t most_octets, bool international) {
  const absl::Status too_long = absl::InvalidArgumentError(StrCat("is longer than ", most_octets, " octets"));
  if (name.empty()) return absl::InvalidArgumentError("must not be empty");
  if (name.size() > kInputOctets) return too_long;
  std::string canonical = AsciiLower(name);
  const bool ascii = IsAscii(name);
  if (!ascii && !international) {
    return absl::InvalidArgumentError("may hold letters, digits, hyphens and dots only");
  }
  if (!ascii || canonical.find("xn--") != std::string::npos) {
    absl::StatusOr<std::string> converted = ToALabels(canonical);
    if (!converted.ok()) return converted.status();
    canonical = *std::move(converted);
  }
  if (canonical.size() > most_octets) return too_long;
  std::string_view rest = canonical;
  for (;;) {
    const size_t dot = rest.find('.');
    if (absl::Status status = CheckLabel(rest.substr(0, dot)); !status.ok()) return status;
    if (dot == std::string_view::npos) return canonical;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace gatepost::base
