#include "services/store/master_key.h"

#include <memory>

#include "absl/status/statusor.h"
#include "services/base/status_macros.h"

namespace gatepost::store {

absl::Status CheckMasterKey(RecordStore& store, const SealingKey& key, base::Random& random) {
  while (true) {
    {
      GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<View> view, store.Read());
      const absl::StatusOr<Record> record = view->Get(kMasterKeyCheck);
      if (record.ok()) {
        if (key.Open(kMasterKeyCheck, record->value).ok()) return absl::OkStatus();
        return absl::FailedPreconditionError("the database was sealed with another master key than --master-key-file's");
      }
      if (!absl::IsNotFound(record.status())) return record.status();
    }
    const std::string sealed = key.Seal(kMasterKeyCheck, kMasterKeyCheck, random);
    const absl::Status made = store.Commit({{{kMasterKeyCheck, sealed, Condition::Absent()}}, {}, {}}).status();
    // Else another replica that starts at this moment was first.
    if (!absl::IsAlreadyExists(made)) return made;
  }
}

}  // namespace gatepost::store
