// The few facts of an X.509 certificate that identities need: whether it is a CA, its URI SANs, when it ends. A bounded
// reader of DER without recursion; signatures are gRPC's business, and everything about TLS certificates is tls/'s.
// Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "services/base/clock.h"

namespace gatepost::rpc {

struct LeafFacts {
  std::vector<std::string> uris;
  bool is_ca = false;
  base::WallTime not_after;
};

// Of the first certificate of a PEM text. INVALID_ARGUMENT: there is none, or it is malformed.
absl::StatusOr<LeafFacts> ReadLeaf(std::string_view pem);

}  // namespace gatepost::rpc
