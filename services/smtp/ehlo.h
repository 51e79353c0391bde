// The answer to EHLO, in protocol.md's order, and what it offers. Pure: what next hops can do, what policy allows in
// this TLS state, and what the auth service can serve decide. The parameters of MAIL and RCPT that are accepted are
// those offered.
#pragma once

#include "services/smtp/command.h"
#include "services/smtp/reply.h"
#include "services/smtp/session_context.h"

namespace gatepost::smtp {

Reply EhloReply(const SessionContext& context);
Reply HeloReply(const SessionContext& context);
// Of the EHLO that the client got; nothing after HELO.
OfferedParameters Offered(const SessionContext& context);

}  // namespace gatepost::smtp
