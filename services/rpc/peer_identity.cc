#include "services/rpc/peer_identity.h"

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/leaf_certificate.h"
#include "services/rpc/status_details.h"

namespace gatepost::rpc {
namespace {

constexpr std::string_view kScheme = "spiffe://";

bool IsName(std::string_view text, size_t most) {
  if (text.empty() || text.size() > most) return false;
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || base::IsDigit(c); };
  for (const char c : text) {
    if (!alphanumeric(c) && c != '-' && c != '.') return false;
  }
  return alphanumeric(text.front()) && alphanumeric(text.back());
}

absl::Status NoIdentity(std::string_view why) {
  return Error(absl::StatusCode::kUnauthenticated, "NO_IDENTITY",
               base::StrCat("the certificate proves no identity: ", why));
}

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kEdge:
      return "edge";
    case Role::kConfig:
      return "config";
    case Role::kAuth:
      return "auth";
    case Role::kViewer:
      return "viewer";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      return "admin";
  }
  return "unknown";
}

std::optional<Role> ParseRole(std::string_view name) {
  for (const Role role : kAllRoles) {
    if (name == RoleName(role)) return role;
  }
  return std::nullopt;
}

absl::StatusOr<PeerIdentity> ParsePeerIdentity(std::string_view uri) {
  const auto refuse = [] {
    return absl::InvalidArgumentError("not of the form spiffe://<trust domain>/gatepost/<role>/<name>");
  };
  if (!uri.starts_with(kScheme)) return refuse();
  const std::vector<std::string_view> parts = base::Split(uri.substr(kScheme.size()), '/');
  if (parts.size() != 4 || parts[1] != "gatepost" || !IsName(parts[0], 255) || !IsName(parts[3], 63)) return refuse();
  const std::optional<Role> role = ParseRole(parts[2]);
  if (!role) return refuse();
  return PeerIdentity{std::string(uri), std::string(parts[0]), *role, std::string(parts[3])};
}

absl::StatusOr<PeerIdentity> JudgeLeaf(std::string_view leaf_pem, const std::vector<std::string>& uris,
                                       std::string_view trust_domain) {
  const absl::StatusOr<LeafFacts> leaf = ReadLeaf(leaf_pem);
  if (!leaf.ok()) return NoIdentity("it cannot be read");
  if (leaf->is_ca) return NoIdentity("it is a CA's");
  // Two readers of one certificate must agree, else neither is trusted.
  if (leaf->uris != uris || uris.size() != 1) return NoIdentity("it must have exactly one URI");
  absl::StatusOr<PeerIdentity> identity = ParsePeerIdentity(uris[0]);
  if (!identity.ok()) return NoIdentity(base::FromAbsl(identity.status().message()));
  if (identity->trust_domain != trust_domain) return NoIdentity("it is of another trust domain");
  return identity;
}

absl::StatusOr<PeerIdentity> IdentifyPeer(const grpc::AuthContext& context, std::string_view trust_domain) {
  if (!context.IsPeerAuthenticated())
    return Error(absl::StatusCode::kUnauthenticated, "NO_IDENTITY", "no certificate was shown");
  const std::vector<grpc::string_ref> leaf = context.FindPropertyValues("x509_pem_cert");
  if (leaf.size() != 1) return NoIdentity("it cannot be read");
  std::vector<std::string> uris;
  for (const grpc::string_ref& uri : context.FindPropertyValues("peer_uri")) uris.emplace_back(uri.data(), uri.size());
  return JudgeLeaf(std::string_view(leaf[0].data(), leaf[0].size()), uris, trust_domain);
}

}  // namespace gatepost::rpc
