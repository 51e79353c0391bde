#include "services/smtp/judge.h"

#include "services/policy/evaluate.h"

namespace gatepost::smtp {
namespace {

policy::Mailbox PolicyMailbox(const Mailbox& mailbox) { return {mailbox.local, mailbox.domain}; }

}  // namespace

std::optional<Judged> Judge(const Action& action, const policy::CompiledVirtualServer& server, policy::Trace* trace) {
  if (const auto* ask = std::get_if<JudgeRecipient>(&action)) {
    return Judged{
        policy::JudgeRecipient(server, *ask->client, ask->identity, PolicyMailbox(ask->recipient->mailbox), trace)};
  }
  if (const auto* ask = std::get_if<JudgeMail>(&action)) {
    return Judged{policy::JudgeMail(server, *ask->client, ask->identity, PolicyMailbox(ask->sender->mailbox), trace)};
  }
  if (const auto* ask = std::get_if<JudgeConnection>(&action)) {
    return Judged{policy::JudgeConnection(server, *ask->client, trace)};
  }
  return std::nullopt;
}

}  // namespace gatepost::smtp
