#include "services/smtp/session_context.h"

#include <algorithm>

#include "services/policy/evaluate.h"
#include "services/smtp/limits.h"

namespace gatepost::smtp {

uint64_t SessionContext::MessageSizeLimit() const {
  uint64_t ours = settings.limits.message_size;
  uint64_t theirs = options.next_hop.size.value_or(0);
  if (theirs == 0) return ours;
  // A next hop that takes next to nothing: one octet, as 0 would mean no limit.
  theirs = theirs > limits::kTraceHeaderRoom ? theirs - limits::kTraceHeaderRoom : 1;
  return ours == 0 ? theirs : std::min(ours, theirs);
}

ClientIdentity SessionContext::Client() const {
  ClientIdentity client;
  const policy::ClientName& name = options.client.name;
  if (name.state == policy::ClientName::State::kConfirmed) {
    client.name_state = ClientIdentity::NameState::kConfirmed;
    client.name = name.names.front();
  } else if (name.state == policy::ClientName::State::kFailed) {
    client.name_state = ClientIdentity::NameState::kFailed;
  }
  client.address = options.client.address;
  client.port = options.client.port;
  client.esmtp = esmtp;
  client.helo = client_name;
  if (identity) client.login = identity->login;
  return client;
}

void SessionContext::TakeTls(const policy::TlsFacts& tls) {
  options.client.tls = tls;
  options.client.tls.active = true;
  conversation.ForgetInput();
  greeted = esmtp = false;
  client_name.clear();
  identity.reset();
  if (options.observer != nullptr) options.observer->OnTls(options.client.tls);
  const policy::Verdict verdict = policy::JudgeEncryption(*options.virtual_server, options.client.tls, options.trace);
  too_weak = !verdict.accepted;
  Observe(verdict);
}

std::optional<Action> SessionContext::ResetTransaction() {
  Transaction::Upstream upstream = transaction.upstream;
  transaction.Reset();
  conversation.AllowUtf8(false);
  switch (upstream) {
    case Transaction::Upstream::kNone:
      return std::nullopt;
    case Transaction::Upstream::kOpen:
      return ResetUpstream{};
    case Transaction::Upstream::kData:
      return DropUpstream{};
  }
  __builtin_unreachable();
}

}  // namespace gatepost::smtp
