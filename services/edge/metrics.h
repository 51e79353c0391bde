// Every metric of the edge: its name, its help, its labels, once. Labels are closed sets and at most a virtual server's
// id; never an address, a user or a text. Handles are resolved when a virtual server is first served.
//
// Thread rule: everything is thread-safe and takes no lock in a session.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "services/base/clock.h"
#include "services/metrics/metrics.h"
#include "services/policy/facts.h"
#include "services/policy/verdict.h"
#include "services/policy/virtual_server.h"
#include "services/smtp/session_observer.h"
#include "services/smtp/upstream_outcome.h"

namespace gatepost::edge {

// The names of closed sets, for labels and log lines.
std::string_view EndName(smtp::SessionEnd end);
std::string_view OutcomeName(smtp::AuthOutcome outcome);
std::string_view KindName(smtp::UpstreamOutcome::Kind kind);
// A mechanism of ours, or "other": clients invent names.
inline constexpr std::array<std::string_view, 10> kMechanismLabels = {
    "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "GSSAPI", "NTLM",  "EXTERNAL",
    "OAUTHBEARER",        "XOAUTH2",       "PLAIN",  "LOGIN", "other"};
std::string_view MechanismLabel(std::string_view mechanism);

// What DNS was asked for policy's sake, and what came of it.
enum class DnsLookupKind : uint8_t { kPtr, kAddress, kBlockList };
enum class DnsLookupResult : uint8_t { kHit, kAnswered, kNone, kFailed, kTimedOut };
std::string_view KindName(DnsLookupKind kind);
std::string_view ResultName(DnsLookupResult result);

// A suite that TLS is done with, or "other".
inline constexpr std::array<std::string_view, 10> kCipherLabels = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "other"};

// What became of a connection that has to begin with a PROXY header.
enum class ProxyOutcome : uint8_t { kAccepted, kUntrusted, kMalformed, kTimedOut, kClosed, kNoPlace };
std::string_view OutcomeName(ProxyOutcome outcome);

// What one virtual server counts.
class ServerMetrics {
 public:
  ServerMetrics(metrics::Registry& registry, const std::string& id);

  void SessionOpened() const { open_sessions_.Add(1); }
  void SessionClosed(std::optional<smtp::SessionEnd> end, base::Duration took) const;
  // `code` 0: the connection ended without a reply.
  void Command(smtp::Verb verb, int code) const { commands_[Index(verb)][ClassOf(code)].Increment(); }
  void Verdict(policy::Reason reason) const { verdicts_[static_cast<size_t>(reason)].Increment(); }
  void Auth(std::string_view mechanism, smtp::AuthOutcome outcome) const;
  void AuthAnswer(base::Duration took) const;
  void TlsEstablished(const policy::TlsFacts& tls) const;
  void TlsFailed() const { tls_failed_.Increment(); }
  void Message(const smtp::MessageResult& result) const;
  void UpstreamConnect(const smtp::UpstreamOutcome& outcome, base::Duration took) const;
  void UpstreamOpen(int change) const { upstream_open_.Add(change); }
  // Of a connection that another session left: it took our transaction, or had to be replaced.
  void UpstreamReused(bool good) const { upstream_reused_[good ? 1 : 0].Increment(); }
  void UpstreamMisconfigured() const { upstream_misconfigured_.Increment(); }
  void EndOfData(const smtp::UpstreamOutcome& outcome, base::Duration took) const;
  void DnsLookup(DnsLookupKind kind, DnsLookupResult result) const {
    dns_lookups_[static_cast<size_t>(kind)][static_cast<size_t>(result)].Increment();
  }
  void ProxyHeader(ProxyOutcome outcome) const { proxy_headers_[static_cast<size_t>(outcome)].Increment(); }
  // What a client waited for one decision's look-ups.
  void DnsLookupTook(base::Duration took) const;

 private:
  static constexpr size_t kVerbs = static_cast<size_t>(smtp::Verb::kOther) + 1;
  static constexpr size_t kClasses = 5;                                                   // none, 2yz, 3yz, 4yz, 5yz
  static constexpr size_t kEnds = static_cast<size_t>(smtp::SessionEnd::kTlsFailed) + 2;  // and aborted
  static constexpr size_t kOutcomes = static_cast<size_t>(smtp::AuthOutcome::kMalformed) + 1;
  static constexpr size_t kDnsKinds = static_cast<size_t>(DnsLookupKind::kBlockList) + 1;
  static constexpr size_t kProxyOutcomes = static_cast<size_t>(ProxyOutcome::kNoPlace) + 1;
  static constexpr size_t kDnsResults = static_cast<size_t>(DnsLookupResult::kTimedOut) + 1;
  static constexpr size_t kUpstreamKinds = static_cast<size_t>(smtp::UpstreamOutcome::Kind::kLacksExtension) + 1;

  static size_t Index(smtp::Verb verb) { return static_cast<size_t>(verb); }
  static size_t ClassOf(int code) { return code < 200 || code > 599 ? 0 : static_cast<size_t>(code / 100 - 1); }

  metrics::Gauge open_sessions_;
  std::array<metrics::Counter, kEnds> sessions_;
  metrics::Histogram session_seconds_;
  std::array<std::array<metrics::Counter, kClasses>, kVerbs> commands_;
  std::array<metrics::Counter, policy::kReasons> verdicts_;
  std::array<std::array<metrics::Counter, kOutcomes>, kMechanismLabels.size()> auths_;
  metrics::Histogram auth_seconds_;
  std::array<std::array<metrics::Counter, 2>, 2> tls_;  // version, resumed
  metrics::Counter tls_failed_;
  std::array<metrics::Counter, kCipherLabels.size()> ciphers_;
  metrics::Counter messages_accepted_;
  metrics::Counter messages_refused_;
  metrics::Counter messages_failed_;
  metrics::Counter messages_given_up_;
  metrics::Counter in_doubt_;
  metrics::Counter message_octets_;
  metrics::Counter recipients_;
  std::array<metrics::Counter, kUpstreamKinds> upstream_connects_;
  metrics::Histogram upstream_connect_seconds_;
  metrics::Gauge upstream_open_;
  std::array<metrics::Counter, 2> upstream_reused_;  // replaced, taken over
  metrics::Counter upstream_misconfigured_;
  metrics::Histogram end_of_data_seconds_;
  std::array<std::array<metrics::Counter, kDnsResults>, kDnsKinds> dns_lookups_;
  metrics::Histogram dns_lookup_seconds_;
  std::array<metrics::Counter, kProxyOutcomes> proxy_headers_;
};

// The counters of one virtual server, made when it is first used: ten thousand virtual servers that nobody calls cost
// no series. Thread-safe; the registry outlives it.
class LazyServerMetrics {
 public:
  LazyServerMetrics(metrics::Registry& registry, std::string id) : registry_(registry), id_(std::move(id)) {}
  const ServerMetrics& Get() const {
    std::call_once(once_, [this] { made_ = std::make_unique<ServerMetrics>(registry_, id_); });
    return *made_;
  }

 private:
  metrics::Registry& registry_;
  const std::string id_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<const ServerMetrics> made_;
};

// When the certificates that are served expire. Thread rule: the control thread; the registry outlives it.
class CertificateExpiry {
 public:
  explicit CertificateExpiry(metrics::Registry& registry) : registry_(registry) {}
  // The virtual server's id and the kind of key, "ecdsa" or "rsa": a virtual server has at most one of each.
  using Key = std::pair<std::string, std::string_view>;
  // All that are served now, in seconds since 1970. What was served before and is no more shows 0.
  void Show(const std::map<Key, int64_t>& served);

 private:
  metrics::Registry& registry_;
  std::map<Key, metrics::Gauge> gauges_;
};

// What the edge counts as a whole.
struct EdgeMetrics {
  explicit EdgeMetrics(metrics::Registry& registry);

  metrics::Gauge ready;             // 1: a snapshot is applied and the edge does not drain
  metrics::Gauge config_connected;  // 1: a watch is open
  metrics::Gauge config_revision;
  metrics::Gauge config_age;    // seconds since the service confirmed what we hold
  metrics::Gauge config_stale;  // 1: that is more than 5 min
  metrics::Counter config_applied;
  metrics::Counter config_refused;     // NACK
  metrics::Counter config_ignored;     // a revision that we had left behind
  metrics::Counter snapshot_failures;  // it could not be written
  metrics::Gauge listeners_open;
  metrics::Gauge listeners_failed;
  metrics::Gauge auth_streams;
  metrics::Counter auth_stray_answers;
  metrics::Gauge auth_circuits_open;  // streams that are not asked since answers stay away
  metrics::Gauge client_connections;
  metrics::Gauge client_connections_limit;
  metrics::Gauge upstream_connections;
  metrics::Gauge upstream_connections_limit;
  metrics::Gauge log_dropped;
  metrics::Gauge overload_level;  // 0 none, 1 refusing, 2 shedding
  metrics::Gauge memory_used;     // octets of memory_limit; 0: no limit is known
  metrics::Gauge memory_limit;
  metrics::Counter sessions_shed;
};

}  // namespace gatepost::edge
