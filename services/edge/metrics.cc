#include "services/edge/metrics.h"

#include <array>

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

std::string_view MechanismLabel(std::string_view mechanism) {
  static constexpr std::array<std::string_view, 9> kKnown = {
      "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "GSSAPI", "NTLM", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"};
  for (const std::string_view known : kKnown) {
    if (mechanism == known) return known;
  }
  return "other";
}

}  // namespace gatepost::edge
