// Every metric of the edge: its name, its help, its labels, once. Labels are closed sets and at most a virtual server's id; never
// an address, a user or a text. Handles are resolved when a virtual server is first served.
//
// Thread rule: everything is thread-safe and takes no lock in a session.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/base/clock.h"
#include "services/policy/verdict.h"
#include "services/policy/virtual_server.h"
#include "services/smtp/session_observer.h"
#include "services/smtp/upstream_outcome.h"

namespace gatepost::edge {

// The names of closed sets, for labels and log lines.
std::string_view EndName(smtp::SessionEnd end);
std::string_view OutcomeName(smtp::AuthOutcome outcome);
// A mechanism of ours, or "other": clients invent names.
std::string_view MechanismLabel(std::string_view mechanism);

// What one virtual server counts.
class ServerMetrics {
 public:
  void SessionOpened() const {}
  void SessionClosed(std::optional<smtp::SessionEnd> end, base::Duration took) const { (void)end; (void)took; }
  void Command(smtp::Verb verb, int code) const { (void)verb; (void)code; }
  void Verdict(policy::Reason reason) const { (void)reason; }
  void Auth(std::string_view mechanism, smtp::AuthOutcome outcome) const { (void)mechanism; (void)outcome; }
  void AuthAnswer(base::Duration took) const { (void)took; }
  void TlsEstablished(policy::TlsVersion version, bool resumed) const { (void)version; (void)resumed; }
  void TlsFailed() const {}
  void Message(const smtp::MessageResult& result) const { (void)result; }
  void UpstreamConnect(const smtp::UpstreamOutcome& outcome, base::Duration took) const { (void)outcome; (void)took; }
  void UpstreamOpen(int change) const { (void)change; }
  void UpstreamMisconfigured() const {}
  void EndOfData(const smtp::UpstreamOutcome& outcome, base::Duration took) const { (void)outcome; (void)took; }
};

}  // namespace gatepost::edge
