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

struct Listener {
  base::IpAddress address;
  uint16_t port = 0;
  TlsMode tls_mode = TlsMode::kStartTls;
  friend bool operator==(const Listener&, const Listener&) = default;
};

// One entry of a list of clients: an address is a prefix of all its bits.
using ClientEntry = std::variant<base::IpPrefix, base::IpRange>;

struct ClientList {
  ListMode mode = ListMode::kAllExcept;
  std::vector<ClientEntry> entries;
};

struct DomainEntry {
  std::string domain;
  bool include_subdomains = false;
};

struct Authentication {
  bool anonymous = false;
  // PLAIN and LOGIN.
  bool basic = true;
  // DANGER: PLAIN and LOGIN without TLS.
  bool allow_clear_text_credentials = false;
  // Appended to login names without '@'; empty: none.
  std::string default_domain;
};

struct TlsPolicy {
  // Nothing but EHLO, HELO, STARTTLS, NOOP, RSET, HELP, QUIT before TLS.
  bool require_secure_channel = false;
  TlsVersion min_version = TlsVersion::kTls12;
};

struct Relay {
  ClientList list{ListMode::kOnlyList, {}};
  // Whatever the list says: an OR.
  bool authenticated_may_relay = true;
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

struct Delivery {
  std::vector<NextHop> next_hops;
  UpstreamTls tls;
  DeliveryTimeouts timeouts;
};

enum class LogAddresses : uint8_t { kFull, kDomain, kNone };

struct VirtualServer {
  std::string id;
  std::string fqdn;
  std::string banner_text = "ESMTP Gatepost";
  ServerState state = ServerState::kStarted;
  Dialect dialect = Dialect::kRfc;
  std::vector<Listener> listeners;
  // Names of certificates, the default one first.
  std::vector<std::string> certificates;
  std::vector<DomainEntry> local_domains;
  ClientList connection_control;
  Authentication authentication;
  TlsPolicy tls;
  Relay relay;
  Limits limits;
  Delivery delivery;
  bool protocol_log = false;
  LogAddresses log_addresses = LogAddresses::kFull;
};

}  // namespace gatepost::policy
