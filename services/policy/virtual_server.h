// The domain form of one virtual server: what the edge enforces, as plain values with the defaults of a new one. Made from the
// API's VirtualServer by each program's translation; compiled by snapshot.h. Every figure is one of limits.md.
// Names of domains are lower-case A-labels throughout; making them so is the translation's job.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "services/base/clock.h"
#include "services/base/ip_address.h"

namespace gatepost::policy {

using base::Duration;

enum class ServerState : uint8_t { kStarted, kStopped, kPaused };

// Whose wording replies follow (protocol.md 1).
enum class Dialect : uint8_t { kRfc, kExchange };

enum class ListMode : uint8_t {
  kAllExcept,  // everybody but the list
  kOnlyList,   // nobody but the list
};

enum class TlsMode : uint8_t { kNone, kStartTls, kImplicit };
enum class TlsVersion : uint8_t { kTls12, kTls13 };

// The PROXY protocol of a load balancer: the header is required, and believed of these peers alone.
struct ProxyProtocol {
  bool required = false;
  std::vector<base::IpPrefix> trusted;
  friend bool operator==(const ProxyProtocol&, const ProxyProtocol&) = default;
};

struct Listener {
  base::IpAddress address;
  uint16_t port = 0;
  TlsMode tls_mode = TlsMode::kStartTls;
  ProxyProtocol proxy;
  friend bool operator==(const Listener&, const Listener&) = default;
};

// Clients whose confirmed name is this domain, or below it.
struct ClientDomain {
  std::string domain;
};

// One entry of a list of clients: an address is a prefix of all its bits.
using ClientEntry = std::variant<base::IpPrefix, base::IpRange, ClientDomain>;

struct ClientList {
  ListMode mode = ListMode::kAllExcept;
  std::vector<ClientEntry> entries;
};

// What becomes of a decision whose lookup fails (SERVFAIL, time-out); a name that does not exist is no failure.
enum class OnLookupFailure : uint8_t {
  kTempfail,  // the client is asked to come again
  kAllow,     // as though the lookup stood in nobody's way; never grants relaying
  kDeny,      // as though the client were refused by name
};

// The reverse lookups that domain entries need, confirmed forward (RFC 8601 2.7.3).
struct ReverseLookup {
  // Of all lookups of one decision together.
  Duration timeout = std::chrono::seconds(3);
  OnLookupFailure on_lookup_failure = OnLookupFailure::kTempfail;
  // The confirmed name is written into Received; it decides nothing.
  bool annotate_received = false;
};

// A DNS block list (RFC 5782).
struct BlockList {
  std::string zone;
  // The answers that mean "listed"; empty: all of 127.0.0.0/8.
  std::vector<base::IpAddress> answers;
};

// For anonymous senders, at RCPT.
struct Filters {
  std::vector<BlockList> block_lists;
  Duration timeout = std::chrono::seconds(3);
  OnLookupFailure on_lookup_failure = OnLookupFailure::kAllow;
};

// Which of those who authenticated may: `users/{id}` and `groups/{id}`.
struct Permission {
  ListMode mode = ListMode::kAllExcept;
  std::vector<std::string> principals;
};

// How strictly an exchange is bound to its TLS connection.
enum class ChannelBinding : uint8_t { kOff, kWhenSupported, kRequired };

// Whose users a Kerberos realm's are.
struct Realm {
  std::string realm;
  std::string domain;
};

// Which reverse-paths an authenticated client may use.
enum class SendAs : uint8_t { kAnyAddress, kOwnAddresses };

struct DomainEntry {
  std::string domain;
  bool include_subdomains = false;
};

struct Authentication {
  bool anonymous = false;
  // PLAIN and LOGIN.
  bool basic = true;
  // DANGER: PLAIN, LOGIN, SCRAM and tokens without TLS.
  bool allow_clear_text_credentials = false;
  // GSSAPI, and NTLM where `ntlm`.
  bool integrated = true;
  bool integrated_requires_tls = true;
  bool ntlm = true;
  // The neutral name in the CHALLENGE.
  std::string ntlm_target_name = "GATEPOST";
  bool ntlm_require_mic = false;
  ChannelBinding ntlm_binding = ChannelBinding::kWhenSupported;
  ChannelBinding gssapi_binding = ChannelBinding::kOff;
  std::vector<Realm> realms;
  // SCRAM-SHA-256, SCRAM-SHA-256-PLUS.
  bool scram = true;
  // OAUTHBEARER, XOAUTH2.
  bool token = false;
  // Names that the auth service knows; empty: all of them.
  std::vector<std::string> token_issuers;
  // EXTERNAL.
  bool external = false;
  // Appended to login names without '@'; empty: none.
  std::string default_domain;
  // EHLO also has the line `AUTH=LOGIN ...`.
  bool legacy_auth_line = false;
  Permission submit;
  SendAs send_as = SendAs::kAnyAddress;
};

// What a name (SNI) gets that no certificate of the virtual server has.
enum class UnknownName : uint8_t { kServeDefault, kRefuse };

struct ClientCertificates {
  enum class Mode : uint8_t { kNotRequested, kRequested, kMandatory };
  Mode mode = Mode::kNotRequested;
  // Who issues them.
  std::string ca_bundle_pem;
  // SHA-256 of refused ones, lower-case hexadecimal.
  std::vector<std::string> refused_fingerprints;
};

struct TlsPolicy {
  // Nothing but EHLO, HELO, STARTTLS, NOOP, RSET, HELP, QUIT before TLS.
  bool require_secure_channel = false;
  TlsVersion min_version = TlsVersion::kTls12;
  // 128 or 256.
  int min_cipher_bits = 128;
  UnknownName unknown_name = UnknownName::kServeDefault;
  ClientCertificates client_certificates;
};

struct Relay {
  ClientList list{ListMode::kOnlyList, {}};
  // Whatever the list says: an OR.
  bool authenticated_may_relay = true;
  // Which of them.
  Permission authenticated;
};

struct Limits {
  // Octets of one message; 0: none.
  uint64_t message_size = 37'748'736;
  // Octets of all messages of a session; 0: none.
  uint64_t session_size = 0;
  int recipients = 1'000;
  // Messages of a session; 0: none.
  uint64_t messages = 0;
  int hops = 100;
  // 500, 501, 502, 503, 504, 555 in a session; the next one ends it.
  int protocol_errors = 20;
  int refused_recipients = 100;
  // 452 beyond `recipients`.
  int excess_recipients = 1'000;
  int auth_failures = 3;
  Duration auth_failure_delay = std::chrono::seconds(1);
  Duration auth_failure_jitter = std::chrono::seconds(1);
  Duration max_auth_failure_delay = std::chrono::seconds(5);
  Duration idle_timeout = std::chrono::minutes(10);
  Duration data_timeout = std::chrono::minutes(5);
  // Octets a second, on average over any data_timeout; 0: none.
  uint32_t min_data_rate = 100;
  Duration session_duration = std::chrono::hours(24);
  // At once from one source (/32, /64), 0: none.
  uint32_t connections_per_source = 50;
  // At once, 0: none.
  uint32_t connections = 0;
  // New ones from one source (/32, /64) within a minute, 0: none.
  uint32_t new_connections_per_minute = 0;
  // Silence before the greeting; who talks in it is refused.
  Duration banner_delay = Duration::zero();
};

struct NextHop {
  std::string host;  // a name or an address
  uint16_t port = 25;
  friend auto operator<=>(const NextHop&, const NextHop&) = default;
};

enum class UpstreamTlsMode : uint8_t { kOff, kRequired };

struct UpstreamTls {
  UpstreamTlsMode mode = UpstreamTlsMode::kOff;
  std::string ca_bundle_pem;
  // Empty: the next hop's host.
  std::string server_name;
};

// RFC 5321 4.5.3.2, each shorter than what our own client waits.
struct DeliveryTimeouts {
  Duration connect = std::chrono::seconds(5);
  Duration greeting = std::chrono::seconds(30);
  Duration command = std::chrono::minutes(2);
  // All of it, up to the first RCPT's answer.
  Duration opening = std::chrono::minutes(4);
  Duration data = std::chrono::seconds(90);
  Duration block = std::chrono::minutes(2);
  // From the octet at which our client's last was read.
  Duration final = std::chrono::minutes(9);
};

// Whose client a next hop is told about.
enum class ClientIdentity : uint8_t { kNotSent, kXclient, kProxyV2 };

struct Delivery {
  std::vector<NextHop> next_hops;
  UpstreamTls tls;
  // Said to next hops in EHLO; empty: the virtual server's fqdn.
  std::string ehlo_name;
  ClientIdentity client_identity = ClientIdentity::kNotSent;
  // Takes the place of a local domain in the reverse-path; empty: none.
  std::string masquerade_domain;
  // Whom to ask for next hops' addresses; empty: the system's servers.
  std::vector<base::Endpoint> dns_servers;
  DeliveryTimeouts timeouts;
};

enum class LogAddresses : uint8_t { kFull, kDomain, kNone };

struct VirtualServer {
  std::string id;
  // The store's revision of the resource that it was made from: the version of its policy, for logs.
  int64_t revision = 0;
  std::string fqdn;
  std::string banner_text = "ESMTP Gatepost";
  ServerState state = ServerState::kStarted;
  Dialect dialect = Dialect::kRfc;
  std::vector<Listener> listeners;
  // Names of certificates, the default one first.
  std::vector<std::string> certificates;
  std::vector<DomainEntry> local_domains;
  ClientList connection_control;
  ReverseLookup reverse_lookup;
  Authentication authentication;
  TlsPolicy tls;
  Relay relay;
  Limits limits;
  Delivery delivery;
  Filters filters;
  bool protocol_log = false;
  LogAddresses log_addresses = LogAddresses::kFull;
};

}  // namespace gatepost::policy
