#include "services/rpc/peer_identity.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/tls/certificate.h"

namespace gatepost::rpc {
namespace {

constexpr std::array<std::pair<std::string_view, Role>, 6> kRoles = {{{"edge", Role::kEdge},
                                                                     {"config", Role::kConfig},
                                                                     {"auth", Role::kAuth},
                                                                     {"admin", Role::kAdmin},
                                                                     {"operator", Role::kOperator},
                                                                     {"viewer", Role::kViewer}}};

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= 100 &&
         std::all_of(text.begin(), text.end(), [](char c) { return base::IsAlnum(c) || c == '-' || c == '.' || c == '_'; });
}

}  // namespace

std::string_view RoleName(Role role) {
  for (const auto& [name, value] : kRoles) {
    if (value == role) return name;
  }
  return "unknown";
}

absl::StatusOr<PeerIdentity> ParseSpiffeId(std::string_view uri) {
  const absl::Status malformed =
      absl::InvalidArgumentError("the URI is not of the form spiffe://<trust domain>/gatepost/<role>/<name>");
  constexpr std::string_view kScheme = "spiffe://";
  if (!uri.starts_with(kScheme)) return malformed;
  const std::vector<std::string_view> parts = base::Split(uri.substr(kScheme.size()), '/');
  if (parts.size() != 4 || !IsName(parts[0]) || parts[1] != "gatepost" || !IsName(parts[3])) return malformed;
  for (const auto& [name, role] : kRoles) {
    if (name == parts[2]) return PeerIdentity{std::string(uri), std::string(parts[0]), role, std::string(parts[3])};
  }
  return absl::InvalidArgumentError("the URI names an unknown role");
}

absl::StatusOr<PeerIdentity> IdentityOf(std::string_view leaf_pem) {
  GATEPOST_ASSIGN_OR_RETURN(const std::vector<tls::CertificateFacts> chain, tls::ParseChain(leaf_pem));
  const tls::CertificateFacts& leaf = chain.front();
  if (leaf.is_ca) return absl::InvalidArgumentError("the certificate is a CA's");
  if (leaf.uris.size() != 1) return absl::InvalidArgumentError("the certificate has not exactly one URI");
  return ParseSpiffeId(leaf.uris.front());
}

}  // namespace gatepost::rpc
