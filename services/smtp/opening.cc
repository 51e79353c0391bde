#include "services/smtp/opening.h"

#include <variant>

#include "services/base/check.h"
#include "services/policy/evaluate.h"
#include "services/smtp/replies.h"
#include "services/smtp/verdict_reply.h"

namespace gatepost::smtp {

std::optional<Action> Opening::Resume(const Event& event) {
  Conversation& client = context_.conversation;
  switch (state_) {
    case State::kStart:
      return TakeStart(Only<Start>(event));
    case State::kHandshake:
      if (const TlsEstablished* established = std::get_if<TlsEstablished>(&event)) {
        context_.TakeTls(established->tls);
        return Judge();
      }
      Only<TlsFailed>(event);
      client.End(SessionEnd::kTlsFailed, /*linger=*/false);
      return std::nullopt;
    case State::kLookingUp:
      context_.options.client.name = Only<ClientNameFound>(event).name;
      return Judge();
    case State::kJudging:
      return TakeVerdict(Only<Judged>(event));
    case State::kAwaitingSilence:
      return TakeSilence(event);
    case State::kDone:
      break;
  }
  GATEPOST_CHECK(false);
}

std::optional<Action> Opening::TakeStart(const Start& start) {
  Conversation& client = context_.conversation;
  const std::string& fqdn = context_.settings.fqdn;
  if (start.admission != Start::Admission::kAdmitted) {
    bool busy = start.admission == Start::Admission::kTooManyConnections;
    SessionEnd why = busy ? SessionEnd::kLimit : SessionEnd::kClosing;
    // Under implicit TLS a reply would cost a handshake, and that is what is to be saved.
    if (start.implicit_tls)
      client.End(why, /*linger=*/false);
    else
      client.SayLast(busy ? replies::TooManyConnections(fqdn) : replies::NotAccepting(fqdn), why);
    return std::nullopt;
  }
  if (start.implicit_tls) {
    state_ = State::kHandshake;
    return StartTls{};
  }
  if (!client.input().empty()) {
    client.SayLast(replies::EarlyTalker(fqdn), SessionEnd::kProtocolError);
    return std::nullopt;
  }
  return Judge();
}

std::optional<Action> Opening::Judge() {
  const policy::ClientFacts& client = context_.options.client;
  if (policy::LookupForConnection(*context_.options.virtual_server, client) == policy::Lookup::kClientName) {
    state_ = State::kLookingUp;
    return LookUpClientName{&client};
  }
  state_ = State::kJudging;
  return JudgeConnection{&client};
}

std::optional<Action> Opening::TakeVerdict(const Judged& judged) {
  const policy::Verdict& verdict = judged.verdict;
  Conversation& client = context_.conversation;
  state_ = State::kDone;
  context_.Observe(verdict);
  if (!verdict.accepted) {
    const Reply reply = ReplyTo(verdict, {context_.settings, context_.options.client, nullptr, {}});
    if (verdict.reason == policy::Reason::kReverseLookupFailed) {
      client.SayLast(reply, SessionEnd::kRefused);
    } else {
      refused_ = true;
      client.Greet(reply);
    }
    return std::nullopt;
  }
  const base::Duration delay = context_.settings.limits.banner_delay;
  if (delay == base::Duration::zero() && !judged.client_acted) {
    Greet();
    return std::nullopt;
  }
  state_ = State::kAwaitingSilence;
  ReadClient read;
  read.deadline = context_.now + delay;
  read.want = 1;
  read.between_transactions = true;
  return read;
}

std::optional<Action> Opening::TakeSilence(const Event& event) {
  Conversation& client = context_.conversation;
  state_ = State::kDone;
  if (std::holds_alternative<TimedOut>(event)) {
    Greet();
  } else if (std::holds_alternative<BytesRead>(event)) {
    client.SayLast(replies::EarlyTalker(context_.settings.fqdn), SessionEnd::kProtocolError);
  } else if (std::holds_alternative<Interrupt>(event)) {
    client.SayLast(replies::NotAccepting(context_.settings.fqdn), SessionEnd::kClosing);
  } else {
    Only<PeerClosed>(event);
    client.End(SessionEnd::kPeerClosed, /*linger=*/false);
  }
  return std::nullopt;
}

void Opening::Greet() {
  context_.conversation.Greet(replies::Greeting(context_.settings.fqdn, context_.settings.banner_text));
}

}  // namespace gatepost::smtp
