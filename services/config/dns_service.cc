#include "services/config/dns_service.h"

#include <optional>
#include <string>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/config/dns_check.h"
#include "services/config/domain_name.h"
#include "services/config/limits.h"
#include "services/config/validate.h"

namespace gatepost::config {

grpc::Status DnsServiceImpl::CheckDns(grpc::ServerContext* context, const v1::CheckDnsRequest* request,
                                      v1::CheckDnsResponse* response) {
  return handler_.Run(*context, "gatepost.config.v1.DnsService.CheckDns",
                      [&](Call* call) { return Check(*request, call, response); });
}

absl::Status DnsServiceImpl::Check(const v1::CheckDnsRequest& request, Call* call, v1::CheckDnsResponse* response) {
  const base::MonotonicTime deadline = clock_.Now() + kDnsCheckTime;
  if (request.fqdn().empty() == request.virtual_server().empty()) {
    call->violations.Add("fqdn", "either fqdn or virtual_server must be set");
    return absl::InvalidArgumentError("either fqdn or virtual_server must be set");
  }
  std::string fqdn = request.fqdn();
  std::optional<v1::VirtualServer> server;
  if (!request.virtual_server().empty()) {
    GATEPOST_RETURN_IF_ERROR(CheckName(request.virtual_server(), kVirtualServers, "virtual_server", call));
    v1::GetVirtualServerRequest get;
    get.set_name(request.virtual_server());
    GATEPOST_ASSIGN_OR_RETURN(server, catalogue_.Get(get, call));
    fqdn = server->fqdn();
  }
  absl::StatusOr<std::string> canonical = CanonicalDomain(fqdn);
  if (!canonical.ok()) {
    call->violations.Add("fqdn", base::FromAbsl(canonical.status().message()));
    return canonical.status();
  }
  DnsCheck check(*std::move(canonical), server ? &*server : nullptr);
  check.Addresses(dns_.Ask(check.AddressQuestions(), deadline));
  check.Names(dns_.Ask(check.NameQuestions(), deadline));
  check.Judge(response);
  return absl::OkStatus();
}

}  // namespace gatepost::config
