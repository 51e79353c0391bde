#include "services/rpc/page_token.h"

#include <algorithm>
#include <optional>

#include "services/base/base64.h"
#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::rpc {
namespace {

constexpr int kDefaultSize = 50;
constexpr int kLargestSize = 1'000;

}  // namespace

std::string MakePageToken(std::string_view scope, std::string_view last_name) {
  return base::Base64Encode(base::StrCat(scope, '\n', last_name));
}

absl::StatusOr<std::string> ReadPageToken(std::string_view scope, std::string_view token) {
  if (token.empty()) return std::string();
  const std::optional<std::string> text = token.size() <= 1024 ? base::Base64Decode(token) : std::nullopt;
  const std::string prefix = base::StrCat(scope, '\n');
  if (!text || !text->starts_with(prefix)) return InvalidFields({{"page_token", "is not a token that this list gave"}});
  return text->substr(prefix.size());
}

absl::StatusOr<int> PageSize(int32_t asked) {
  if (asked < 0) return InvalidFields({{"page_size", "must not be negative"}});
  return asked == 0 ? kDefaultSize : std::min<int>(asked, kLargestSize);
}

}  // namespace gatepost::rpc
