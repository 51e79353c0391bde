#include "services/rpc/authorization.h"

#include <algorithm>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::rpc {
namespace {

constexpr RoleSet kReaders = {Role::kViewer, Role::kOperator, Role::kAdmin};
constexpr RoleSet kOperators = {Role::kOperator, Role::kAdmin};
constexpr RoleSet kAdmins = {Role::kAdmin};
constexpr RoleSet kEdges = {Role::kEdge};

// Sorted by name.
const std::vector<MethodRule>& Table() {
  static const std::vector<MethodRule> kTable = [] {
    std::vector<MethodRule> table = {
        {"gatepost.auth.v1.CredentialService.CreateCredential", kAdmins, true},
        {"gatepost.auth.v1.CredentialService.DeleteCredential", kAdmins, true},
        {"gatepost.auth.v1.CredentialService.GetCredential", kReaders},
        {"gatepost.auth.v1.CredentialService.ListCredentials", kReaders},
        {"gatepost.auth.v1.CredentialService.UpdateCredential", kAdmins, true},
        {"gatepost.auth.v1.GroupService.CreateGroup", kAdmins, true},
        {"gatepost.auth.v1.GroupService.DeleteGroup", kAdmins, true},
        {"gatepost.auth.v1.GroupService.GetGroup", kReaders},
        {"gatepost.auth.v1.GroupService.ListGroups", kReaders},
        {"gatepost.auth.v1.GroupService.UpdateGroup", kAdmins, true},
        {"gatepost.auth.v1.SaslService.Authenticate", kEdges},
        {"gatepost.auth.v1.ThrottleService.ClearThrottle", kOperators, true},
        {"gatepost.auth.v1.ThrottleService.ListThrottles", kReaders},
        {"gatepost.auth.v1.UserService.CreateUser", kAdmins, true},
        {"gatepost.auth.v1.UserService.DeleteUser", kAdmins, true},
        {"gatepost.auth.v1.UserService.DisableUser", kAdmins, true},
        {"gatepost.auth.v1.UserService.EnableUser", kAdmins, true},
        {"gatepost.auth.v1.UserService.GetUser", kReaders},
        {"gatepost.auth.v1.UserService.ListUsers", kReaders},
        {"gatepost.auth.v1.UserService.RevokeDirectoryUserSessions", kAdmins, true},
        {"gatepost.auth.v1.UserService.RevokeUserSessions", kAdmins, true},
        {"gatepost.auth.v1.UserService.SetUserPassword", kAdmins, true},
        {"gatepost.auth.v1.UserService.UpdateUser", kAdmins, true},
        {"gatepost.config.v1.CertificateService.CreateCertificate", kOperators, true},
        {"gatepost.config.v1.CertificateService.CreateSigningRequest", kOperators, true},
        {"gatepost.config.v1.CertificateService.DeleteCertificate", kOperators, true},
        {"gatepost.config.v1.CertificateService.GetCertificate", kReaders},
        {"gatepost.config.v1.CertificateService.InstallCertificate", kOperators, true},
        {"gatepost.config.v1.CertificateService.ListCertificates", kReaders},
        {"gatepost.config.v1.CertificateService.UpdateCertificate", kOperators, true},
        {"gatepost.config.v1.DnsService.CheckDns", kReaders},
        {"gatepost.config.v1.EdgeService.GetEdge", kReaders},
        {"gatepost.config.v1.EdgeService.ListEdges", kReaders},
        {"gatepost.config.v1.VirtualServerService.CreateVirtualServer", kOperators, true},
        {"gatepost.config.v1.VirtualServerService.DeleteVirtualServer", kOperators, true},
        {"gatepost.config.v1.VirtualServerService.GetVirtualServer", kReaders},
        {"gatepost.config.v1.VirtualServerService.ListVirtualServers", kReaders},
        {"gatepost.config.v1.VirtualServerService.PauseVirtualServer", kOperators, true},
        {"gatepost.config.v1.VirtualServerService.SimulateSession", kReaders},
        {"gatepost.config.v1.VirtualServerService.StartVirtualServer", kOperators, true},
        {"gatepost.config.v1.VirtualServerService.StopVirtualServer", kOperators, true},
        {"gatepost.config.v1.VirtualServerService.UpdateVirtualServer", kOperators, true},
        {"gatepost.config.v1.WatchService.Watch", kEdges},
    };
    std::sort(table.begin(), table.end(), [](const MethodRule& a, const MethodRule& b) { return a.method < b.method; });
    return table;
  }();
  return kTable;
}

}  // namespace

const std::vector<MethodRule>& AllRules() { return Table(); }

const MethodRule* FindRule(std::string_view method) {
  const std::vector<MethodRule>& table = Table();
  const auto rule =
      std::lower_bound(table.begin(), table.end(), method,
                       [](const MethodRule& row, std::string_view wanted) { return row.method < wanted; });
  return rule != table.end() && rule->method == method ? &*rule : nullptr;
}

absl::Status Authorizer::Judge(const PeerIdentity& identity, std::string_view method) const {
  if (denied_ != nullptr && denied_->Denies(identity.uri)) {
    return Error(absl::StatusCode::kUnauthenticated, "IDENTITY_DENIED", base::StrCat(identity.uri, " is refused"));
  }
  const MethodRule* rule = FindRule(method);
  if (rule == nullptr || !rule->roles.Has(identity.role)) {
    return Error(absl::StatusCode::kPermissionDenied, "ROLE_NOT_ALLOWED",
                 base::StrCat("the role ", RoleName(identity.role), " may not call ", method));
  }
  return absl::OkStatus();
}

absl::StatusOr<PeerIdentity> Authorizer::Authorize(const grpc::ServerContextBase& context, std::string_view method,
                                                   PeerIdentity* caller) const {
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (peer == nullptr) return Error(absl::StatusCode::kUnauthenticated, "NO_IDENTITY", "no certificate was shown");
  absl::StatusOr<PeerIdentity> identity = IdentifyPeer(*peer, trust_domain_);
  if (!identity.ok()) return identity;
  if (caller != nullptr) *caller = *identity;
  GATEPOST_RETURN_IF_ERROR(Judge(*identity, method));
  return identity;
}

}  // namespace gatepost::rpc
