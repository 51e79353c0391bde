// The rules of requirements.md, one function for each question a session asks. Pure: (virtual server, facts) -> verdict. The same
// code serves the wire and SimulateSession; a trace, if asked for, lists the rules in the order in which they were looked at.
//
// Some questions need what only DNS knows. Lookup...For() says what is still unasked and would decide; the caller finds it out, puts it
// into the facts, and asks again. A verdict on facts that were needed and never asked treats the lookup as failed.
#pragma once

#include <string_view>
#include <vector>

#include "services/policy/facts.h"
#include "services/policy/snapshot.h"
#include "services/policy/verdict.h"

namespace gatepost::policy {

enum class Lookup : uint8_t { kNone, kClientName, kBlockLists };
// `annotate_received` also asks for the name of a client that is admitted.
Lookup LookupForConnection(const CompiledVirtualServer& server, const ClientFacts& client);
Lookup LookupForRecipient(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity,
                          const Mailbox& recipient);

// R6-R10: may this client open a session? Addresses decide before names.
Verdict JudgeConnection(const CompiledVirtualServer& server, const ClientFacts& client, Trace* trace = nullptr);

// R17: is what the handshake agreed on strong enough?
Verdict JudgeEncryption(const CompiledVirtualServer& server, const TlsFacts& tls, Trace* trace = nullptr);

// R16: may the client say in this TLS state what is not for the clear (all but EHLO, STARTTLS and the like)?
Verdict JudgeChannel(const CompiledVirtualServer& server, const TlsFacts& tls, Trace* trace = nullptr);

// R11, R16: may a transaction be started? `identity`: nullptr when the client has not authenticated. `sender`: the reverse-path, empty
// for the null path.
Verdict JudgeMail(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity, const Mailbox& sender,
                  Trace* trace = nullptr);

// R21-R24: may this recipient be added? A domain that is ours is open to everybody but for local parts that name a route (% ! @),
// which a next hop may rewrite; the rest is relaying. Block lists are for anonymous clients whose recipient is else accepted.
Verdict JudgeRecipient(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity, const Mailbox& recipient,
                       Trace* trace = nullptr);

// R11-R14: may this mechanism be used in this TLS state? Whether the auth service can serve it is not asked here.
Verdict JudgeMechanism(const CompiledVirtualServer& server, const TlsFacts& tls, std::string_view mechanism, Trace* trace = nullptr);

// The SASL mechanisms to offer, in protocol.md's order: what the virtual server allows in this TLS state, cut to `servable`.
std::vector<std::string_view> OfferedMechanisms(const CompiledVirtualServer& server, const TlsFacts& tls,
                                                const std::vector<std::string>& servable);

}  // namespace gatepost::policy
