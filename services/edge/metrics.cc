#include "services/edge/metrics.h"

#include <array>
#include <chrono>
#include <vector>

namespace gatepost::edge {

std::string_view EndName(smtp::SessionEnd end) {
  switch (end) {
    case smtp::SessionEnd::kQuit:
      return "quit";
    case smtp::SessionEnd::kPeerClosed:
      return "peer_closed";
    case smtp::SessionEnd::kTimedOut:
      return "timed_out";
    case smtp::SessionEnd::kRefused:
      return "refused";
    case smtp::SessionEnd::kProtocolError:
      return "protocol_error";
    case smtp::SessionEnd::kLimit:
      return "limit";
    case smtp::SessionEnd::kClosing:
      return "closing";
    case smtp::SessionEnd::kRevoked:
      return "revoked";
    case smtp::SessionEnd::kTlsFailed:
      return "tls_failed";
  }
  return "other";
}

std::string_view OutcomeName(smtp::AuthOutcome outcome) {
  switch (outcome) {
    case smtp::AuthOutcome::kSuccess:
      return "success";
    case smtp::AuthOutcome::kFailure:
      return "failure";
    case smtp::AuthOutcome::kUnavailable:
      return "unavailable";
    case smtp::AuthOutcome::kCancelled:
      return "cancelled";
    case smtp::AuthOutcome::kMalformed:
      return "malformed";
  }
  return "other";
}

std::string_view KindName(smtp::UpstreamOutcome::Kind kind) {
  using Kind = smtp::UpstreamOutcome::Kind;
  switch (kind) {
    case Kind::kAccepted:
      return "accepted";
    case Kind::kRefused:
      return "refused";
    case Kind::kUnreachable:
      return "unreachable";
    case Kind::kRefusedUs:
      return "refused_us";
    case Kind::kTlsNotOffered:
      return "tls_not_offered";
    case Kind::kTlsFailed:
      return "tls_failed";
    case Kind::kNoConnection:
      return "no_connection";
    case Kind::kLost:
      return "lost";
    case Kind::kOutOfStep:
      return "out_of_step";
    case Kind::kInDoubt:
      return "in_doubt";
    case Kind::kCannotCarry:
      return "cannot_carry";
    case Kind::kNotInternational:
      return "not_international";
    case Kind::kLacksExtension:
      return "lacks_extension";
  }
  return "unknown";
}

std::string_view OutcomeName(ProxyOutcome outcome) {
  switch (outcome) {
    case ProxyOutcome::kAccepted:
      return "accepted";
    case ProxyOutcome::kUntrusted:
      return "untrusted";
    case ProxyOutcome::kMalformed:
      return "malformed";
    case ProxyOutcome::kTimedOut:
      return "timed_out";
    case ProxyOutcome::kClosed:
      return "closed";
    case ProxyOutcome::kNoPlace:
      return "no_place";
  }
  return "unknown";
}

std::string_view KindName(DnsLookupKind kind) {
  switch (kind) {
    case DnsLookupKind::kPtr:
      return "ptr";
    case DnsLookupKind::kAddress:
      return "address";
    case DnsLookupKind::kBlockList:
      return "block_list";
  }
  return "unknown";
}

std::string_view ResultName(DnsLookupResult result) {
  switch (result) {
    case DnsLookupResult::kHit:
      return "hit";
    case DnsLookupResult::kAnswered:
      return "answered";
    case DnsLookupResult::kNone:
      return "none";
    case DnsLookupResult::kFailed:
      return "failed";
    case DnsLookupResult::kTimedOut:
      return "timed_out";
  }
  return "unknown";
}

namespace {

// The last one stands for all others.
template <size_t N>
size_t IndexIn(const std::array<std::string_view, N>& labels, std::string_view label) {
  size_t i = 0;
  while (i + 1 < N && labels[i] != label) ++i;
  return i;
}

size_t MechanismIndex(std::string_view mechanism) { return IndexIn(kMechanismLabels, mechanism); }

double Seconds(base::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

std::string_view MechanismLabel(std::string_view mechanism) { return kMechanismLabels[MechanismIndex(mechanism)]; }

ServerMetrics::ServerMetrics(metrics::Registry& registry, const std::string& id) {
  static constexpr std::array<std::string_view, kClasses> kClassNames = {"none", "2yz", "3yz", "4yz", "5yz"};
  const auto text = [](std::string_view view) { return std::string(view); };
  const std::vector<double> seconds = metrics::DurationBuckets();

  open_sessions_ = registry.AddGauge("gatepost_edge_open_sessions", "Sessions now", {{"virtual_server", id}});
  for (size_t end = 0; end < kEnds; ++end) {
    const std::string name = end + 1 < kEnds ? text(EndName(static_cast<smtp::SessionEnd>(end))) : "aborted";
    sessions_[end] = registry.AddCounter("gatepost_edge_sessions_total", "Sessions that ended, by how",
                                         {{"virtual_server", id}, {"end", name}});
  }
  session_seconds_ =
      registry.AddHistogram("gatepost_edge_session_seconds", "Length of a session", seconds, {{"virtual_server", id}});
  for (size_t verb = 0; verb < kVerbs; ++verb) {
    const std::string name = text(smtp::VerbName(static_cast<smtp::Verb>(verb)));
    for (size_t reply = 0; reply < kClasses; ++reply) {
      commands_[verb][reply] =
          registry.AddCounter("gatepost_edge_commands_total", "Commands, by verb and class of the reply",
                              {{"virtual_server", id}, {"verb", name}, {"reply", text(kClassNames[reply])}});
    }
  }
  for (size_t reason = 0; reason < verdicts_.size(); ++reason) {
    verdicts_[reason] = registry.AddCounter(
        "gatepost_edge_verdicts_total", "Policy's verdicts, by reason",
        {{"virtual_server", id}, {"reason", text(policy::ReasonName(static_cast<policy::Reason>(reason)))}});
  }
  for (size_t mechanism = 0; mechanism < kMechanismLabels.size(); ++mechanism) {
    for (size_t outcome = 0; outcome < kOutcomes; ++outcome) {
      auths_[mechanism][outcome] =
          registry.AddCounter("gatepost_edge_auth_total", "AUTH, by mechanism and outcome",
                              {{"virtual_server", id},
                               {"mechanism", text(kMechanismLabels[mechanism])},
                               {"outcome", text(OutcomeName(static_cast<smtp::AuthOutcome>(outcome)))}});
    }
  }
  auth_seconds_ = registry.AddHistogram("gatepost_edge_auth_seconds", "From an AUTH to the auth service's first answer",
                                        seconds, {{"virtual_server", id}});
  for (size_t version = 0; version < tls_.size(); ++version) {
    for (size_t resumed = 0; resumed < 2; ++resumed) {
      tls_[version][resumed] =
          registry.AddCounter("gatepost_edge_tls_handshakes_total", "TLS handshakes, by version and result",
                              {{"virtual_server", id},
                               {"version", version == 0 ? "TLS1.2" : "TLS1.3"},
                               {"result", resumed == 0 ? "full" : "resumed"}});
    }
  }
  tls_failed_ = registry.AddCounter("gatepost_edge_tls_handshakes_total", "TLS handshakes, by version and result",
                                    {{"virtual_server", id}, {"version", "none"}, {"result", "failed"}});
  for (size_t cipher = 0; cipher < kCipherLabels.size(); ++cipher) {
    ciphers_[cipher] = registry.AddCounter("gatepost_edge_tls_ciphers_total", "TLS handshakes that succeeded, by suite",
                                           {{"virtual_server", id}, {"cipher", text(kCipherLabels[cipher])}});
  }
  const auto message = [&](const char* result) {
    return registry.AddCounter("gatepost_edge_messages_total", "Messages, by what became of them",
                               {{"virtual_server", id}, {"result", result}});
  };
  messages_accepted_ = message("accepted");
  messages_refused_ = message("refused");
  messages_failed_ = message("failed");
  messages_given_up_ = message("given_up");
  in_doubt_ = registry.AddCounter("gatepost_edge_in_doubt_total",
                                  "Messages of which the next hop was lost after the dot", {{"virtual_server", id}});
  message_octets_ =
      registry.AddCounter("gatepost_edge_message_bytes_total", "Octets of accepted messages", {{"virtual_server", id}});
  recipients_ = registry.AddCounter("gatepost_edge_recipients_total", "Recipients of accepted messages",
                                    {{"virtual_server", id}});
  for (size_t kind = 0; kind < kUpstreamKinds; ++kind) {
    upstream_connects_[kind] = registry.AddCounter(
        "gatepost_edge_upstream_connects_total", "Attempts to open a connection to a next hop, by outcome",
        {{"virtual_server", id}, {"outcome", text(KindName(static_cast<smtp::UpstreamOutcome::Kind>(kind)))}});
  }
  upstream_connect_seconds_ =
      registry.AddHistogram("gatepost_edge_upstream_connect_seconds", "Until a next hop is ready for MAIL", seconds,
                            {{"virtual_server", id}});
  upstream_open_ = registry.AddGauge("gatepost_edge_upstream_open_connections",
                                     "Connections to next hops that sessions hold now", {{"virtual_server", id}});
  for (const bool good : {false, true}) {
    upstream_reused_[good ? 1 : 0] =
        registry.AddCounter("gatepost_edge_upstream_reused_total",
                            "Connections that a session had left for the next one, by what became of it",
                            {{"virtual_server", id}, {"outcome", good ? "taken_over" : "replaced"}});
  }
  upstream_misconfigured_ =
      registry.AddCounter("gatepost_edge_upstream_misconfigured_total",
                          "Replies of next hops that blame us (530, 504, ...)", {{"virtual_server", id}});
  end_of_data_seconds_ = registry.AddHistogram(
      "gatepost_edge_end_of_data_seconds", "From our dot to the next hop's answer", seconds, {{"virtual_server", id}});
  for (size_t kind = 0; kind < kDnsKinds; ++kind) {
    for (size_t result = 0; result < kDnsResults; ++result) {
      dns_lookups_[kind][result] =
          registry.AddCounter("gatepost_edge_dns_lookups_total", "Questions to DNS for policy, by result; hit: known",
                              {{"virtual_server", id},
                               {"kind", text(KindName(static_cast<DnsLookupKind>(kind)))},
                               {"result", text(ResultName(static_cast<DnsLookupResult>(result)))}});
    }
  }
  for (size_t outcome = 0; outcome < kProxyOutcomes; ++outcome) {
    proxy_headers_[outcome] = registry.AddCounter(
        "gatepost_edge_proxy_headers_total", "Connections that begin with a PROXY header, by outcome",
        {{"virtual_server", id}, {"outcome", text(OutcomeName(static_cast<ProxyOutcome>(outcome)))}});
  }
  dns_lookup_seconds_ =
      registry.AddHistogram("gatepost_edge_dns_lookup_seconds", "What a client waited for the look-ups of one decision",
                            seconds, {{"virtual_server", id}});
}

void ServerMetrics::SessionClosed(std::optional<smtp::SessionEnd> end, base::Duration took) const {
  open_sessions_.Add(-1);
  sessions_[end ? static_cast<size_t>(*end) : kEnds - 1].Increment();
  session_seconds_.Observe(Seconds(took));
}

void ServerMetrics::Auth(std::string_view mechanism, smtp::AuthOutcome outcome) const {
  auths_[MechanismIndex(mechanism)][static_cast<size_t>(outcome)].Increment();
}

void ServerMetrics::AuthAnswer(base::Duration took) const { auth_seconds_.Observe(Seconds(took)); }

void ServerMetrics::TlsEstablished(const policy::TlsFacts& tls) const {
  tls_[tls.version == policy::TlsVersion::kTls13 ? 1 : 0][tls.resumed ? 1 : 0].Increment();
  ciphers_[IndexIn(kCipherLabels, tls.cipher)].Increment();
}

void ServerMetrics::Message(const smtp::MessageResult& result) const {
  if (result.in_doubt) in_doubt_.Increment();
  if (result.accepted) {
    messages_accepted_.Increment();
    message_octets_.Increment(static_cast<double>(result.octets));
    recipients_.Increment(result.recipients);
  } else if (result.code == 0) {
    messages_given_up_.Increment();
  } else if (result.code < 500) {
    messages_failed_.Increment();
  } else {
    messages_refused_.Increment();
  }
}

void ServerMetrics::UpstreamConnect(const smtp::UpstreamOutcome& outcome, base::Duration took) const {
  upstream_connects_[static_cast<size_t>(outcome.kind)].Increment();
  if (outcome.accepted()) upstream_connect_seconds_.Observe(Seconds(took));
}

void ServerMetrics::EndOfData(const smtp::UpstreamOutcome& /*outcome*/, base::Duration took) const {
  end_of_data_seconds_.Observe(Seconds(took));
}

void ServerMetrics::DnsLookupTook(base::Duration took) const { dns_lookup_seconds_.Observe(Seconds(took)); }

void CertificateExpiry::Show(const std::map<Key, int64_t>& served) {
  for (const auto& [key, gauge] : gauges_) {
    if (!served.contains(key)) gauge.Set(0);
  }
  for (const auto& [key, not_after] : served) {
    auto [it, fresh] = gauges_.try_emplace(key);
    if (fresh) {
      it->second = registry_.AddGauge("gatepost_edge_certificate_expiry_timestamp_seconds",
                                      "When a certificate expires that is served; 0: it no longer is",
                                      {{"virtual_server", key.first}, {"key", key.second}});
    }
    it->second.Set(static_cast<double>(not_after));
  }
}

EdgeMetrics::EdgeMetrics(metrics::Registry& registry)
    : ready(registry.AddGauge("gatepost_edge_ready", "1: a configuration is applied and the edge does not drain")),
      config_connected(registry.AddGauge("gatepost_edge_config_connected", "1: the config service is watched")),
      config_revision(registry.AddGauge("gatepost_edge_config_revision", "The revision that the edge runs on")),
      config_age(registry.AddGauge("gatepost_edge_config_age_seconds",
                                   "Since the config service confirmed the configuration")),
      config_stale(registry.AddGauge("gatepost_edge_config_stale", "1: that was more than 5 minutes ago")),
      config_applied(registry.AddCounter("gatepost_edge_config_units_total", "Units of configuration, by result",
                                         {{"result", "applied"}})),
      config_refused(registry.AddCounter("gatepost_edge_config_units_total", "Units of configuration, by result",
                                         {{"result", "refused"}})),
      config_ignored(registry.AddCounter("gatepost_edge_config_units_total", "Units of configuration, by result",
                                         {{"result", "ignored"}})),
      snapshot_failures(
          registry.AddCounter("gatepost_edge_snapshot_failures_total", "The snapshot could not be written")),
      listeners_open(registry.AddGauge("gatepost_edge_listeners", "Listeners, by state", {{"state", "open"}})),
      listeners_failed(registry.AddGauge("gatepost_edge_listeners", "Listeners, by state", {{"state", "failed"}})),
      auth_streams(registry.AddGauge("gatepost_edge_auth_streams", "Open streams to the auth service")),
      auth_stray_answers(registry.AddCounter("gatepost_edge_auth_stray_answers_total",
                                             "Answers of the auth service to nothing that was asked")),
      auth_circuits_open(registry.AddGauge("gatepost_edge_auth_circuits_open",
                                           "Streams to the auth service that are not asked: answers stayed away")),
      client_connections(registry.AddGauge("gatepost_edge_client_connections", "Connections of clients now")),
      client_connections_limit(
          registry.AddGauge("gatepost_edge_client_connections_limit", "How many there may be; the next hears 421")),
      upstream_connections(
          registry.AddGauge("gatepost_edge_upstream_connections", "Connections to next hops now, idle ones too")),
      upstream_connections_limit(registry.AddGauge("gatepost_edge_upstream_connections_limit",
                                                   "How many there may be; transactions wait for one")),
      log_dropped(registry.AddGauge("gatepost_edge_log_dropped_lines", "Log lines that a slow output has cost")),
      overload_level(registry.AddGauge("gatepost_edge_overload_level",
                                       "For lack of memory 1: new connections are refused, 2: idle sessions end, too")),
      memory_used(registry.AddGauge("gatepost_edge_memory_used_bytes", "What is used of the memory limit")),
      memory_limit(registry.AddGauge("gatepost_edge_memory_limit_bytes",
                                     "The control group's, or --memory-limit; 0: none is known")),
      sessions_shed(registry.AddCounter("gatepost_edge_sessions_shed_total",
                                        "Idle sessions that were ended for lack of memory")) {}

}  // namespace gatepost::edge
