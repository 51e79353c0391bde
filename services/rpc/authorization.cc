#include "services/rpc/authorization.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "services/base/file.h"
#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::rpc {
namespace {

using base::StrCat;

constexpr uint8_t Bit(Role role) { return static_cast<uint8_t>(1U << static_cast<unsigned>(role)); }
constexpr uint8_t kEdges = Bit(Role::kEdge);
constexpr uint8_t kReaders = Bit(Role::kViewer) | Bit(Role::kOperator) | Bit(Role::kAdmin);
constexpr uint8_t kOperators = Bit(Role::kOperator) | Bit(Role::kAdmin);
constexpr uint8_t kAdmins = Bit(Role::kAdmin);

struct Entry {
  std::string_view method;
  uint8_t roles;
};

// api.md, "Identity". Sorted by nothing but reading; a method that is not here is denied.
constexpr Entry kTable[] = {
    {"/gatepost.config.v1.VirtualServerService/GetVirtualServer", kReaders},
    {"/gatepost.config.v1.VirtualServerService/ListVirtualServers", kReaders},
    {"/gatepost.config.v1.VirtualServerService/CreateVirtualServer", kOperators},
    {"/gatepost.config.v1.VirtualServerService/UpdateVirtualServer", kOperators},
    {"/gatepost.config.v1.VirtualServerService/DeleteVirtualServer", kOperators},
    {"/gatepost.config.v1.VirtualServerService/StartVirtualServer", kOperators},
    {"/gatepost.config.v1.VirtualServerService/StopVirtualServer", kOperators},
    {"/gatepost.config.v1.VirtualServerService/PauseVirtualServer", kOperators},
    {"/gatepost.config.v1.CertificateService/GetCertificate", kReaders},
    {"/gatepost.config.v1.CertificateService/ListCertificates", kReaders},
    {"/gatepost.config.v1.CertificateService/CreateCertificate", kOperators},
    {"/gatepost.config.v1.CertificateService/UpdateCertificate", kOperators},
    {"/gatepost.config.v1.CertificateService/DeleteCertificate", kOperators},
    {"/gatepost.config.v1.EdgeService/GetEdge", kReaders},
    {"/gatepost.config.v1.EdgeService/ListEdges", kReaders},
    {"/gatepost.config.v1.WatchService/Watch", kEdges},
    {"/gatepost.auth.v1.UserService/GetUser", kReaders},
    {"/gatepost.auth.v1.UserService/ListUsers", kReaders},
    {"/gatepost.auth.v1.UserService/CreateUser", kAdmins},
    {"/gatepost.auth.v1.UserService/UpdateUser", kAdmins},
    {"/gatepost.auth.v1.UserService/DeleteUser", kAdmins},
    {"/gatepost.auth.v1.UserService/SetUserPassword", kAdmins},
    {"/gatepost.auth.v1.UserService/RevokeUserSessions", kAdmins},
    {"/gatepost.auth.v1.SaslService/Authenticate", kEdges},
};

const Entry* Find(std::string_view method) {
  const auto* entry = std::find_if(std::begin(kTable), std::end(kTable), [&](const Entry& e) { return e.method == method; });
  return entry == std::end(kTable) ? nullptr : entry;
}

}  // namespace

bool MayCall(Role role, std::string_view method) {
  const Entry* entry = Find(method);
  return entry != nullptr && (entry->roles & Bit(role)) != 0;
}

bool IsKnownMethod(std::string_view method) { return Find(method) != nullptr; }

absl::StatusOr<PeerIdentity> Authorizer::Identify(const grpc::ServerContextBase& context) const {
  if (!options_.insecure_identity_for_tests.empty()) return ParseSpiffeId(options_.insecure_identity_for_tests);
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated()) {
    return Error(absl::StatusCode::kUnauthenticated, "NO_CLIENT_CERTIFICATE", "a client certificate is needed");
  }
  const std::vector<grpc::string_ref> certificate = auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (certificate.size() != 1) {
    return Error(absl::StatusCode::kUnauthenticated, "NO_CLIENT_CERTIFICATE", "a client certificate is needed");
  }
  absl::StatusOr<PeerIdentity> identity = IdentityOf(std::string_view(certificate[0].data(), certificate[0].size()));
  if (!identity.ok()) {
    return Error(absl::StatusCode::kUnauthenticated, "BAD_CLIENT_IDENTITY", base::FromAbsl(identity.status().message()));
  }
  if (!options_.trust_domain.empty() && identity->trust_domain != options_.trust_domain) {
    return Error(absl::StatusCode::kUnauthenticated, "OTHER_TRUST_DOMAIN", "the certificate is of another trust domain");
  }
  if (Refused(identity->uri)) {
    return Error(absl::StatusCode::kPermissionDenied, "IDENTITY_REVOKED", "this identity has been revoked");
  }
  return identity;
}

absl::StatusOr<PeerIdentity> Authorizer::Authorize(const grpc::ServerContextBase& context, std::string_view method) const {
  absl::StatusOr<PeerIdentity> identity = Identify(context);
  absl::Status status = identity.status();
  if (status.ok() && !MayCall(identity->role, method)) {
    status = Error(absl::StatusCode::kPermissionDenied, "ROLE_MAY_NOT_CALL", StrCat("role ", RoleName(identity->role), " may not call ", method));
  }
  if (!status.ok()) {
    log_.Warning("call_refused", {{"peer", identity.ok() ? identity->uri : std::string("-")},
                                  {"method", method},
                                  {"code", std::string(base::FromAbsl(absl::StatusCodeToString(status.code())))},
                                  {"error", base::FromAbsl(status.message())}});
    return status;
  }
  return identity;
}

bool Authorizer::Refused(const std::string& uri) const {
  if (options_.refused_ids_file.empty()) return false;
  absl::MutexLock lock(&mutex_);
  struct stat info {};
  // A list that cannot be read refuses nobody new: what was read last holds.
  if (stat(options_.refused_ids_file.c_str(), &info) == 0) {
    const int64_t stamp = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
    if (stamp != refused_stamp_) {
      if (absl::StatusOr<std::string> text = base::ReadFile(options_.refused_ids_file, 1 << 20); text.ok()) {
        refused_ = StrCat("\n", *text, "\n");
        refused_stamp_ = stamp;
      }
    }
  }
  return refused_.find(StrCat("\n", uri, "\n")) != std::string::npos;
}

void LogCall(base::Log& log, const PeerIdentity& caller, std::string_view method, std::string_view resource, int64_t old_revision,
             int64_t new_revision, const absl::Status& outcome) {
  const std::string code(base::FromAbsl(absl::StatusCodeToString(outcome.code())));
  log.Info("call", {{"peer", caller.uri},
                    {"method", method},
                    {"resource", resource},
                    {"old_revision", old_revision},
                    {"new_revision", new_revision},
                    {"code", code},
                    {"error", base::FromAbsl(outcome.message())}});
}

}  // namespace gatepost::rpc
