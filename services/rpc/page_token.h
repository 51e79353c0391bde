// Page tokens: where the next page begins, bound to the method and the filter that began the list. Opaque to clients;
// they hold nothing that a client may not know, so they are not signed. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace gatepost::rpc {

inline constexpr int32_t kDefaultPageSize = 50;
inline constexpr int32_t kMaxPageSize = 1000;

// 0: 50; above 1,000: 1,000. INVALID_ARGUMENT with the violation: negative.
absl::StatusOr<int32_t> PageSize(int32_t page_size);

// `last`: the key of the last item of the page. `list`: the method and its filter.
std::string MakePageToken(std::string_view list, std::string_view last);
// The key behind which the page begins; empty for an empty token. INVALID_ARGUMENT with the violation: not a token of
// this list.
absl::StatusOr<std::string> ReadPageToken(std::string_view list, std::string_view token);

}  // namespace gatepost::rpc
