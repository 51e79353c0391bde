#include "services/auth/shared_key.h"

#include <memory>

#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

constexpr size_t kOctets = 32;

}  // namespace

absl::StatusOr<std::string> SharedKey(store::RecordStore& store, const store::SealingKey& master,
                                      std::string_view name, base::Random& random) {
  const std::string record_key = base::StrCat("keys/", name);
  while (true) {
    {
      // Read first: a replica can be started while the database is read-only.
      GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store.Read());
      const absl::StatusOr<store::Record> record = view->Get(record_key);
      if (record.ok()) return master.Open(record_key, record->value);
      if (!absl::IsNotFound(record.status())) return record.status();
    }
    std::string fresh(kOctets, '\0');
    random.Fill({reinterpret_cast<uint8_t*>(fresh.data()), fresh.size()});
    const absl::Status made =
        store.Commit({{{record_key, master.Seal(record_key, fresh, random), store::Condition::Absent()}}, {}, {}})
            .status();
    if (made.ok()) return fresh;
    // Else another replica that starts at this moment was first.
    if (!absl::IsAlreadyExists(made)) return made;
  }
}

}  // namespace gatepost::auth
