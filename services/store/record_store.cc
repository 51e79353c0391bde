#include "services/store/record_store.h"

namespace gatepost::store {

absl::Status CheckCondition(const Condition& condition, bool present, int64_t revision) {
  switch (condition.kind) {
    case Condition::Kind::kNone:
      return absl::OkStatus();
    case Condition::Kind::kAbsent:
      return present ? absl::AlreadyExistsError("the record exists") : absl::OkStatus();
    case Condition::Kind::kPresent:
      return present ? absl::OkStatus() : absl::NotFoundError("no such record");
    case Condition::Kind::kRevision:
      if (!present) return absl::NotFoundError("no such record");
      return revision == condition.revision ? absl::OkStatus() : absl::AbortedError("the record has changed");
  }
  return absl::InternalError("unknown condition");
}

}  // namespace gatepost::store
