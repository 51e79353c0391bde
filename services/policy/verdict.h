// What policy says, and why: a decision, a reason of a closed set (a label, and the key to the reply's text), and the path of the
// field that decided. Turning it into a reply is smtp/verdict_reply's job.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gatepost::policy {

enum class Reason : uint8_t {
  // Admitted, accepted.
  kAllowed,
  // Connection.
  kClientNotPermitted,   // connection control
  kReverseLookupFailed,  // a domain entry needs it; come again (also at RCPT)
  // Encryption, after the handshake.
  kEncryptionTooWeak,
  // AUTH.
  kMechanismUnknown,  // unknown, off, or not servable
  kMechanismNeedsTls,
  // MAIL.
  kSecureChannelRequired,
  kAuthenticationRequired,
  kMayNotSubmit,
  kMayNotSendAs,
  // RCPT.
  kLocalDomain,       // accepted: ours
  kRelayAllowed,      // accepted: this client may relay
  kRelayDenied,
  kRoutedLocalPart,   // % ! @ in the local part of a local domain, from a client that may not relay
  kBlockListed,
  kBlockListsFailed,   // come again
  kBlockListsDenied,   // they cannot be asked, and policy refuses then
  // Anywhere: a figure of the virtual server is reached.
  kLimitReached,
};
inline constexpr int kReasons = 18;

// "allowed", "client_not_permitted", ...: for metrics and logs.
std::string_view ReasonName(Reason reason);

struct Verdict {
  bool accepted = false;
  Reason reason = Reason::kAllowed;
  // The path of the field that decided, as in the API: "connection_control.entries[3]", "relay.authenticated_may_relay".
  std::string rule;
};

// One rule that was looked at, in order.
struct TraceStep {
  std::string rule;
  bool matched = false;
};
using Trace = std::vector<TraceStep>;

}  // namespace gatepost::policy
