// Deletes records that have grown old, in small commits of their own, so that nobody waits long for one.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <string_view>

#include "services/store/record_store.h"

namespace gatepost::auth {

// Those under `prefix` of which `is_old` says so; 10,000 at most, the others by the next call. One that is written or
// deleted by another meanwhile stays, with those of its commit (200 at most): the next call sees. UNAVAILABLE: the
// store does not answer.
absl::Status DeleteOldRecords(store::RecordStore& store, std::string_view prefix,
                              const std::function<bool(const store::Record&)>& is_old);

}  // namespace gatepost::auth
