#include "services/smtp/conversation.h"

#include <algorithm>

#include "services/base/strings.h"
#include "services/base/wipe.h"
#include "services/smtp/limits.h"
#include "services/smtp/replies.h"

namespace gatepost::smtp {
namespace {

// Worth reading at once: some pipelined commands.
constexpr size_t kLineRead = 4096;

bool IsProtocolError(int code) { return (code >= 500 && code <= 504) || code == 555; }

}  // namespace

void Conversation::Say(const Reply& reply) {
  if (over_) return;
  if (IsProtocolError(reply.code) && ++protocol_errors_ > settings_.limits.protocol_errors) {
    ObserveLimit("session_limits.max_protocol_errors");
    SayLast(replies::TooManyErrors(settings_.fqdn), SessionEnd::kLimit);
    return;
  }
  Write(reply);
}

void Conversation::SayLast(const Reply& reply, SessionEnd why) {
  if (over_) return;
  Write(reply);
  End(why);
}

void Conversation::End(SessionEnd why, bool linger) {
  if (over_) return;
  if (verb_ && observer_ != nullptr) observer_->OnCommand(*verb_, 0);
  verb_.reset();
  over_ = true;
  why_ = why;
  linger_ = linger;
}

void Conversation::Write(const Reply& reply) {
  reply.AppendTo(&output_, utf8_);
  if (observer_ == nullptr) return;
  observer_->OnReplyOut(reply);
  bool intermediate = reply.code >= 300 && reply.code < 400;
  if (verb_ && !intermediate) {
    observer_->OnCommand(*verb_, reply.code);
    verb_.reset();
  }
}

void Conversation::ObserveLimit(std::string_view rule) {
  if (observer_ != nullptr) observer_->OnVerdict({false, policy::Reason::kLimitReached, std::string(rule)});
}

bool Conversation::Charge(int* counter, int limit, const Reply& beyond, std::string_view rule) {
  if (++*counter <= limit) return true;
  if (!rule.empty()) ObserveLimit(rule);
  SayLast(beyond, SessionEnd::kLimit);
  return false;
}

bool Conversation::ChargeIdleCommand() {
  return Charge(&idle_commands_, limits::kIdleCommands, replies::TooManyIdleCommands(settings_.fqdn), "");
}

bool Conversation::ChargeRefusedRecipient() {
  return Charge(&refused_recipients_, settings_.limits.refused_recipients,
                replies::TooManyRefusedRecipients(settings_.fqdn), "session_limits.max_refused_recipients");
}

bool Conversation::ChargeExcessRecipient() {
  return Charge(&excess_recipients_, settings_.limits.excess_recipients,
                replies::TooManyRefusedRecipients(settings_.fqdn), "session_limits.max_excess_recipients");
}

std::optional<std::string_view> Conversation::NextLine(LineReader::Expect expect, std::optional<Reply>* too_long) {
  too_long->reset();
  LineReader::Result result = line_reader_.Next(input_, expect);
  switch (result.status) {
    case LineReader::Status::kNeedMore:
      return std::nullopt;
    case LineReader::Status::kLine:
      line_.assign(result.line);
      input_.Wipe(result.consumed);
      line_began_.reset();
      return line_;
    case LineReader::Status::kTooLong:
      line_began_.reset();
      *too_long = replies::LineTooLong();
      return std::nullopt;
    case LineReader::Status::kAuthTooLong:
      line_began_.reset();
      *too_long = replies::AuthTooLong();
      return std::nullopt;
    case LineReader::Status::kBadOctet:
      verb_ = Verb::kOther;
      SayLast(replies::SyntaxErrorClosing(), SessionEnd::kProtocolError);
      return std::nullopt;
    case LineReader::Status::kFlood:
      verb_ = Verb::kOther;
      SayLast(replies::LineFlood(settings_.fqdn), SessionEnd::kProtocolError);
      return std::nullopt;
  }
  __builtin_unreachable();
}

bool Conversation::DataFollows() const {
  return base::EqualsIgnoreCase(input_.readable(), "DATA\r\n");
}

ReadClient Conversation::ReadLine(base::MonotonicTime now, base::Duration idle) {
  if (!line_reader_.in_line()) {
    line_began_.reset();
    return ReadClient{now + idle, kLineRead, false};
  }
  if (!line_began_) line_began_ = now;
  return ReadClient{std::min(now + idle, *line_began_ + limits::kCommandLineTime), kLineRead, false};
}

void Conversation::ForgetInput() {
  input_.Clear();
  line_reader_.Reset();
  line_began_.reset();
}

void Conversation::WipeLine() {
  base::Wipe(&line_);
  line_ = std::string();
}

void Conversation::EndOfReading(const Event& event, const Reply& timeout) {
  if (const Interrupt* interrupt = std::get_if<Interrupt>(&event)) {
    bool revoked = interrupt->reason == Interrupt::Reason::kRevoked;
    SayLast(revoked ? replies::LoginRevoked(settings_.fqdn) : replies::Closing(settings_.fqdn),
            revoked ? SessionEnd::kRevoked : SessionEnd::kClosing);
  } else if (std::holds_alternative<TimedOut>(event)) {
    SayLast(timeout, SessionEnd::kTimedOut);
  } else {
    Only<PeerClosed>(event);
    End(SessionEnd::kPeerClosed, /*linger=*/false);
  }
}

}  // namespace gatepost::smtp
