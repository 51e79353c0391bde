// How the catalogues change records: read, judge, commit by compare-and-set with the store's revision, again if
// somebody else was faster. One change at a time in this process. Statuses carry their details (rpc/status_details.h).
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "services/store/record_store.h"

namespace gatepost::auth {

class RecordEditor {
 public:
  // `store` outlives it.
  explicit RecordEditor(store::RecordStore& store) : store_(store) {}

  // Makes the writes of a change from what a view shows; none: nothing is to be changed. It may be called again.
  using Body = std::function<absl::Status(store::View& view, store::Transaction* transaction)>;

  // Runs `body` and commits what it asks for. Without writes, or with `dry_run`, the answer is that of a commit at
  // revision 0. UNAVAILABLE: the store does not answer (ErrorInfo's reason STORE_UNAVAILABLE), or changes too fast
  // (STORE_BUSY). INVALID_ARGUMENT with the violation: the request id is another request's.
  absl::StatusOr<store::Committed> Change(bool dry_run, const Body& body) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::StatusOr<std::unique_ptr<store::View>> Read();
  const std::string& epoch() const { return store_.epoch(); }

 private:
  store::RecordStore& store_;
  absl::Mutex mutex_;
};

// NOT_FOUND with the name, if there is none.
absl::StatusOr<store::Record> ReadRecord(store::View& view, std::string_view name);
// The same as a status, and its contrary.
absl::Status NotFound(std::string_view name);
absl::Status AlreadyExists(std::string_view name);
// Whether there is one.
absl::StatusOr<bool> HasRecord(store::View& view, std::string_view key);

}  // namespace gatepost::auth
