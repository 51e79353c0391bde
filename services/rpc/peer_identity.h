// Who a service or a person is: the one URI SAN of its leaf, spiffe://<trust domain>/gatepost/<role>/<name>.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace gatepost::rpc {

enum class Role : uint8_t { kEdge, kConfig, kAuth, kAdmin, kOperator, kViewer };
std::string_view RoleName(Role role);

struct PeerIdentity {
  std::string uri;
  std::string trust_domain;
  Role role = Role::kViewer;
  // An edge's pool; else the service's or the person's name.
  std::string name;
};

// INVALID_ARGUMENT: not of the form above, or of an unknown role.
absl::StatusOr<PeerIdentity> ParseSpiffeId(std::string_view uri);

// The identity in a leaf certificate, PEM. INVALID_ARGUMENT: it has none, more than one URI SAN, or is a CA.
absl::StatusOr<PeerIdentity> IdentityOf(std::string_view leaf_pem);

}  // namespace gatepost::rpc
