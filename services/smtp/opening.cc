#include "services/smtp/opening.h"

#include "services/base/check.h"
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
    case State::kJudging: {
      state_ = State::kDone;
      const policy::Verdict& verdict = Only<Judged>(event).verdict;
      context_.Observe(verdict);
      if (verdict.accepted) {
        client.Greet(replies::Greeting(context_.settings.fqdn, context_.settings.banner_text));
      } else {
        refused_ = true;
        client.Greet(ReplyTo(verdict, {context_.settings, context_.options.client, nullptr, {}}));
      }
      return std::nullopt;
    }
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
  state_ = State::kJudging;
  return JudgeConnection{&context_.options.client};
}

}  // namespace gatepost::smtp
