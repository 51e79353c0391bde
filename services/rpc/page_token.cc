#include "services/rpc/page_token.h"

#include <algorithm>
#include <optional>

#include "services/base/base64.h"
#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::rpc {
namespace {

constexpr size_t kMaxToken = 2048;

// FNV-1a: tells lists apart; it need not withstand an attacker, who could ask for the other list anyway.
std::string Fingerprint(std::string_view list) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : list) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  std::string octets;
  for (int shift = 0; shift < 64; shift += 8) octets.push_back(static_cast<char>(hash >> shift & 0xff));
  return octets;
}

}  // namespace

absl::StatusOr<int32_t> PageSize(int32_t page_size) {
  if (page_size < 0) return InvalidFields({{"page_size", "must not be negative"}});
  return page_size == 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize);
}

std::string MakePageToken(std::string_view list, std::string_view last) {
  return base::Base64Encode(base::StrCat(Fingerprint(list), last));
}

absl::StatusOr<std::string> ReadPageToken(std::string_view list, std::string_view token) {
  if (token.empty()) return std::string();
  const std::string fingerprint = Fingerprint(list);
  const std::optional<std::string> octets = token.size() > kMaxToken ? std::nullopt : base::Base64Decode(token);
  if (!octets || octets->size() <= fingerprint.size() || !octets->starts_with(fingerprint)) {
    return InvalidFields({{"page_token", "is not one that this list gave"}});
  }
  return octets->substr(fingerprint.size());
}

}  // namespace gatepost::rpc
