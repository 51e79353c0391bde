#include "services/rpc/credentials.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "services/base/file.h"
#include "services/base/ip_address.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/limits.h"
#include "services/tls/certificate.h"

namespace gatepost::rpc {
namespace {

using base::StrCat;
using base::ToAbsl;
using grpc::experimental::FileWatcherCertificateProvider;

constexpr unsigned kReloadSeconds = 5;

std::shared_ptr<FileWatcherCertificateProvider> Provider(const TlsFiles& files) {
  return std::make_shared<FileWatcherCertificateProvider>(files.key, files.certificate, files.ca, kReloadSeconds);
}

std::string_view View(grpc::string_ref text) { return std::string_view(text.data(), text.size()); }

// RFC 6125 6.4.3.
bool NameMatches(std::string_view pattern, std::string_view name) {
  if (pattern.starts_with("*.")) {
    const size_t dot = name.find('.');
    return dot != std::string_view::npos && dot > 0 && base::EqualsIgnoreCase(pattern.substr(1), name.substr(dot));
  }
  return base::EqualsIgnoreCase(pattern, name);
}

// Takes the place of gRPC's own check of the host name: name and role together.
class ServerVerifier final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  ServerVerifier(std::string name, Role role) : name_(std::move(name)), role_(role) {}

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)> /*callback*/,
              grpc::Status* sync_status) override {
    *sync_status = Judge(*request);
    return true;
  }
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest* /*request*/) override {}

 private:
  grpc::Status Judge(const grpc::experimental::TlsCustomVerificationCheckRequest& request) const {
    const auto refuse = [](const std::string& why) { return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, why); };
    const std::vector<grpc::string_ref> uris = request.uri_names();
    if (uris.size() != 1) return refuse("the server's certificate has not exactly one URI");
    const absl::StatusOr<PeerIdentity> identity = ParseSpiffeId(View(uris.front()));
    if (!identity.ok()) return refuse(std::string(base::FromAbsl(identity.status().message())));
    if (identity->role != role_) {
      return refuse(StrCat("the server's role is ", RoleName(identity->role), ", not ", RoleName(role_)));
    }
    if (const absl::StatusOr<base::IpAddress> address = base::IpAddress::Parse(name_); address.ok()) {
      for (grpc::string_ref ip : request.ip_names()) {
        const absl::StatusOr<base::IpAddress> candidate = base::IpAddress::Parse(View(ip));
        if (candidate.ok() && *candidate == *address) return grpc::Status::OK;
      }
    } else {
      for (grpc::string_ref dns : request.dns_names()) {
        if (NameMatches(View(dns), name_)) return grpc::Status::OK;
      }
    }
    return refuse(StrCat("the server's certificate is not for ", name_));
  }

  const std::string name_;
  const Role role_;
};

// The host of HOST:PORT, [V6]:PORT, or scheme:///HOST:PORT.
std::string HostOf(std::string_view address) {
  if (const size_t path = address.rfind('/'); path != std::string_view::npos) address.remove_prefix(path + 1);
  if (address.starts_with('[')) return std::string(address.substr(1, address.find(']') - 1));
  return std::string(address.substr(0, address.rfind(':')));
}

}  // namespace

absl::StatusOr<PeerIdentity> CheckTlsFiles(const TlsFiles& files) {
  const auto named = [](std::string_view flag, const std::string& path, const absl::Status& status) {
    return absl::Status(status.code(), ToAbsl(StrCat(flag, " ", path, ": ", base::FromAbsl(status.message()))));
  };
  const absl::StatusOr<std::string> chain = base::ReadFile(files.certificate, 1 << 20);
  if (!chain.ok()) return named("--cert", files.certificate, chain.status());
  const absl::StatusOr<std::string> key = base::ReadFile(files.key, 1 << 20);
  if (!key.ok()) return named("--key", files.key, key.status());
  const absl::StatusOr<std::string> ca = base::ReadFile(files.ca, 1 << 20);
  if (!ca.ok()) return named("--ca", files.ca, ca.status());
  if (absl::Status status = tls::KeyMatches(*chain, *key); !status.ok()) return named("--key", files.key, status);
  if (absl::Status status = tls::CheckCaBundle(*ca); !status.ok()) return named("--ca", files.ca, status);
  absl::StatusOr<PeerIdentity> identity = IdentityOf(*chain);
  if (!identity.ok()) return named("--cert", files.certificate, identity.status());
  return identity;
}

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const TlsFiles& files) {
  grpc::experimental::TlsServerCredentialsOptions options(Provider(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

std::shared_ptr<grpc::Channel> MakeChannel(const ChannelOptions& options) {
  grpc::experimental::TlsChannelCredentialsOptions credentials;
  credentials.set_certificate_provider(Provider(options.files));
  credentials.watch_root_certs();
  credentials.watch_identity_key_cert_pairs();
  credentials.set_verify_server_certs(true);
  credentials.set_check_call_host(false);
  const std::string name = options.server_name.empty() ? HostOf(options.address) : options.server_name;
  credentials.set_certificate_verifier(
      grpc::experimental::ExternalCertificateVerifier::Create<ServerVerifier>(name, options.server_role));
  grpc::ChannelArguments arguments;
  arguments.SetLoadBalancingPolicyName("round_robin");
  arguments.SetMaxReceiveMessageSize(limits::kMessageOctets);
  arguments.SetMaxSendMessageSize(limits::kMessageOctets);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, limits::kMetadataOctets);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, limits::kKeepaliveMilliseconds);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, limits::kKeepaliveTimeoutMilliseconds);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // The name in the handshake and in :authority: the certificate's, not the tunnel's.
  if (!options.server_name.empty()) arguments.SetSslTargetNameOverride(options.server_name);
  return grpc::CreateCustomChannel(options.address, grpc::experimental::TlsCredentials(credentials), arguments);
}

absl::StatusOr<int64_t> ExpiryOf(const std::string& certificate_file) {
  GATEPOST_ASSIGN_OR_RETURN(const std::string pem, base::ReadFile(certificate_file, 1 << 20));
  GATEPOST_ASSIGN_OR_RETURN(const std::vector<tls::CertificateFacts> chain, tls::ParseChain(pem));
  return std::chrono::duration_cast<std::chrono::seconds>(chain.front().not_after.time_since_epoch()).count();
}

}  // namespace gatepost::rpc
