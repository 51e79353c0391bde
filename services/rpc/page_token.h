// Opaque page tokens (AIP-158): where a list goes on, bound to what is listed. Not a secret: a forged one gets what a list would show.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace gatepost::rpc {

// `scope`: the collection and its filter.
std::string MakePageToken(std::string_view scope, std::string_view last_name);
// The last name of the page before; empty for the empty token. INVALID_ARGUMENT: not a token of this list.
absl::StatusOr<std::string> ReadPageToken(std::string_view scope, std::string_view token);
// 0: 50; above 1,000: 1,000. INVALID_ARGUMENT: negative.
absl::StatusOr<int> PageSize(int32_t asked);

}  // namespace gatepost::rpc
