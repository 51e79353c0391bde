// Keys that all replicas of the auth service share: made by the first that needs one, kept sealed in the store.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "services/base/random.h"
#include "services/store/record_store.h"
#include "services/store/sealed.h"

namespace gatepost::auth {

// 32 octets. DATA_LOSS: it was sealed with another master key. UNAVAILABLE: the store does not answer.
absl::StatusOr<std::string> SharedKey(store::RecordStore& store, const store::SealingKey& master,
                                      std::string_view name, base::Random& random);

}  // namespace gatepost::auth
