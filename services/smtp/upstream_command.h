// The commands that carry an envelope to a next hop, written anew from what was parsed: no octet of a client's reaches
// a next hop but through here. Only what the next hop has offered is said; what cannot be said without it is refused.
// Pure.
#pragma once

#include <optional>
#include <string>

#include "services/smtp/capabilities.h"
#include "services/smtp/command.h"
#include "services/smtp/upstream_outcome.h"

namespace gatepost::smtp {

// With CR LF.
std::string MailLine(const MailCommand& mail, const Capabilities& next_hop);
std::string RcptLine(const RcptCommand& recipient);

// Why the next hop cannot take it as the client means it (nothing is converted, nothing of its meaning dropped):
// kNotInternational, kCannotCarry, kLacksExtension. Nothing: it can.
std::optional<UpstreamOutcome::Kind> Lacking(const MailCommand& mail, const Capabilities& next_hop);
std::optional<UpstreamOutcome::Kind> Lacking(const RcptCommand& recipient, const Capabilities& next_hop);

}  // namespace gatepost::smtp
