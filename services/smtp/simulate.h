// What would happen to this client, identity, sender, recipients? Drives the machine that serves the wire
// (server_session.h) with facts that are given beforehand, as a mail client would: greeting, EHLO, STARTTLS, EHLO,
// AUTH, MAIL, each RCPT. A refusal ends it, but for that of a recipient, behind which the others are still tried.
//
// Not simulated: limits on connections, the state of the virtual server (it is taken to be started), what the next hop
// says (it accepts, and is one not yet seen), passwords (an identity is given, or there is none). Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/policy/facts.h"
#include "services/policy/snapshot.h"
#include "services/policy/verdict.h"

namespace gatepost::smtp {

struct SimulatedSession {
  // The listener's.
  policy::TlsMode tls_mode = policy::TlsMode::kStartTls;
  base::IpAddress client;
  // What lookups find, if the policy needs them. Not kUnasked.
  policy::ClientName name{policy::ClientName::State::kUnknown, {}};
  policy::BlockListing listing{policy::BlockListing::State::kNotListed, 0};
  // What a handshake agrees on. nullopt: the client asks for none; then the listener is not implicit TLS.
  std::optional<policy::TlsFacts> tls;
  // Who the auth service says it is; nullopt: the client does not authenticate.
  std::optional<policy::Identity> identity;
  std::string mechanism = "PLAIN";
  // As they stand between the angle brackets of MAIL and RCPT. No CR, no LF.
  std::string sender;
  std::vector<std::string> recipients;
};

struct SimulatedStep {
  enum class Kind : uint8_t { kConnect, kTls, kEhlo, kStartTls, kAuth, kMail, kRcpt };
  Kind kind = Kind::kConnect;
  // As sent, without CR LF; of AUTH without credentials. Empty: nothing is sent (the greeting, the handshake).
  std::string command;
  // As said, without CR LF. Empty: nothing (the handshake).
  std::vector<std::string> replies;
  // The client may go on.
  bool accepted = false;
  // Policy's, or a limit's. nullopt: neither was asked; a refusal is then the protocol's (syntax, order).
  std::optional<policy::Verdict> verdict;
  // The rules that were looked at, in order.
  policy::Trace trace;
};

struct SimulatedResult {
  std::vector<SimulatedStep> steps;
};

SimulatedResult Simulate(const policy::CompiledVirtualServer& server, const SimulatedSession& session);

// "connect", "tls", "ehlo", ...
std::string_view StepName(SimulatedStep::Kind kind);

}  // namespace gatepost::smtp
