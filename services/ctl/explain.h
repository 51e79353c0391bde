// A failed call in the words of the person who made it: what is wrong, what to do, then every field violation on its
// own line.
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace gatepost::ctl {

// `service` is "config" or "auth"; `address` is where it was sought.
absl::Status ExplainFailure(const grpc::Status& status, std::string_view service, std::string_view address);

}  // namespace gatepost::ctl
