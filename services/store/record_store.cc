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

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(end.back() + 1);
  return end;
}

}  // namespace gatepost::store
