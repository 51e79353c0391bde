// Longer than a source should be: one function a section of the resource, in the order of the proto, is easier to check
// against it than several files.
#include "services/config/validate.h"

#include <google/protobuf/util/message_differencer.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "services/base/ip_address.h"
#include "services/base/strings.h"
#include "services/config/client_set.h"
#include "services/config/domain_name.h"
#include "services/config/limits.h"
#include "services/config/virtual_server_defaults.h"

namespace gatepost::config {
namespace {

using base::IsDigit;
using base::IsPrintableAscii;
using base::StrCat;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::util::MessageDifferencer;
using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;

constexpr std::string_view kNotEnforced = "is not enforced by this release; leave it at its default";

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }

// Characters of valid UTF-8, which protobuf guarantees of a string.
size_t Characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string DurationText(milliseconds duration) {
  return TimeUtil::ToString(TimeUtil::MillisecondsToDuration(duration.count()));
}

class Judge {
 public:
  Judge(v1::VirtualServer* server, const HostAnswers& hosts, Violations* violations)
      : server_(*server), hosts_(hosts), violations_(*violations) {}

  void Run();

 private:
  void Add(std::string_view field, std::string_view description) {
    violations_.Add(StrCat("virtual_server.", field), description);
  }
  void NotEnforced(bool set, std::string_view field) {
    if (set) Add(field, kNotEnforced);
  }
  // A message that must equal its default form.
  void MustBeDefault(const Message& message, const Message& defaults, std::string_view field) {
    NotEnforced(!MessageDifferencer::Equals(message, defaults), field);
  }
  bool CheckCount(int count, int limit, std::string_view field) {
    if (count > limit) Add(field, StrCat("has ", count, " entries, at most ", limit, " are allowed"));
    return count <= limit;
  }
  void CheckRange(uint64_t value, uint64_t least, uint64_t most, std::string_view field) {
    if (value < least || value > most) Add(field, StrCat("must be from ", least, " to ", most));
  }
  void CheckDuration(const google::protobuf::Duration& value, milliseconds least, milliseconds most,
                     std::string_view field);
  void CheckDomain(std::string* domain, std::string_view field);
  void CheckDomains(google::protobuf::RepeatedPtrField<v1::DomainEntry>* domains, int limit, std::string_view field);
  void CheckPem(std::string_view pem, std::string_view field);
  void CheckListenerAddress(v1::Listener* listener, std::string_view field);
  void CheckProxyProtocol(v1::ProxyProtocol* proxy, std::string_view field);
  void CheckDnsServers();
  void CheckPermission(const v1::Permission& permission, std::string_view field);

  void General();
  void Listeners();
  void Certificates();
  void ConnectionControl();
  void Authentication();
  void Integrated(v1::IntegratedAuthentication* integrated);
  void Tls();
  void Relay();
  void SessionLimits();
  void MessageLimits();
  void ConnectionLimits();
  void Delivery();
  void DefaultRoute();
  void Timeouts();
  void Lookups();
  void WholesAndSize();

  v1::VirtualServer& server_;
  const HostAnswers& hosts_;
  Violations& violations_;
  v1::VirtualServer defaults_;  // What a virtual server is with nothing set.
};

void Judge::CheckDuration(const google::protobuf::Duration& value, milliseconds least, milliseconds most,
                          std::string_view field) {
  // Compared by parts: a wild number of seconds must not overflow.
  const auto at_least = TimeUtil::MillisecondsToDuration(least.count());
  const auto at_most = TimeUtil::MillisecondsToDuration(most.count());
  const bool sane = value.seconds() >= 0 && value.seconds() <= 315'576'000'000 && value.nanos() >= 0 &&
                    value.nanos() <= 999'999'999;
  if (!sane || value < at_least || value > at_most)
    Add(field, StrCat("must be from ", DurationText(least), " to ", DurationText(most)));
}

void Judge::CheckDomain(std::string* domain, std::string_view field) {
  absl::StatusOr<std::string> canonical = CanonicalDomain(*domain);
  if (canonical.ok()) {
    *domain = *std::move(canonical);
  } else {
    Add(field, base::FromAbsl(canonical.status().message()));
  }
}

void Judge::CheckDomains(google::protobuf::RepeatedPtrField<v1::DomainEntry>* domains, int limit,
                         std::string_view field) {
  if (!CheckCount(domains->size(), limit, field)) return;
  std::set<std::string> seen;
  for (int i = 0; i < domains->size(); ++i) {
    v1::DomainEntry* entry = domains->Mutable(i);
    CheckDomain(entry->mutable_domain(), StrCat(field, "[", i, "].domain"));
    if (!seen.insert(entry->domain()).second) Add(StrCat(field, "[", i, "].domain"), "is in the list already");
  }
}

void Judge::CheckPem(std::string_view pem, std::string_view field) {
  if (pem.size() > kMaxCaBundleOctets) Add(field, StrCat("is larger than ", kMaxCaBundleOctets, " octets"));
  if (pem.find("-----BEGIN CERTIFICATE-----") == pem.npos) Add(field, "holds no PEM certificate");
  if (pem.find("PRIVATE KEY-----") != pem.npos) Add(field, "holds a private key: give certificates alone");
}

void Judge::General() {
  CheckText(server_.display_name(), kMaxDisplayNameCharacters, "virtual_server.display_name", &violations_);
  if (server_.fqdn().empty()) {
    Add("fqdn", "must be set");
  } else {
    CheckDomain(server_.mutable_fqdn(), "fqdn");
  }
  const std::string_view banner = server_.banner_text();
  if (banner.size() > kMaxBannerOctets || !IsPrintableAscii(banner))
    Add("banner_text", StrCat("must be printable ASCII, at most ", kMaxBannerOctets, " octets"));
  if (banner != "ESMTP" && !banner.starts_with("ESMTP ")) Add("banner_text", "must begin with the word ESMTP");
  if (CheckCount(server_.pools_size(), kMaxPools, "pools")) {
    std::set<std::string_view> seen;
    for (int i = 0; i < server_.pools_size(); ++i) {
      const std::string& pool = server_.pools(i);
      if (!IsResourceId(pool)) Add(StrCat("pools[", i, "]"), "must match ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$");
      if (!seen.insert(pool).second) Add(StrCat("pools[", i, "]"), "is in the list already");
    }
  }
  CheckDomains(server_.mutable_local_domains(), kMaxLocalDomains, "local_domains");
}

void Judge::CheckListenerAddress(v1::Listener* listener, std::string_view field) {
  const absl::StatusOr<base::IpAddress> address = base::IpAddress::Parse(listener->address());
  if (!address.ok()) return Add(field, base::FromAbsl(address.status().message()));
  // Of clients such an address is another spelling; a listener for it would not be what it looks like.
  if (address->is_v4() && listener->address().find(':') != std::string::npos)
    return Add(field, StrCat("is an IPv4 address in IPv6 notation; write ", address->ToString()));
  listener->set_address(address->ToString());
}

void Judge::Listeners() {
  if (!CheckCount(server_.listeners_size(), kMaxListeners, "listeners")) return;
  for (int i = 0; i < server_.listeners_size(); ++i) {
    v1::Listener* listener = server_.mutable_listeners(i);
    const std::string field = StrCat("listeners[", i, "]");
    CheckListenerAddress(listener, StrCat(field, ".address"));
    CheckRange(listener->port(), 1, 65'535, StrCat(field, ".port"));
    if (listener->has_proxy_protocol())
      CheckProxyProtocol(listener->mutable_proxy_protocol(), StrCat(field, ".proxy_protocol"));
    for (int j = 0; j < i; ++j)
      if (Overlap(server_.listeners(j), *listener))
        Add(field, StrCat("overlaps listeners[", j, "] of this virtual server"));
    const bool tls = listener->tls_mode() != v1::Listener::NONE;
    if (tls && server_.certificates_size() == 0)
      Add(StrCat(field, ".tls_mode"), "needs a certificate: name one in `certificates`, or set tls_mode to NONE");
    if (!tls && server_.tls().require_secure_channel())
      Add(StrCat(field, ".tls_mode"), "is NONE, but tls.require_secure_channel lets nobody work without TLS");
  }
}

void Judge::CheckProxyProtocol(v1::ProxyProtocol* proxy, std::string_view field) {
  const std::string subnets = StrCat(field, ".trusted_subnets");
  if (proxy->required() && proxy->trusted_subnets().empty())
    Add(subnets, "must name who may send the header: without any, every connection would be closed");
  if (!proxy->required() && !proxy->trusted_subnets().empty())
    Add(StrCat(field, ".required"), "must be true where trusted_subnets are given: else they have no effect");
  if (!CheckCount(proxy->trusted_subnets_size(), kMaxListEntries, subnets)) return;
  std::set<base::IpPrefix> seen;
  for (int i = 0; i < proxy->trusted_subnets_size(); ++i) {
    const std::string at = StrCat(subnets, "[", i, "]");
    const absl::StatusOr<base::IpPrefix> subnet = base::IpPrefix::Parse(proxy->trusted_subnets(i));
    if (!subnet.ok()) {
      Add(at, base::FromAbsl(subnet.status().message()));
    } else if (!seen.insert(*subnet).second) {
      Add(at, "is in the list already");
    } else {
      proxy->set_trusted_subnets(i, subnet->ToString());
    }
  }
}

void Judge::Certificates() {
  // Two key types are supported (index.h looks at them): more could not all be used.
  if (server_.certificates_size() > 2) Add("certificates", "may name one with an ECDSA key and one with an RSA key");
  std::set<std::string_view> seen;
  for (int i = 0; i < server_.certificates_size(); ++i) {
    const std::string& name = server_.certificates(i);
    if (!IsResourceName(name, kCertificates)) Add(StrCat("certificates[", i, "]"), "must be `certificates/{id}`");
    if (!seen.insert(name).second) Add(StrCat("certificates[", i, "]"), "is in the list already");
  }
}

void Judge::ConnectionControl() {
  v1::ConnectionControl* control = server_.mutable_connection_control();
  if (!CheckCount(control->entries_size(), kMaxListEntries, "connection_control.entries")) return;
  NormalizeEntries(hosts_, "virtual_server.connection_control.entries", control->mutable_entries(), &violations_);
}

void Judge::Authentication() {
  v1::Authentication* authentication = server_.mutable_authentication();
  if (std::string* domain = authentication->mutable_basic()->mutable_default_domain(); !domain->empty())
    CheckDomain(domain, "authentication.basic.default_domain");
  Integrated(authentication->mutable_integrated());
  const v1::TokenAuthentication& token = authentication->token();
  if (CheckCount(token.issuers_size(), kMaxTokenIssuers, "authentication.token.issuers")) {
    for (int i = 0; i < token.issuers_size(); ++i) {
      const std::string& issuer = token.issuers(i);
      if (issuer.empty() || issuer.size() > kMaxTokenIssuerOctets || !base::IsPrintableAscii(issuer))
        Add(StrCat("authentication.token.issuers[", i, "]"),
            StrCat("must be printable ASCII, at most ", kMaxTokenIssuerOctets, " octets"));
    }
  }
  if (authentication->external().enabled() &&
      server_.tls().client_certificates().mode() == v1::ClientCertificates::NOT_REQUESTED)
    Add("authentication.external.enabled", "no client will show a certificate: tls.client_certificates asks for none");
  CheckPermission(authentication->submit(), "authentication.submit");
}

void Judge::Integrated(v1::IntegratedAuthentication* integrated) {
  const std::string& target = integrated->ntlm().target_name();
  if (target.empty() || target.size() > kMaxNtlmTargetOctets || !base::IsPrintableAscii(target))
    Add("authentication.integrated.ntlm.target_name",
        StrCat("must be 1 to ", kMaxNtlmTargetOctets, " printable ASCII characters"));
  if (!CheckCount(integrated->realms_size(), kMaxRealms, "authentication.integrated.realms")) return;
  for (int i = 0; i < integrated->realms_size(); ++i) {
    v1::RealmMapping& mapping = *integrated->mutable_realms(i);
    const std::string field = StrCat("authentication.integrated.realms[", i, "]");
    const std::string& realm = mapping.realm();
    if (realm.empty() || realm.size() > kMaxRealmOctets || !base::IsPrintableAscii(realm) ||
        realm.find_first_of("@/\\ ") != realm.npos)
      Add(StrCat(field, ".realm"), "must be a Kerberos realm, such as EXAMPLE.COM");
    for (int j = 0; j < i; ++j) {
      if (integrated->realms(j).realm() == realm) Add(StrCat(field, ".realm"), "is in the list twice");
    }
    CheckDomain(mapping.mutable_domain(), StrCat(field, ".domain"));
  }
}

void Judge::Tls() {
  v1::Tls& tls = *server_.mutable_tls();
  if (tls.min_cipher_bits() != 128 && tls.min_cipher_bits() != 256) Add("tls.min_cipher_bits", "must be 128 or 256");
  v1::ClientCertificates& clients = *tls.mutable_client_certificates();
  if (clients.mode() != v1::ClientCertificates::NOT_REQUESTED || !clients.ca_bundle_pem().empty())
    CheckPem(clients.ca_bundle_pem(), "tls.client_certificates.ca_bundle_pem");
  constexpr std::string_view kRefused = "tls.client_certificates.refused_fingerprints";
  if (!CheckCount(clients.refused_fingerprints_size(), kMaxListEntries, kRefused)) return;
  std::set<std::string_view> seen;
  for (int i = 0; i < clients.refused_fingerprints_size(); ++i) {
    std::string& fingerprint = *clients.mutable_refused_fingerprints(i);
    fingerprint = base::AsciiLower(fingerprint);
    std::string octets;
    if (fingerprint.size() != 64 || !base::HexDecode(fingerprint, &octets)) {
      Add(StrCat(kRefused, "[", i, "]"), "must be 64 hexadecimal digits");
    } else if (!seen.insert(fingerprint).second) {
      Add(StrCat(kRefused, "[", i, "]"), "is in the list already");
    }
  }
}

void Judge::Relay() {
  v1::Relay* relay = server_.mutable_relay();
  CheckPermission(relay->authenticated(), "relay.authenticated");
  if (!CheckCount(relay->entries_size(), kMaxListEntries, "relay.entries")) return;
  NormalizeEntries(hosts_, "virtual_server.relay.entries", relay->mutable_entries(), &violations_);
  server_.set_open_relay(IsOpenRelay(server_));
  if (server_.open_relay() && !relay->allow_open_relay())
    Add("relay", "open relay: any anonymous client could send to any domain; shorten the list, require authentication, "
                 "or set relay.allow_open_relay if this is really meant");
}

void Judge::SessionLimits() {
  const v1::SessionLimits& limits = server_.session_limits();
  using std::chrono::hours;
  using std::chrono::minutes;
  using std::chrono::seconds;
  CheckDuration(limits.idle_timeout(), seconds(10), hours(1), "session_limits.idle_timeout");
  CheckDuration(limits.data_timeout(), seconds(10), hours(1), "session_limits.data_timeout");
  CheckRange(limits.min_data_rate(), 0, 1'000'000, "session_limits.min_data_rate");
  CheckDuration(limits.max_duration(), minutes(1), hours(7 * 24), "session_limits.max_duration");
  CheckDuration(limits.banner_delay(), seconds(0), seconds(60), "session_limits.banner_delay");
  CheckRange(limits.max_protocol_errors(), 1, 1'000, "session_limits.max_protocol_errors");
  CheckRange(limits.max_refused_recipients(), 1, 10'000, "session_limits.max_refused_recipients");
  CheckRange(limits.max_excess_recipients(), 1, 100'000, "session_limits.max_excess_recipients");
  CheckRange(limits.max_auth_failures(), 1, 10, "session_limits.max_auth_failures");
  CheckDuration(limits.auth_failure_delay(), seconds(0), seconds(60), "session_limits.auth_failure_delay");
  CheckDuration(limits.auth_failure_jitter(), seconds(0), seconds(60), "session_limits.auth_failure_jitter");
  CheckDuration(limits.max_auth_failure_delay(), seconds(0), seconds(60), "session_limits.max_auth_failure_delay");
  if (limits.max_auth_failure_delay() < limits.auth_failure_delay())
    Add("session_limits.max_auth_failure_delay", "must not be below auth_failure_delay");
}

void Judge::MessageLimits() {
  const v1::MessageLimits& limits = server_.message_limits();
  CheckRange(limits.max_message_octets(), 0, uint64_t{1} << 40, "message_limits.max_message_octets");
  CheckRange(limits.max_session_octets(), 0, uint64_t{1} << 50, "message_limits.max_session_octets");
  CheckRange(limits.max_recipients(), 100, 100'000, "message_limits.max_recipients");
  CheckRange(limits.max_messages(), 0, 1'000'000, "message_limits.max_messages");
  CheckRange(limits.max_hops(), 1, 1'000, "message_limits.max_hops");
}

void Judge::ConnectionLimits() {
  const v1::ConnectionLimits& limits = server_.connection_limits();
  CheckRange(limits.max_per_source(), 0, 1'000'000, "connection_limits.max_per_source");
  CheckRange(limits.max_total(), 0, 1'000'000, "connection_limits.max_total");
  CheckRange(limits.max_new_per_source_per_minute(), 0, 1'000'000, "connection_limits.max_new_per_source_per_minute");
}

void Judge::DefaultRoute() {
  v1::Route* route = server_.mutable_delivery()->mutable_default_route();
  const std::string field = "delivery.default_route";
  if (route->domains_size() > 0) Add(StrCat(field, ".domains"), "must be empty: the default route takes all others");
  if (CheckCount(route->next_hops_size(), kMaxNextHops, StrCat(field, ".next_hops"))) {
    for (int i = 0; i < route->next_hops_size(); ++i) {
      v1::NextHop* hop = route->mutable_next_hops(i);
      const std::string at = StrCat(field, ".next_hops[", i, "]");
      if (absl::StatusOr<std::string> address = CanonicalAddress(hop->host()); address.ok()) {
        hop->set_host(*std::move(address));
      } else {
        CheckDomain(hop->mutable_host(), StrCat(at, ".host"));
      }
      CheckRange(hop->port(), 1, 65'535, StrCat(at, ".port"));
    }
  }
  v1::UpstreamTls* tls = route->mutable_tls();
  if (tls->mode() == v1::UpstreamTls::REQUIRED || !tls->ca_bundle_pem().empty())
    CheckPem(tls->ca_bundle_pem(), StrCat(field, ".tls.ca_bundle_pem"));
  if (!tls->server_name().empty()) CheckDomain(tls->mutable_server_name(), StrCat(field, ".tls.server_name"));
  NotEnforced(route->has_authentication() &&
                  (!route->authentication().user().empty() || !route->authentication().password().empty()),
              StrCat(field, ".authentication"));
  // A secret has no place in what is stored and shown.
  route->clear_authentication();
}

void Judge::Timeouts() {
  const v1::DeliveryTimeouts& timeouts = server_.delivery().timeouts();
  using std::chrono::seconds;
  CheckDuration(timeouts.connect(), milliseconds(100), seconds(60), "delivery.timeouts.connect");
  CheckDuration(timeouts.greeting(), seconds(1), seconds(240), "delivery.timeouts.greeting");
  CheckDuration(timeouts.command(), seconds(1), seconds(240), "delivery.timeouts.command");
  CheckDuration(timeouts.opening(), seconds(1), seconds(270), "delivery.timeouts.opening");
  CheckDuration(timeouts.data(), seconds(1), seconds(110), "delivery.timeouts.data");
  CheckDuration(timeouts.block(), seconds(1), seconds(170), "delivery.timeouts.block");
  CheckDuration(timeouts.final(), seconds(1), seconds(570), "delivery.timeouts.final");
}

void Judge::CheckDnsServers() {
  v1::Delivery* delivery = server_.mutable_delivery();
  if (!CheckCount(delivery->dns_servers_size(), kMaxDnsServers, "delivery.dns_servers")) return;
  constexpr uint16_t kDnsPort = 53;
  std::set<base::Endpoint> seen;
  for (int i = 0; i < delivery->dns_servers_size(); ++i) {
    const std::string& server = delivery->dns_servers(i);
    const std::string at = StrCat("delivery.dns_servers[", i, "]");
    const absl::StatusOr<base::IpAddress> address = base::IpAddress::Parse(server);
    const absl::StatusOr<base::Endpoint> endpoint = base::Endpoint::Parse(server);
    if (!address.ok() && (!endpoint.ok() || endpoint->port == 0)) {
      Add(at, "must be an address, or an address and a port: 192.0.2.53:5353");
    } else if (!seen.insert(address.ok() ? base::Endpoint{*address, kDnsPort} : *endpoint).second) {
      Add(at, "is in the list already");
    } else {
      delivery->set_dns_servers(i, address.ok() ? address->ToString() : endpoint->ToString());
    }
  }
}

void Judge::Delivery() {
  v1::Delivery* delivery = server_.mutable_delivery();
  DefaultRoute();
  Timeouts();
  NotEnforced(delivery->routes_size() > 0, "delivery.routes");
  delivery->clear_routes();
  NotEnforced(delivery->attempt_direct_delivery(), "delivery.attempt_direct_delivery");
  if (!delivery->ehlo_name().empty()) CheckDomain(delivery->mutable_ehlo_name(), "delivery.ehlo_name");
  if (!delivery->masquerade_domain().empty())
    CheckDomain(delivery->mutable_masquerade_domain(), "delivery.masquerade_domain");
  CheckDnsServers();
  NotEnforced(delivery->max_connections() != 0, "delivery.max_connections");
  NotEnforced(delivery->max_connections_per_next_hop() != 0, "delivery.max_connections_per_next_hop");
}

void Judge::Lookups() {
  using std::chrono::seconds;
  CheckDuration(server_.reverse_lookup().timeout(), milliseconds(100), seconds(30), "reverse_lookup.timeout");
  v1::Filters* filters = server_.mutable_filters();
  CheckDuration(filters->timeout(), milliseconds(100), seconds(30), "filters.timeout");
  if (!CheckCount(filters->block_lists_size(), kMaxBlockLists, "filters.block_lists")) return;
  std::set<std::string> seen;
  for (int i = 0; i < filters->block_lists_size(); ++i) {
    v1::BlockList* list = filters->mutable_block_lists(i);
    const std::string at = StrCat("filters.block_lists[", i, "]");
    CheckDomain(list->mutable_zone(), StrCat(at, ".zone"));
    if (!seen.insert(list->zone()).second) Add(StrCat(at, ".zone"), "is in the list already");
    if (!CheckCount(list->answers_size(), kMaxBlockListAnswers, StrCat(at, ".answers"))) continue;
    for (int j = 0; j < list->answers_size(); ++j) {
      const absl::StatusOr<base::IpAddress> answer = base::IpAddress::Parse(list->answers(j));
      if (!answer.ok() || !answer->is_v4() || !answer->IsLoopback())
        Add(StrCat(at, ".answers[", j, "]"), "must be an address within 127.0.0.0/8");
    }
  }
}

void Judge::CheckPermission(const v1::Permission& permission, std::string_view field) {
  const std::string list = StrCat(field, ".principals");
  if (!CheckCount(permission.principals_size(), kMaxListEntries, list)) return;
  std::set<std::string_view> seen;
  for (int i = 0; i < permission.principals_size(); ++i) {
    const std::string& principal = permission.principals(i);
    if (!IsResourceName(principal, "users/") && !IsResourceName(principal, "groups/"))
      Add(StrCat(list, "[", i, "]"), "must be `users/{id}` or `groups/{id}`");
    if (!seen.insert(principal).second) Add(StrCat(list, "[", i, "]"), "is in the list already");
  }
}

void Judge::WholesAndSize() {
  if (server_.ByteSizeLong() > kMaxVirtualServerOctets)
    violations_.Add("virtual_server", StrCat("is larger than ", kMaxVirtualServerOctets, " octets"));
}

void Judge::Run() {
  defaults_.set_name(server_.name());
  FillDefaults(&defaults_);
  General();
  Certificates();
  Listeners();
  ConnectionControl();
  Authentication();
  Tls();
  Relay();
  SessionLimits();
  MessageLimits();
  ConnectionLimits();
  Delivery();
  Lookups();
  WholesAndSize();
}

void RefuseUnknownIn(const Message& message, const FieldDescriptor* field, int index, const std::string& path,
                     Violations* violations) {
  const Reflection* reflection = message.GetReflection();
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    RefuseUnknown(index < 0 ? reflection->GetMessage(message, field) : reflection->GetRepeatedMessage(message, field, index),
                  path, violations);
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    const int value = index < 0 ? reflection->GetEnumValue(message, field)
                                : reflection->GetRepeatedEnumValue(message, field, index);
    if (field->enum_type()->FindValueByNumber(value) == nullptr)
      violations->Add(path, StrCat("has the value ", value, ", which this release does not know"));
  }
}

}  // namespace

void RefuseUnknown(const Message& message, const std::string& path, Violations* violations) {
  const Reflection* reflection = message.GetReflection();
  const auto& unknown = reflection->GetUnknownFields(message);
  if (unknown.field_count() > 0)
    violations->Add(path, StrCat("has field number ", unknown.field(0).number(), ", which this release does not know"));
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string at = path.empty() ? field->name() : StrCat(path, ".", field->name());
    if (!field->is_repeated()) {
      RefuseUnknownIn(message, field, -1, at, violations);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i)
      RefuseUnknownIn(message, field, i, StrCat(at, "[", i, "]"), violations);
  }
}

void CheckText(std::string_view text, size_t max_characters, const std::string& path, Violations* violations) {
  if (Characters(text) > max_characters) violations->Add(path, StrCat("is longer than ", max_characters, " characters"));
  if (HasControl(text)) violations->Add(path, "holds a control character");
}

bool IsResourceId(std::string_view id) {
  if (id.empty() || id.size() > 63 || !IsLower(id.front()) || id.back() == '-') return false;
  return std::all_of(id.begin(), id.end(), [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
}

bool IsResourceName(std::string_view name, std::string_view collection) {
  return name.starts_with(collection) && IsResourceId(name.substr(collection.size()));
}

void NormalizeAndValidate(v1::VirtualServer* server, Violations* violations, const HostAnswers& hosts) {
  RefuseUnknown(*server, "virtual_server", violations);
  FillDefaults(server);
  Judge(server, hosts, violations).Run();
}

namespace {

// The names of a certificate that is to be made.
void NormalizeNames(google::protobuf::RepeatedPtrField<std::string>* names, const std::string& field, Violations* violations) {
  if (names->empty()) violations->Add(field, "must hold a name");
  if (names->size() > kMaxSelfSignedNames) violations->Add(field, StrCat("may hold ", kMaxSelfSignedNames, " names"));
  for (int i = 0; i < std::min(names->size(), kMaxSelfSignedNames); ++i) {
    absl::StatusOr<std::string> canonical = CanonicalDomain(names->Get(i));
    if (canonical.ok()) {
      *names->Mutable(i) = *std::move(canonical);
    } else {
      violations->Add(StrCat(field, "[", i, "]"), base::FromAbsl(canonical.status().message()));
    }
  }
}

}  // namespace

void ValidateCertificate(v1::Certificate* certificate, bool exists, Violations* violations) {
  RefuseUnknown(*certificate, "certificate", violations);
  CheckText(certificate->display_name(), kMaxDisplayNameCharacters, "certificate.display_name", violations);
  if (!certificate->has_self_signed()) {
    const bool waits = certificate->has_signing_request() && certificate->private_key_pem().empty();
    if (certificate->certificate_chain_pem().empty() && !waits)
      violations->Add("certificate.certificate_chain_pem", "must be set, or self_signed");
    if (certificate->certificate_chain_pem().size() > kMaxChainOctets)
      violations->Add("certificate.certificate_chain_pem", StrCat("is larger than ", kMaxChainOctets, " octets"));
    if (certificate->private_key_pem().empty() && !exists) violations->Add("certificate.private_key_pem", "must be set");
    if (certificate->private_key_pem().size() > kMaxKeyOctets)
      violations->Add("certificate.private_key_pem", StrCat("is larger than ", kMaxKeyOctets, " octets"));
    return;
  }
  if (!certificate->private_key_pem().empty())
    violations->Add("certificate.private_key_pem", "excludes self_signed: the service makes the key");
  v1::SelfSigned* spec = certificate->mutable_self_signed();
  if (!spec->has_valid_days()) spec->set_valid_days(kDefaultSelfSignedDays);
  if (spec->key_type() == v1::Certificate::KEY_TYPE_UNSPECIFIED) spec->set_key_type(v1::Certificate::ECDSA_P256);
  NormalizeNames(spec->mutable_dns_names(), "certificate.self_signed.dns_names", violations);
  if (spec->valid_days() < 1 || spec->valid_days() > kMaxSelfSignedDays)
    violations->Add("certificate.self_signed.valid_days", StrCat("must be from 1 to ", kMaxSelfSignedDays));
  if (spec->key_type() != v1::Certificate::ECDSA_P256 && spec->key_type() != v1::Certificate::RSA)
    violations->Add("certificate.self_signed.key_type", "must be ECDSA_P256 or RSA");
}

void NormalizeAndValidate(v1::SigningRequest* request, Violations* violations) {
  NormalizeNames(request->mutable_dns_names(), "dns_names", violations);
  if (request->key_type() == v1::Certificate::KEY_TYPE_UNSPECIFIED) request->set_key_type(v1::Certificate::ECDSA_P256);
  if (request->key_type() != v1::Certificate::ECDSA_P256 && request->key_type() != v1::Certificate::RSA)
    violations->Add("key_type", "must be ECDSA_P256 or RSA");
  const v1::Subject& subject = request->subject();
  CheckText(subject.organization(), kMaxOrganizationCharacters, "subject.organization", violations);
  CheckText(subject.organizational_unit(), kMaxOrganizationCharacters, "subject.organizational_unit", violations);
  CheckText(subject.locality(), kMaxPlaceCharacters, "subject.locality", violations);
  CheckText(subject.state_or_province(), kMaxPlaceCharacters, "subject.state_or_province", violations);
  const std::string& country = subject.country();
  if (!country.empty() && (country.size() != 2 || !std::all_of(country.begin(), country.end(), [](char c) { return c >= 'A' && c <= 'Z'; })))
    violations->Add("subject.country", "must be two capital letters");
}

}  // namespace gatepost::config
