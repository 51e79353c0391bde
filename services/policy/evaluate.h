// The rules of requirements.md, one function for each question a session asks. Pure: (virtual server, facts) -> verdict. The same
// code serves the wire and SimulateSession; a trace, if asked for, lists the rules in the order in which they were looked at.
#pragma once

#include <string_view>
#include <vector>

#include "services/policy/facts.h"
#include "services/policy/snapshot.h"
#include "services/policy/verdict.h"

namespace gatepost::policy {

// R6-R9: may this client open a session?
Verdict JudgeConnection(const CompiledVirtualServer& server, const ClientFacts& client, Trace* trace = nullptr);

// R11, R16: may a transaction be started? `identity`: nullptr when the client has not authenticated.
Verdict JudgeMail(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity, Trace* trace = nullptr);

// R21-R24: may this recipient be added? A domain that is ours is open to everybody but for local parts that name a route (% ! @),
// which a next hop may rewrite; the rest is relaying.
Verdict JudgeRecipient(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity, const Mailbox& recipient,
                       Trace* trace = nullptr);

// The SASL mechanisms to offer, in protocol.md's order: what the virtual server allows in this TLS state, cut to `servable`.
std::vector<std::string_view> OfferedMechanisms(const CompiledVirtualServer& server, const TlsFacts& tls,
                                                const std::vector<std::string>& servable);

enum class MechanismStanding {
  kOffered,
  kNeedsTls,  // it would be, under TLS
  kUnknown,   // unknown, off, or not servable
};
MechanismStanding JudgeMechanism(const CompiledVirtualServer& server, const TlsFacts& tls, const std::vector<std::string>& servable,
                                 std::string_view mechanism);

}  // namespace gatepost::policy
