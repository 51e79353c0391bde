// Pages of a list, in the order of names. A token says behind which name the next page begins, and of what list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/config/repository.h"
#include "services/store/record_store.h"

namespace gatepost::config {

struct Page {
  std::string collection;
  std::string after;  // A name; empty: from the beginning.
  size_t size = 0;
};

// INVALID_ARGUMENT with violations: a negative size, a token that is not this list's.
absl::StatusOr<Page> MakePage(int32_t page_size, const std::string& page_token, std::string_view collection);

template <typename Request>
absl::StatusOr<Page> ReadPage(const Request& request, std::string_view collection) {
  return MakePage(request.page_size(), request.page_token(), collection);
}

std::string NextPageToken(const Page& page, std::string_view last);

// The page's records; `*next_page_token` is set if there are more.
absl::StatusOr<std::vector<store::Record>> ListRecords(Repository& repository, const Page& page,
                                                       std::string* next_page_token);

}  // namespace gatepost::config
