// The answer to what a session asks of policy, for whoever drives it: the edge, Simulate, the tests. Pure.
#pragma once

#include <optional>

#include "services/policy/snapshot.h"
#include "services/policy/verdict.h"
#include "services/smtp/session_events.h"

namespace gatepost::smtp {

// nullopt: `action` is none of JudgeConnection, JudgeMail, JudgeRecipient. The rules looked at are appended to `trace`,
// if there is one.
std::optional<Judged> Judge(const Action& action, const policy::CompiledVirtualServer& server,
                            policy::Trace* trace = nullptr);

}  // namespace gatepost::smtp
