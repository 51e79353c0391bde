#include "services/edge/compiler.h"

#include <algorithm>
#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/translate.h"
#include "services/tls/context.h"

namespace gatepost::edge {
namespace {

absl::Status Bad(const std::string& name, std::string_view why) {
  return absl::InvalidArgumentError(base::StrCat(name, ": ", why));
}

// A status of a room below, with the virtual server's name before it.
absl::Status For(const std::string& name, const absl::Status& status) {
  return Bad(name, base::FromAbsl(status.message()));
}

template <size_t N>
bool Copy(const std::string& from, std::array<uint8_t, N>& to) {
  if (from.size() != N) return false;
  std::copy(from.begin(), from.end(), to.begin());
  return true;
}

absl::StatusOr<std::vector<tls::TicketKey>> ToTicketKeys(const config::v1::TicketKeys& keys) {
  std::vector<tls::TicketKey> result;
  for (const config::v1::TicketKey& key : keys.keys()) {
    tls::TicketKey& to = result.emplace_back();
    if (!Copy(key.key_name(), to.name) || !Copy(key.hmac_key(), to.hmac_key) || !Copy(key.aes_key(), to.aes_key)) {
      return absl::InvalidArgumentError("a ticket key of the wrong length");
    }
  }
  return result;
}

void SetPolicy(const policy::TlsPolicy& policy, tls::ServerContext::Options* options) {
  options->tls13_only = policy.min_version == policy::TlsVersion::kTls13;
  options->min_cipher_bits = policy.min_cipher_bits;
  options->refuse_unknown_names = policy.unknown_name == policy::UnknownName::kRefuse;
  switch (policy.client_certificates.mode) {
    case policy::ClientCertificates::Mode::kNotRequested:
      return;
    case policy::ClientCertificates::Mode::kRequested:
      options->client_certificates = tls::ClientCertificateMode::kRequested;
      break;
    case policy::ClientCertificates::Mode::kMandatory:
      options->client_certificates = tls::ClientCertificateMode::kMandatory;
      break;
  }
  options->client_ca_bundle_pem = policy.client_certificates.ca_bundle_pem;
  options->refused_fingerprints = policy.client_certificates.refused_fingerprints;
}

}  // namespace

absl::StatusOr<Compiler::Sources> Compiler::Collect(const Resources& resources, const std::string& name,
                                                    std::shared_ptr<const config::v1::VirtualServer> virtual_server) {
  Sources sources;
  sources.virtual_server = std::move(virtual_server);
  for (const std::string& certificate : sources.virtual_server->certificates()) {
    const auto found = resources.certificates.find(certificate);
    if (found == resources.certificates.end()) return Bad(name, base::StrCat(certificate, " is missing"));
    const auto key = resources.keys.find(certificate);
    if (key == resources.keys.end()) return Bad(name, base::StrCat("the key of ", certificate, " is missing"));
    sources.certificates.push_back(found->second);
    sources.keys.push_back(key->second);
  }
  if (const auto keys = resources.ticket_keys.find(name); keys != resources.ticket_keys.end()) {
    sources.ticket_keys = keys->second;
  }
  return sources;
}

absl::StatusOr<std::shared_ptr<const Snapshot>> Compiler::Compile(const Resources& resources) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->epoch = resources.epoch;
  snapshot->revision = resources.revision;
  std::map<std::string, Compiled> next;
  for (const auto& [name, virtual_server] : resources.virtual_servers) {
    const auto known = compiled_.find(name);
    const Compiled* before = known == compiled_.end() ? nullptr : &known->second;
    GATEPOST_ASSIGN_OR_RETURN(Sources sources, Collect(resources, name, virtual_server));
    Compiled& entry = next[name];
    if (before != nullptr && before->sources == sources) {
      entry = *before;
    } else {
      GATEPOST_ASSIGN_OR_RETURN(entry.runtime, CompileOne(name, sources, before));
      entry.sources = std::move(sources);
    }
    snapshot->virtual_servers.emplace(name, entry.runtime);
  }
  compiled_ = std::move(next);
  return snapshot;
}

absl::StatusOr<std::shared_ptr<const VirtualServerRuntime>> Compiler::CompileOne(const std::string& name,
                                                                                 const Sources& sources,
                                                                                 const Compiled* before) {
  GATEPOST_ASSIGN_OR_RETURN(policy::VirtualServer settings, rpc::Translate(*sources.virtual_server));
  VirtualServerRuntime::Parts parts;
  parts.name = name;

  // TLS as a server.
  if (!sources.certificates.empty()) {
    tls::ServerContext::Options options;
    for (size_t i = 0; i < sources.certificates.size(); ++i) {
      options.identities.push_back(
          {sources.certificates[i]->certificate_chain_pem(), sources.keys[i]->private_key_pem()});
    }
    SetPolicy(settings.tls, &options);
    options.session_scope = name;
    if (sources.ticket_keys) {
      absl::StatusOr<std::vector<tls::TicketKey>> keys = ToTicketKeys(*sources.ticket_keys);
      if (!keys.ok()) return For(name, keys.status());
      options.ticket_keys = *std::move(keys);
    }
    absl::StatusOr<std::shared_ptr<const tls::ServerContext>> made = tls::ServerContext::Make(options);
    if (!made.ok()) return For(name, made.status());
    parts.tls = *std::move(made);
  }
  for (const policy::Listener& listener : settings.listeners) {
    if (listener.tls_mode != policy::TlsMode::kNone && !parts.tls)
      return Bad(name, "a listener with TLS, and no certificate");
  }

  // The way to the next hops.
  auto route = std::make_shared<Route>();
  route->dns_servers = settings.delivery.dns_servers;
  route->proxy_header = settings.delivery.client_identity == policy::ClientIdentity::kProxyV2;
  route->timeouts = settings.delivery.timeouts;
  route->client_name = settings.delivery.ehlo_name.empty() ? settings.fqdn : settings.delivery.ehlo_name;
  std::shared_ptr<const tls::ClientContext> upstream_tls;
  if (settings.delivery.tls.mode == policy::UpstreamTlsMode::kRequired) {
    absl::StatusOr<std::shared_ptr<const tls::ClientContext>> made = tls::ClientContext::Make(
        {.ca_bundle_pem = settings.delivery.tls.ca_bundle_pem, .server_name = settings.delivery.tls.server_name});
    if (!made.ok()) return For(name, made.status());
    upstream_tls = *std::move(made);
  }
  for (const policy::NextHop& hop : settings.delivery.next_hops) {
    route->hops.push_back({hop, upstream_tls, hop_states_.Find(hop, settings.delivery.tls.mode)});
  }
  parts.route = std::move(route);

  absl::StatusOr<std::shared_ptr<const policy::CompiledVirtualServer>> policy =
      policy::CompiledVirtualServer::Compile(std::move(settings));
  if (!policy.ok()) return For(name, policy.status());
  parts.policy = *std::move(policy);

  if (before != nullptr) {
    parts.limiter = before->runtime->limiter_ptr();
    parts.metrics = before->runtime->metrics_ptr();
  } else {
    parts.limiter = std::make_shared<policy::ConnectionLimiter>();
    parts.metrics = metrics_(parts.policy->settings().id);
  }
  return std::make_shared<const VirtualServerRuntime>(std::move(parts));
}

}  // namespace gatepost::edge
