#include "services/config/page.h"

#include "services/base/status_macros.h"
#include "services/config/limits.h"
#include "services/rpc/page_token.h"

namespace gatepost::config {

absl::StatusOr<Page> MakePage(int32_t page_size, const std::string& page_token, std::string_view collection) {
  GATEPOST_ASSIGN_OR_RETURN(const int size, rpc::PageSize(page_size));
  GATEPOST_ASSIGN_OR_RETURN(std::string after, rpc::ReadPageToken(collection, page_token));
  return Page{std::string(collection), std::move(after), static_cast<size_t>(size)};
}

std::string NextPageToken(const Page& page, std::string_view last) { return rpc::MakePageToken(page.collection, last); }

absl::StatusOr<std::vector<store::Record>> ListRecords(Repository& repository, const Page& page,
                                                       std::string* next_page_token) {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, repository.store().Read());
  bool more = false;
  GATEPOST_ASSIGN_OR_RETURN(std::vector<store::Record> records,
                            view->List(page.collection, page.after, page.size, kMaxPageOctets, &more));
  if (more) *next_page_token = NextPageToken(page, records.back().key);
  return records;
}

}  // namespace gatepost::config
