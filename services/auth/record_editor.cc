#include "services/auth/record_editor.h"

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

constexpr int kTries = 10;

absl::Status Unavailable(const absl::Status& status) {
  if (!absl::IsUnavailable(status)) return status;
  return rpc::Error(absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE", base::FromAbsl(status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<store::View>> RecordEditor::Read() {
  absl::StatusOr<std::unique_ptr<store::View>> view = store_.Read();
  if (!view.ok()) return Unavailable(view.status());
  return view;
}

absl::StatusOr<store::Committed> RecordEditor::Change(bool dry_run, const Body& body) {
  absl::MutexLock lock(&mutex_);
  for (int i = 0; i < kTries; ++i) {
    store::Transaction transaction;
    {
      GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, Read());
      GATEPOST_RETURN_IF_ERROR(body(*view, &transaction));
      transaction.store_revision = view->revision();
    }
    if (dry_run || transaction.writes.empty()) return store::Committed{};
    absl::StatusOr<store::Committed> committed = store_.Commit(transaction);
    if (absl::IsFailedPrecondition(committed.status())) continue;
    if (absl::IsInvalidArgument(committed.status()))
      return rpc::InvalidFields({{"request_id", "was used for another request within 24 h"}});
    if (!committed.ok()) return Unavailable(committed.status());
    return committed;
  }
  return rpc::Error(absl::StatusCode::kUnavailable, "STORE_BUSY", "the store changes too fast; try again");
}

absl::Status NotFound(std::string_view name) {
  return rpc::Error(absl::StatusCode::kNotFound, "NOT_FOUND", base::StrCat(name, " does not exist"));
}

absl::Status AlreadyExists(std::string_view name) {
  return rpc::Error(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS", base::StrCat(name, " exists already"));
}

absl::StatusOr<store::Record> ReadRecord(store::View& view, std::string_view name) {
  absl::StatusOr<store::Record> record = view.Get(name);
  if (absl::IsNotFound(record.status())) return NotFound(name);
  return record;
}

absl::StatusOr<bool> HasRecord(store::View& view, std::string_view key) {
  const absl::Status status = view.Get(key).status();
  if (absl::IsNotFound(status)) return false;
  GATEPOST_RETURN_IF_ERROR(status);
  return true;
}

}  // namespace gatepost::auth
