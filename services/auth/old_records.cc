#include "services/auth/old_records.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/base/status_macros.h"

namespace gatepost::auth {
namespace {

constexpr size_t kMostDeleted = 10'000;
constexpr size_t kCommitRecords = 200;
constexpr size_t kPageRecords = 1'000;
constexpr size_t kPageOctets = 4 << 20;

}  // namespace

absl::Status DeleteOldRecords(store::RecordStore& store, std::string_view prefix,
                              const std::function<bool(const store::Record&)>& is_old) {
  std::string after;
  size_t deleted = 0;
  for (bool more = true; more && deleted < kMostDeleted;) {
    store::Transaction transaction;
    {
      GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store.Read());
      while (more && transaction.writes.size() < kCommitRecords) {
        GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records,
                                  view->List(prefix, after, kPageRecords, kPageOctets, &more));
        if (records.empty()) break;
        for (const store::Record& record : records) {
          if (transaction.writes.size() == kCommitRecords) {
            more = true;
            break;
          }
          after = record.key;
          if (is_old(record))
            transaction.writes.push_back({record.key, std::nullopt, store::Condition::At(record.revision)});
        }
      }
    }
    if (transaction.writes.empty()) break;
    deleted += transaction.writes.size();
    const absl::Status status = store.Commit(transaction).status();
    if (!status.ok() && !absl::IsAborted(status) && !absl::IsNotFound(status)) return status;
  }
  return absl::OkStatus();
}

}  // namespace gatepost::auth
