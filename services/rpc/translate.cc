#include "services/rpc/translate.h"

#include <utility>

#include "google/protobuf/duration.pb.h"
#include "services/base/domain_name.h"
#include "services/base/ip_address.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::rpc {
namespace {

namespace v1 = config::v1;

constexpr size_t kDomainOctets = 253;  // RFC 1035 2.3.4, without the root

absl::Status Bad(std::string_view field, std::string_view why) {
  return absl::InvalidArgumentError(base::StrCat(field, ": ", why));
}

// A feature of the API that this version does not enforce.
absl::Status Unenforced(std::string_view field) { return Bad(field, "not enforced by this version of the edge"); }

absl::Status UnknownValue(std::string_view field) {
  return Bad(field, "a value that this version of the edge does not know");
}

absl::StatusOr<std::string> ToDomain(std::string_view text, std::string_view field) {
  absl::StatusOr<std::string> domain = base::CanonicalDomain(text, kDomainOctets);
  if (!domain.ok()) return Bad(field, base::FromAbsl(domain.status().message()));
  return domain;
}

void Set(const google::protobuf::Duration& from, bool present, base::Duration* to) {
  if (!present) return;
  *to = std::chrono::duration_cast<base::Duration>(std::chrono::seconds(from.seconds()) +
                                                   std::chrono::nanoseconds(from.nanos()));
}

absl::StatusOr<policy::ListMode> ToListMode(v1::ListMode mode, policy::ListMode otherwise, std::string_view field) {
  switch (mode) {
    case v1::LIST_MODE_UNSPECIFIED:
      return otherwise;
    case v1::ALL_EXCEPT:
      return policy::ListMode::kAllExcept;
    case v1::ONLY_LIST:
      return policy::ListMode::kOnlyList;
    default:
      return UnknownValue(field);
  }
}

absl::StatusOr<policy::ClientEntry> ToClientEntry(const v1::ClientEntry& entry, std::string_view field) {
  switch (entry.client_case()) {
    case v1::ClientEntry::kAddress: {
      GATEPOST_ASSIGN_OR_RETURN(const base::IpAddress address, base::IpAddress::Parse(entry.address()));
      return base::IpPrefix{address, address.bits()};
    }
    case v1::ClientEntry::kSubnet: {
      GATEPOST_ASSIGN_OR_RETURN(const base::IpPrefix prefix, base::IpPrefix::Parse(entry.subnet()));
      return prefix;
    }
    case v1::ClientEntry::kRange: {
      GATEPOST_ASSIGN_OR_RETURN(const base::IpRange range, base::IpRange::Parse(entry.range()));
      return range;
    }
    case v1::ClientEntry::kDomain: {
      GATEPOST_ASSIGN_OR_RETURN(std::string domain, ToDomain(entry.domain(), base::StrCat(field, ".domain")));
      return policy::ClientDomain{std::move(domain)};
    }
    case v1::ClientEntry::CLIENT_NOT_SET:
      return UnknownValue(field);
  }
  return UnknownValue(field);
}

template <typename List>
absl::Status ToClientList(const List& from, std::string_view field, policy::ClientList* to) {
  GATEPOST_ASSIGN_OR_RETURN(to->mode, ToListMode(from.mode(), to->mode, base::StrCat(field, ".mode")));
  to->entries.reserve(static_cast<size_t>(from.entries_size()));
  for (int i = 0; i < from.entries_size(); ++i) {
    GATEPOST_ASSIGN_OR_RETURN(policy::ClientEntry entry,
                              ToClientEntry(from.entries(i), base::StrCat(field, ".entries[", i, "]")));
    to->entries.push_back(std::move(entry));
  }
  return absl::OkStatus();
}

absl::Status ToListeners(const v1::VirtualServer& from, policy::VirtualServer* to) {
  for (int i = 0; i < from.listeners_size(); ++i) {
    const v1::Listener& listener = from.listeners(i);
    const std::string field = base::StrCat("listeners[", i, "]");
    policy::Listener result;
    GATEPOST_ASSIGN_OR_RETURN(result.address, base::IpAddress::Parse(listener.address()));
    if (listener.port() > 65535) return Bad(base::StrCat(field, ".port"), "above 65535");
    result.port = static_cast<uint16_t>(listener.port());
    switch (listener.tls_mode()) {
      case v1::Listener::TLS_MODE_UNSPECIFIED:
      case v1::Listener::STARTTLS:
        result.tls_mode = policy::TlsMode::kStartTls;
        break;
      case v1::Listener::NONE:
        result.tls_mode = policy::TlsMode::kNone;
        break;
      case v1::Listener::IMPLICIT:
        result.tls_mode = policy::TlsMode::kImplicit;
        break;
      default:
        return UnknownValue(base::StrCat(field, ".tls_mode"));
    }
    result.proxy.required = listener.proxy_protocol().required();
    for (const std::string& subnet : listener.proxy_protocol().trusted_subnets()) {
      GATEPOST_ASSIGN_OR_RETURN(const base::IpPrefix prefix, base::IpPrefix::Parse(subnet));
      result.proxy.trusted.push_back(prefix);
    }
    to->listeners.push_back(result);
  }
  return absl::OkStatus();
}

absl::Status ToPermission(const v1::Permission& from, std::string_view field, policy::Permission* to) {
  GATEPOST_ASSIGN_OR_RETURN(to->mode, ToListMode(from.mode(), to->mode, base::StrCat(field, ".mode")));
  to->principals.assign(from.principals().begin(), from.principals().end());
  return absl::OkStatus();
}

absl::Status ToOnLookupFailure(v1::OnLookupFailure from, std::string_view field, policy::OnLookupFailure* to) {
  switch (from) {
    case v1::ON_LOOKUP_FAILURE_UNSPECIFIED:
      return absl::OkStatus();
    case v1::TEMPFAIL:
      *to = policy::OnLookupFailure::kTempfail;
      return absl::OkStatus();
    case v1::ALLOW:
      *to = policy::OnLookupFailure::kAllow;
      return absl::OkStatus();
    case v1::DENY:
      *to = policy::OnLookupFailure::kDeny;
      return absl::OkStatus();
    default:
      return UnknownValue(field);
  }
}

absl::Status ToLookups(const v1::VirtualServer& from, policy::VirtualServer* to) {
  const v1::ReverseLookup& lookup = from.reverse_lookup();
  Set(lookup.timeout(), lookup.has_timeout(), &to->reverse_lookup.timeout);
  to->reverse_lookup.annotate_received = lookup.annotate_received();
  GATEPOST_RETURN_IF_ERROR(ToOnLookupFailure(lookup.on_lookup_failure(), "reverse_lookup.on_lookup_failure",
                                             &to->reverse_lookup.on_lookup_failure));
  const v1::Filters& filters = from.filters();
  Set(filters.timeout(), filters.has_timeout(), &to->filters.timeout);
  GATEPOST_RETURN_IF_ERROR(ToOnLookupFailure(filters.on_lookup_failure(), "filters.on_lookup_failure",
                                             &to->filters.on_lookup_failure));
  for (int i = 0; i < filters.block_lists_size(); ++i) {
    const std::string field = base::StrCat("filters.block_lists[", i, "]");
    policy::BlockList list;
    GATEPOST_ASSIGN_OR_RETURN(list.zone, ToDomain(filters.block_lists(i).zone(), base::StrCat(field, ".zone")));
    for (const std::string& answer : filters.block_lists(i).answers()) {
      GATEPOST_ASSIGN_OR_RETURN(const base::IpAddress address, base::IpAddress::Parse(answer));
      list.answers.push_back(address);
    }
    to->filters.block_lists.push_back(std::move(list));
  }
  return absl::OkStatus();
}

absl::Status ToBinding(v1::ChannelBinding from, std::string_view field, policy::ChannelBinding* to) {
  switch (from) {
    case v1::CHANNEL_BINDING_UNSPECIFIED:
      return absl::OkStatus();  // The field's own default.
    case v1::OFF:
      *to = policy::ChannelBinding::kOff;
      return absl::OkStatus();
    case v1::WHEN_SUPPORTED:
      *to = policy::ChannelBinding::kWhenSupported;
      return absl::OkStatus();
    case v1::REQUIRED:
      *to = policy::ChannelBinding::kRequired;
      return absl::OkStatus();
    default:
      return UnknownValue(field);
  }
}

absl::Status ToAuthentication(const v1::Authentication& from, policy::Authentication* to) {
  to->anonymous = from.anonymous();
  if (from.basic().has_enabled()) to->basic = from.basic().enabled();
  to->allow_clear_text_credentials = from.basic().allow_clear_text_credentials();
  to->default_domain = from.basic().default_domain();
  const v1::IntegratedAuthentication& integrated = from.integrated();
  if (integrated.has_enabled()) to->integrated = integrated.enabled();
  if (integrated.has_requires_tls()) to->integrated_requires_tls = integrated.requires_tls();
  if (integrated.ntlm().has_enabled()) to->ntlm = integrated.ntlm().enabled();
  if (integrated.ntlm().has_target_name()) to->ntlm_target_name = integrated.ntlm().target_name();
  to->ntlm_require_mic = integrated.ntlm().require_mic();
  GATEPOST_RETURN_IF_ERROR(
      ToBinding(integrated.ntlm().channel_binding(), "authentication.integrated.ntlm.channel_binding", &to->ntlm_binding));
  GATEPOST_RETURN_IF_ERROR(ToBinding(integrated.gssapi_channel_binding(), "authentication.integrated.gssapi_channel_binding",
                                     &to->gssapi_binding));
  for (const v1::RealmMapping& realm : integrated.realms()) to->realms.push_back({realm.realm(), realm.domain()});
  if (from.scram().has_enabled()) to->scram = from.scram().enabled();
  to->token = from.token().enabled();
  to->token_issuers.assign(from.token().issuers().begin(), from.token().issuers().end());
  to->external = from.external().enabled();
  to->legacy_auth_line = from.legacy_auth_line();
  switch (from.send_as()) {
    case v1::Authentication::SEND_AS_UNSPECIFIED:
    case v1::Authentication::ANY_ADDRESS:
      to->send_as = policy::SendAs::kAnyAddress;
      break;
    case v1::Authentication::OWN_ADDRESSES:
      to->send_as = policy::SendAs::kOwnAddresses;
      break;
    default:
      return UnknownValue("authentication.send_as");
  }
  return ToPermission(from.submit(), "authentication.submit", &to->submit);
}

absl::Status ToClientCertificates(const v1::ClientCertificates& from, policy::ClientCertificates* to) {
  using Mode = policy::ClientCertificates::Mode;
  switch (from.mode()) {
    case v1::ClientCertificates::MODE_UNSPECIFIED:
    case v1::ClientCertificates::NOT_REQUESTED:
      to->mode = Mode::kNotRequested;
      break;
    case v1::ClientCertificates::REQUESTED:
      to->mode = Mode::kRequested;
      break;
    case v1::ClientCertificates::MANDATORY:
      to->mode = Mode::kMandatory;
      break;
    default:
      return UnknownValue("tls.client_certificates.mode");
  }
  to->ca_bundle_pem = from.ca_bundle_pem();
  to->refused_fingerprints.assign(from.refused_fingerprints().begin(), from.refused_fingerprints().end());
  return absl::OkStatus();
}

absl::Status ToTls(const v1::Tls& from, policy::TlsPolicy* to) {
  to->require_secure_channel = from.require_secure_channel();
  switch (from.min_version()) {
    case v1::Tls::VERSION_UNSPECIFIED:
    case v1::Tls::TLS_1_2:
      to->min_version = policy::TlsVersion::kTls12;
      break;
    case v1::Tls::TLS_1_3:
      to->min_version = policy::TlsVersion::kTls13;
      break;
    default:
      return UnknownValue("tls.min_version");
  }
  if (from.has_min_cipher_bits()) to->min_cipher_bits = static_cast<int>(from.min_cipher_bits());
  if (to->min_cipher_bits != 128 && to->min_cipher_bits != 256) return UnknownValue("tls.min_cipher_bits");
  switch (from.unknown_name()) {
    case v1::Tls::UNKNOWN_NAME_UNSPECIFIED:
    case v1::Tls::SERVE_DEFAULT:
      to->unknown_name = policy::UnknownName::kServeDefault;
      break;
    case v1::Tls::REFUSE:
      to->unknown_name = policy::UnknownName::kRefuse;
      break;
    default:
      return UnknownValue("tls.unknown_name");
  }
  return ToClientCertificates(from.client_certificates(), &to->client_certificates);
}

absl::Status ToLimits(const v1::VirtualServer& from, policy::Limits* to) {
  const v1::SessionLimits& session = from.session_limits();
  Set(session.idle_timeout(), session.has_idle_timeout(), &to->idle_timeout);
  Set(session.data_timeout(), session.has_data_timeout(), &to->data_timeout);
  if (session.has_min_data_rate()) to->min_data_rate = session.min_data_rate();
  Set(session.max_duration(), session.has_max_duration(), &to->session_duration);
  Set(session.banner_delay(), session.has_banner_delay(), &to->banner_delay);
  if (session.has_max_protocol_errors()) to->protocol_errors = static_cast<int>(session.max_protocol_errors());
  if (session.has_max_refused_recipients()) to->refused_recipients = static_cast<int>(session.max_refused_recipients());
  if (session.has_max_excess_recipients()) to->excess_recipients = static_cast<int>(session.max_excess_recipients());
  if (session.has_max_auth_failures()) to->auth_failures = static_cast<int>(session.max_auth_failures());
  Set(session.auth_failure_delay(), session.has_auth_failure_delay(), &to->auth_failure_delay);
  Set(session.auth_failure_jitter(), session.has_auth_failure_jitter(), &to->auth_failure_jitter);
  Set(session.max_auth_failure_delay(), session.has_max_auth_failure_delay(), &to->max_auth_failure_delay);

  const v1::MessageLimits& message = from.message_limits();
  if (message.has_max_message_octets()) to->message_size = message.max_message_octets();
  to->session_size = message.max_session_octets();
  if (message.has_max_recipients()) to->recipients = static_cast<int>(message.max_recipients());
  to->messages = message.max_messages();
  if (message.has_max_hops()) to->hops = static_cast<int>(message.max_hops());

  const v1::ConnectionLimits& connection = from.connection_limits();
  if (connection.has_max_per_source()) to->connections_per_source = connection.max_per_source();
  to->connections = connection.max_total();
  to->new_connections_per_minute = connection.max_new_per_source_per_minute();
  return absl::OkStatus();
}

// A bare address, or `address:port`.
absl::StatusOr<base::Endpoint> ToDnsServer(const std::string& text) {
  constexpr uint16_t kDnsPort = 53;
  if (const absl::StatusOr<base::IpAddress> address = base::IpAddress::Parse(text); address.ok()) {
    return base::Endpoint{*address, kDnsPort};
  }
  return base::Endpoint::Parse(text);
}

absl::Status ToDelivery(const v1::Delivery& from, policy::Delivery* to) {
  if (!from.routes().empty()) return Unenforced("delivery.routes");
  if (from.attempt_direct_delivery()) return Unenforced("delivery.attempt_direct_delivery");
  to->ehlo_name = from.ehlo_name();
  if (!from.masquerade_domain().empty()) {
    GATEPOST_ASSIGN_OR_RETURN(to->masquerade_domain, ToDomain(from.masquerade_domain(), "delivery.masquerade_domain"));
  }
  for (const std::string& server : from.dns_servers()) {
    GATEPOST_ASSIGN_OR_RETURN(const base::Endpoint endpoint, ToDnsServer(server));
    to->dns_servers.push_back(endpoint);
  }
  if (from.max_connections() != 0) return Unenforced("delivery.max_connections");
  if (from.max_connections_per_next_hop() != 0) return Unenforced("delivery.max_connections_per_next_hop");

  const v1::Route& route = from.default_route();
  if (!route.authentication().user().empty()) return Unenforced("delivery.default_route.authentication");
  switch (route.client_identity()) {
    case v1::Route::CLIENT_IDENTITY_UNSPECIFIED:
    case v1::Route::NOT_SENT:
      to->client_identity = policy::ClientIdentity::kNotSent;
      break;
    case v1::Route::XCLIENT:
      to->client_identity = policy::ClientIdentity::kXclient;
      break;
    case v1::Route::PROXY_V2:
      to->client_identity = policy::ClientIdentity::kProxyV2;
      break;
    default:
      return UnknownValue("delivery.default_route.client_identity");
  }
  for (int i = 0; i < route.next_hops_size(); ++i) {
    const v1::NextHop& hop = route.next_hops(i);
    const std::string field = base::StrCat("delivery.default_route.next_hops[", i, "]");
    if (hop.host().empty()) return Bad(base::StrCat(field, ".host"), "empty");
    if (hop.port() > 65535 || (hop.has_port() && hop.port() == 0))
      return Bad(base::StrCat(field, ".port"), "not a port");
    to->next_hops.push_back({hop.host(), hop.has_port() ? static_cast<uint16_t>(hop.port()) : uint16_t{25}});
  }
  switch (route.tls().mode()) {
    case v1::UpstreamTls::MODE_UNSPECIFIED:
    case v1::UpstreamTls::OFF:
      to->tls.mode = policy::UpstreamTlsMode::kOff;
      break;
    case v1::UpstreamTls::REQUIRED:
      to->tls.mode = policy::UpstreamTlsMode::kRequired;
      break;
    default:
      return UnknownValue("delivery.default_route.tls.mode");
  }
  to->tls.ca_bundle_pem = route.tls().ca_bundle_pem();
  to->tls.server_name = route.tls().server_name();

  const v1::DeliveryTimeouts& timeouts = from.timeouts();
  Set(timeouts.connect(), timeouts.has_connect(), &to->timeouts.connect);
  Set(timeouts.greeting(), timeouts.has_greeting(), &to->timeouts.greeting);
  Set(timeouts.command(), timeouts.has_command(), &to->timeouts.command);
  Set(timeouts.opening(), timeouts.has_opening(), &to->timeouts.opening);
  Set(timeouts.data(), timeouts.has_data(), &to->timeouts.data);
  Set(timeouts.block(), timeouts.has_block(), &to->timeouts.block);
  Set(timeouts.final(), timeouts.has_final(), &to->timeouts.final);
  return absl::OkStatus();
}

absl::Status ToStateAndDialect(const v1::VirtualServer& from, policy::VirtualServer* to) {
  switch (from.state()) {
    case v1::VirtualServer::STATE_UNSPECIFIED:
    case v1::VirtualServer::STARTED:
      to->state = policy::ServerState::kStarted;
      break;
    case v1::VirtualServer::STOPPED:
      to->state = policy::ServerState::kStopped;
      break;
    case v1::VirtualServer::PAUSED:
      to->state = policy::ServerState::kPaused;
      break;
    default:
      return UnknownValue("state");
  }
  switch (from.dialect()) {
    case v1::VirtualServer::DIALECT_UNSPECIFIED:
    case v1::VirtualServer::RFC:
      to->dialect = policy::Dialect::kRfc;
      break;
    case v1::VirtualServer::EXCHANGE:
      to->dialect = policy::Dialect::kExchange;
      break;
    default:
      return UnknownValue("dialect");
  }
  switch (from.logging().addresses()) {
    case v1::Logging::ADDRESSES_UNSPECIFIED:
    case v1::Logging::FULL:
      to->log_addresses = policy::LogAddresses::kFull;
      break;
    case v1::Logging::DOMAIN:
      to->log_addresses = policy::LogAddresses::kDomain;
      break;
    default:  // NONE, and whatever a later version has: the least.
      to->log_addresses = policy::LogAddresses::kNone;
      break;
  }
  to->protocol_log = from.logging().protocol_log();
  return absl::OkStatus();
}

absl::StatusOr<policy::VirtualServer> TranslateFields(const v1::VirtualServer& from) {
  policy::VirtualServer to;
  to.id = IdOf(from.name());
  to.revision = from.revision();
  to.fqdn = from.fqdn();
  if (from.has_banner_text()) to.banner_text = from.banner_text();
  GATEPOST_RETURN_IF_ERROR(ToStateAndDialect(from, &to));
  GATEPOST_RETURN_IF_ERROR(ToListeners(from, &to));
  to.certificates.assign(from.certificates().begin(), from.certificates().end());
  for (int i = 0; i < from.local_domains_size(); ++i) {
    const v1::DomainEntry& entry = from.local_domains(i);
    GATEPOST_ASSIGN_OR_RETURN(std::string domain,
                              ToDomain(entry.domain(), base::StrCat("local_domains[", i, "].domain")));
    to.local_domains.push_back({std::move(domain), entry.include_subdomains()});
  }
  GATEPOST_RETURN_IF_ERROR(ToClientList(from.connection_control(), "connection_control", &to.connection_control));
  GATEPOST_RETURN_IF_ERROR(ToAuthentication(from.authentication(), &to.authentication));
  GATEPOST_RETURN_IF_ERROR(ToTls(from.tls(), &to.tls));
  GATEPOST_RETURN_IF_ERROR(ToClientList(from.relay(), "relay", &to.relay.list));
  if (from.relay().has_authenticated_may_relay()) {
    to.relay.authenticated_may_relay = from.relay().authenticated_may_relay();
  }
  GATEPOST_RETURN_IF_ERROR(ToPermission(from.relay().authenticated(), "relay.authenticated", &to.relay.authenticated));
  GATEPOST_RETURN_IF_ERROR(ToLimits(from, &to.limits));
  GATEPOST_RETURN_IF_ERROR(ToDelivery(from.delivery(), &to.delivery));
  GATEPOST_RETURN_IF_ERROR(ToLookups(from, &to));
  return to;
}

}  // namespace

std::string_view IdOf(std::string_view name) {
  const size_t slash = name.find('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

absl::StatusOr<policy::VirtualServer> Translate(const config::v1::VirtualServer& virtual_server) {
  absl::StatusOr<policy::VirtualServer> result = TranslateFields(virtual_server);
  if (!result.ok()) {
    return absl::InvalidArgumentError(
        base::StrCat(virtual_server.name(), ": ", base::FromAbsl(result.status().message())));
  }
  return result;
}

}  // namespace gatepost::rpc
