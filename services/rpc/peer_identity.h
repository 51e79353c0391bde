// Who is at the other end of a gRPC connection: the one URI SAN of its certificate,
//   spiffe://<trust domain>/gatepost/<role>/<name>
// gRPC has verified the chain and the dates; here is judged what the leaf says. Values; thread-safe.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/security/auth_context.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatepost::rpc {

enum class Role { kEdge, kConfig, kAuth, kViewer, kOperator, kAdmin };
inline constexpr Role kAllRoles[] = {Role::kEdge,   Role::kConfig,   Role::kAuth,
                                     Role::kViewer, Role::kOperator, Role::kAdmin};

// "edge", "config", "auth", "viewer", "operator", "admin".
std::string_view RoleName(Role role);
std::optional<Role> ParseRole(std::string_view name);

struct PeerIdentity {
  std::string uri;  // The whole SPIFFE id.
  std::string trust_domain;
  Role role = Role::kViewer;
  std::string name;  // An edge's is its pool.
};

// spiffe://<trust domain>/gatepost/<role>/<name>, lower-case trust domain, name ^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$.
// INVALID_ARGUMENT else.
absl::StatusOr<PeerIdentity> ParsePeerIdentity(std::string_view uri);

// The identity that a leaf proves. UNAUTHENTICATED: not exactly one URI SAN, not an identity of ours, of another trust
// domain, or the leaf is a CA or cannot be read. `leaf_pem` is the leaf alone; `uris` are its URI SANs.
absl::StatusOr<PeerIdentity> JudgeLeaf(std::string_view leaf_pem, const std::vector<std::string>& uris,
                                       std::string_view trust_domain);

// The identity of a server's caller. UNAUTHENTICATED as above, and without a verified client certificate.
absl::StatusOr<PeerIdentity> IdentifyPeer(const grpc::AuthContext& context, std::string_view trust_domain);

}  // namespace gatepost::rpc
