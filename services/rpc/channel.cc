#include "services/rpc/channel.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <functional>

#include "services/base/ip_address.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/server.h"

namespace gatepost::rpc {
namespace {

using grpc::experimental::ExternalCertificateVerifier;
using grpc::experimental::TlsCustomVerificationCheckRequest;

std::string_view View(grpc::string_ref text) { return std::string_view(text.data(), text.size()); }

// `host`, `host:port`, `1.2.3.4:port`, `[::1]:port`, `::1` -> the host.
std::string_view HostOf(std::string_view target) {
  if (target.starts_with('['))
    return target.substr(1, target.find(']') == target.npos ? target.npos : target.find(']') - 1);
  const size_t colon = target.rfind(':');
  return colon == target.npos || target.find(':') != colon ? target : target.substr(0, colon);
}

// RFC 6125: the whole name, or a leftmost label `*` for exactly one label.
bool NameMatches(std::string_view pattern, std::string_view name) {
  if (base::EqualsIgnoreCase(pattern, name)) return true;
  if (!pattern.starts_with("*.")) return false;
  const size_t dot = name.find('.');
  return dot != name.npos && dot > 0 && pattern.find('.', 2) != pattern.npos &&
         base::EqualsIgnoreCase(pattern.substr(1), name.substr(dot));
}

bool AddressMatches(std::string_view listed, const base::IpAddress& wanted) {
  const auto address = base::IpAddress::Parse(listed);
  return address.ok() && *address == wanted;
}

// Takes the place of gRPC's own host name check.
class ServerVerifier final : public ExternalCertificateVerifier {
 public:
  ServerVerifier(std::string trust_domain, Role role, std::string server_name)
      : trust_domain_(std::move(trust_domain)), role_(role), server_name_(std::move(server_name)) {}

  bool Verify(TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)> /*callback*/,
              grpc::Status* sync_status) override {
    *sync_status = Judge(*request);
    return true;
  }
  void Cancel(TlsCustomVerificationCheckRequest* /*request*/) override {}

 private:
  grpc::Status Judge(const TlsCustomVerificationCheckRequest& request) const {
    std::vector<std::string> uris;
    for (const grpc::string_ref& uri : request.uri_names()) uris.emplace_back(View(uri));
    const absl::StatusOr<PeerIdentity> identity = JudgeLeaf(View(request.peer_cert()), uris, trust_domain_);
    if (!identity.ok()) return Refuse(base::FromAbsl(identity.status().message()));
    if (identity->role != role_)
      return Refuse(base::StrCat("the server's role is ", RoleName(identity->role), ", not ", RoleName(role_)));
    const std::string host(server_name_.empty() ? HostOf(View(request.target_name())) : std::string_view(server_name_));
    if (const auto address = base::IpAddress::Parse(host); address.ok()) {
      const std::vector<grpc::string_ref> listed = request.ip_names();
      if (std::any_of(listed.begin(), listed.end(),
                      [&](grpc::string_ref ip) { return AddressMatches(View(ip), *address); })) {
        return grpc::Status::OK;
      }
    } else {
      const std::vector<grpc::string_ref> listed = request.dns_names();
      if (std::any_of(listed.begin(), listed.end(),
                      [&](grpc::string_ref name) { return NameMatches(View(name), host); })) {
        return grpc::Status::OK;
      }
    }
    return Refuse(base::StrCat("the server's certificate is not for ", host));
  }

  static grpc::Status Refuse(std::string_view why) {
    return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, std::string(why));
  }

  const std::string trust_domain_;
  const Role role_;
  const std::string server_name_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options) {
  GATEPOST_ASSIGN_OR_RETURN(const OwnIdentity own, ReadOwnIdentity(options.identity));
  grpc::experimental::TlsChannelCredentialsOptions tls;
  tls.set_certificate_provider(std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      options.identity.key, options.identity.cert, options.identity.ca, options.identity.reload_seconds));
  tls.watch_root_certs();
  tls.watch_identity_key_cert_pairs();
  tls.set_verify_server_certs(true);
  tls.set_check_call_host(false);
  tls.set_certificate_verifier(ExternalCertificateVerifier::Create<ServerVerifier>(
      own.identity.trust_domain, options.server_role, options.server_name));

  grpc::ChannelArguments arguments;
  arguments.SetLoadBalancingPolicyName("round_robin");
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 2 * kMaxMetadataBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A service that comes back is found within seconds.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  // Neither a password nor a change is sent twice without our knowing.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Proxies of the environment are for people's browsers.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // A channel of one program to one service; never shared with another's settings.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(options.address, grpc::experimental::TlsCredentials(tls), arguments);
}

}  // namespace gatepost::rpc
