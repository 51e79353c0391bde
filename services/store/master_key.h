// That a database belongs to the master key that a program was started with, noticed at its start and not at the first
// secret that does not open. Thread-safe as the store is.
#pragma once

#include "absl/status/status.h"
#include "services/base/random.h"
#include "services/store/record_store.h"
#include "services/store/sealed.h"

namespace gatepost::store {

// A known text, sealed.
inline constexpr char kMasterKeyCheck[] = "masterKeyCheck";

// A new store takes `key`. FAILED_PRECONDITION: the store was sealed with another one. UNAVAILABLE: it does not answer.
absl::Status CheckMasterKey(RecordStore& store, const SealingKey& key, base::Random& random);

}  // namespace gatepost::store
