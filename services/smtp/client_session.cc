#include "services/smtp/client_session.h"

#include <utility>

#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/smtp/data_writer.h"

namespace gatepost::smtp {
namespace {

using Kind = UpstreamOutcome::Kind;

std::string RcptLine(const ForwardPath& recipient) { return base::StrCat("RCPT TO:<", recipient.canonical(), ">\r\n"); }

// Only what the next hop has offered. BODY=8BITMIME where it lacks it: see CannotCarry().
std::string MailLine(const MailCommand& mail, const Capabilities& next_hop) {
  std::string line = base::StrCat("MAIL FROM:<", mail.path.canonical(), '>');
  if (mail.size && next_hop.size) base::StrAppend(&line, " SIZE=", *mail.size);
  if (mail.body && next_hop.eight_bit_mime) {
    base::StrAppend(&line, " BODY=", *mail.body == BodyType::k7Bit ? "7BIT" : "8BITMIME");
  }
  line.append("\r\n");
  return line;
}

// Messages go by DATA: a binary one never can.
bool CannotCarry(const MailCommand& mail, const Capabilities& next_hop) {
  return mail.body == BodyType::kBinaryMime || (mail.body == BodyType::k8BitMime && !next_hop.eight_bit_mime);
}

}  // namespace

ClientSession::Wait ClientSession::wait() const {
  switch (state_) {
    case State::kGreeting:
      return Wait::kGreeting;
    case State::kHello:
      return Wait::kHello;
    case State::kStartTls:
    case State::kHandshake:
      return Wait::kStartTls;
    case State::kData:
      return Wait::kData;
    case State::kVerdict:
      return Wait::kVerdict;
    case State::kReset:
      return Wait::kReset;
    case State::kQuit:
      return Wait::kQuit;
    default:
      return Wait::kEnvelope;
  }
}

ClientSession::Action ClientSession::Say(State next, std::string octets) {
  state_ = next;
  output_ = std::move(octets);
  return Write{output_, wait()};
}

ClientSession::Action ClientSession::SayHello() {
  return Say(State::kHello, base::StrCat("EHLO ", options_.client_name, "\r\n"));
}

ClientSession::Action ClientSession::Fail(Kind kind, std::string detail) {
  state_ = State::kOver;
  return Finished{UpstreamOutcome::Failed(kind, std::move(detail))};
}

ClientSession::Action ClientSession::RefusedUs(UpstreamReply reply) {
  state_ = State::kOver;
  UpstreamOutcome outcome =
      UpstreamOutcome::Failed(reply.reply_class() == 5 ? Kind::kRefusedUs : Kind::kUnreachable, "refused before MAIL");
  outcome.reply = std::move(reply);
  return Finished{std::move(outcome)};
}

ClientSession::Action ClientSession::Finish(State next, UpstreamOutcome outcome) {
  // A verdict stands, whatever follows it; the conversation is over all the same.
  const bool verdict = state_ == State::kVerdict;
  const bool more = !input_.empty();
  state_ = more || outcome.connection_lost() ? State::kOver : next;
  if (more && !verdict) return Fail(Kind::kOutOfStep, "a reply to nothing");
  return Finished{std::move(outcome)};
}

std::optional<ClientSession::Action> ClientSession::WhyNot(State expected) {
  if (state_ == State::kOver) return Fail(Kind::kLost, "the conversation is over");
  GATEPOST_CHECK(state_ == expected);
  if (!input_.empty()) return Fail(Kind::kOutOfStep, "a reply to nothing");
  return std::nullopt;
}

ClientSession::Action ClientSession::Connect() {
  GATEPOST_CHECK(state_ == State::kNew);
  state_ = State::kGreeting;
  return ReadOn();
}

ClientSession::Action ClientSession::MailAndRcpt(const MailCommand& mail, const ForwardPath& recipient) {
  if (std::optional<Action> why = WhyNot(State::kIdle)) return *std::move(why);
  if (CannotCarry(mail, capabilities_)) return Finished{UpstreamOutcome::Failed(Kind::kCannotCarry)};
  refused_.reset();
  recipient_line_ = RcptLine(recipient);
  pipelined_ = capabilities_.pipelining;
  std::string octets = MailLine(mail, capabilities_);
  if (pipelined_) octets.append(recipient_line_);
  return Say(State::kMail, std::move(octets));
}

ClientSession::Action ClientSession::Rcpt(const ForwardPath& recipient) {
  if (std::optional<Action> why = WhyNot(State::kIdle)) return *std::move(why);
  return Say(State::kRcpt, RcptLine(recipient));
}

ClientSession::Action ClientSession::BeginData() {
  if (std::optional<Action> why = WhyNot(State::kIdle)) return *std::move(why);
  return Say(State::kData, "DATA\r\n");
}

ClientSession::Action ClientSession::FinishData() {
  if (std::optional<Action> why = WhyNot(State::kMessage)) return *std::move(why);
  return Say(State::kVerdict, std::string(kEndOfData));
}

ClientSession::Action ClientSession::Reset() {
  if (std::optional<Action> why = WhyNot(State::kIdle)) return *std::move(why);
  return Say(State::kReset, "RSET\r\n");
}

ClientSession::Action ClientSession::Quit() {
  // In the midst of a message QUIT would become part of it.
  if (state_ != State::kIdle) return Fail(Kind::kLost, "not between transactions");
  if (std::optional<Action> why = WhyNot(State::kIdle)) return *std::move(why);
  return Say(State::kQuit, "QUIT\r\n");
}

UpstreamOutcome ClientSession::Abort(Event event) {
  state_ = State::kOver;
  switch (event) {
    case Event::kBytesRead:
      return UpstreamOutcome::Failed(Kind::kOutOfStep, "a reply before the end of the message");
    case Event::kTimedOut:
      return UpstreamOutcome::Failed(Kind::kLost, "timed out");
    default:
      return UpstreamOutcome::Failed(Kind::kLost, "closed");
  }
}

ClientSession::Action ClientSession::Advance(Event event) {
  switch (event) {
    case Event::kWritten:
      return ReadOn();
    case Event::kBytesRead:
      return TakeReplies();
    case Event::kTlsEstablished:
      GATEPOST_CHECK(state_ == State::kHandshake);
      tls_ = true;
      return SayHello();
    case Event::kTlsFailed:
      GATEPOST_CHECK(state_ == State::kHandshake);
      return Fail(Kind::kTlsFailed, "handshake");
    case Event::kClosed:
    case Event::kTimedOut:
      break;
  }
  const std::string_view why = event == Event::kTimedOut ? "timed out" : "closed";
  switch (state_) {
    case State::kVerdict:
      return Fail(Kind::kInDoubt, std::string(why));
    case State::kGreeting:
    case State::kHello:
    case State::kStartTls:
    case State::kHandshake:
      return Fail(Kind::kUnreachable, std::string(why));
    default:
      return Fail(Kind::kLost, std::string(why));
  }
}

ClientSession::Action ClientSession::ReadOn() const { return Read{wait()}; }

ClientSession::Action ClientSession::TakeReplies() {
  UpstreamReply reply;
  const ReplyResult result = ParseReply(input_.readable(), &reply);
  switch (result.status) {
    case ReplyResult::Status::kNeedMore:
      return ReadOn();
    case ReplyResult::Status::kMalformed:
      return Fail(state_ == State::kVerdict ? Kind::kInDoubt : Kind::kOutOfStep, "malformed reply");
    case ReplyResult::Status::kReply:
      break;
  }
  input_.Consume(result.consumed);
  return TakeReply(std::move(reply));
}

ClientSession::Action ClientSession::TakeReply(UpstreamReply reply) {
  switch (state_) {
    case State::kGreeting:
      return TakeGreeting(std::move(reply));
    case State::kHello:
      return TakeHello(std::move(reply));
    case State::kStartTls:
      return TakeStartTls(reply);
    case State::kMail:
      return TakeMail(std::move(reply));
    case State::kRcpt:
      return TakeRcpt(std::move(reply));
    case State::kData:
      return TakeData(std::move(reply));
    case State::kVerdict:
      return TakeVerdict(std::move(reply));
    case State::kReset:
      if (reply.reply_class() != 2) return Fail(Kind::kOutOfStep, "RSET refused");
      return Finish(State::kIdle, UpstreamOutcome::Accepted(std::move(reply)));
    case State::kQuit:
      state_ = State::kOver;
      return Finished{UpstreamOutcome::Accepted(std::move(reply))};
    case State::kNew:
    case State::kHandshake:
    case State::kIdle:
    case State::kMessage:
    case State::kOver:
      break;
  }
  GATEPOST_CHECK(false);
}

ClientSession::Action ClientSession::TakeGreeting(UpstreamReply reply) {
  if (reply.reply_class() >= 4) return RefusedUs(std::move(reply));
  if (reply.code != 220 || !input_.empty()) return Fail(Kind::kOutOfStep, "no greeting");
  return SayHello();
}

ClientSession::Action ClientSession::TakeHello(UpstreamReply reply) {
  if (reply.reply_class() >= 4) return RefusedUs(std::move(reply));
  if (reply.code != 250 || !input_.empty()) return Fail(Kind::kOutOfStep, "EHLO");
  reply.lines.erase(reply.lines.begin());
  capabilities_ = Capabilities::FromEhlo(reply.lines);
  if (tls_ || !options_.require_tls) return Finish(State::kIdle, UpstreamOutcome::Accepted());
  if (!capabilities_.starttls) return Fail(Kind::kTlsNotOffered, "no STARTTLS in the answer to EHLO");
  return Say(State::kStartTls, "STARTTLS\r\n");
}

ClientSession::Action ClientSession::TakeStartTls(const UpstreamReply& reply) {
  if (reply.reply_class() >= 4) return Fail(Kind::kTlsNotOffered, base::StrCat("STARTTLS refused: ", reply.code));
  if (reply.code != 220) return Fail(Kind::kOutOfStep, "STARTTLS");
  // What came in clear behind the reply must not be taken for an answer given inside TLS (CVE-2011-0411).
  if (!input_.empty()) return Fail(Kind::kTlsFailed, "octets behind the reply to STARTTLS");
  capabilities_ = Capabilities();
  state_ = State::kHandshake;
  return StartTls{};
}

ClientSession::Action ClientSession::TakeMail(UpstreamReply reply) {
  if (reply.reply_class() == 3) return Fail(Kind::kOutOfStep, "MAIL");
  const bool refused = reply.reply_class() >= 4;
  if (!pipelined_) {
    if (refused) return Finish(State::kIdle, UpstreamOutcome::Refused(std::move(reply), /*whole_transaction=*/true));
    if (!input_.empty()) return Fail(Kind::kOutOfStep, "a reply to nothing");
    return Say(State::kRcpt, std::move(recipient_line_));
  }
  // 421: no more is to be expected.
  if (reply.code == 421) return Finish(State::kOver, UpstreamOutcome::Refused(std::move(reply)));
  if (refused) refused_ = std::move(reply);
  state_ = State::kRcpt;
  return input_.empty() ? ReadOn() : TakeReplies();
}

ClientSession::Action ClientSession::TakeRcpt(UpstreamReply reply) {
  if (refused_) {
    // RCPT after a refused MAIL must be refused, too.
    if (reply.reply_class() < 4) return Fail(Kind::kOutOfStep, "RCPT accepted without MAIL");
    UpstreamReply refusal = *std::exchange(refused_, std::nullopt);
    const State next = reply.code == 421 ? State::kOver : State::kIdle;
    return Finish(next, UpstreamOutcome::Refused(std::move(refusal), /*whole_transaction=*/true));
  }
  switch (reply.reply_class()) {
    case 2:
      return Finish(State::kIdle, UpstreamOutcome::Accepted(std::move(reply)));
    case 3:
      return Fail(Kind::kOutOfStep, "RCPT");
    default:
      return Finish(State::kIdle, UpstreamOutcome::Refused(std::move(reply)));
  }
}

ClientSession::Action ClientSession::TakeData(UpstreamReply reply) {
  if (reply.code == 354) return Finish(State::kMessage, UpstreamOutcome::Accepted(std::move(reply)));
  if (reply.reply_class() < 4) return Fail(Kind::kOutOfStep, "DATA");
  return Finish(State::kIdle, UpstreamOutcome::Refused(std::move(reply)));
}

ClientSession::Action ClientSession::TakeVerdict(UpstreamReply reply) {
  if (reply.reply_class() == 3) return Fail(Kind::kInDoubt, "an answer to the message that is none");
  if (reply.reply_class() == 2) return Finish(State::kIdle, UpstreamOutcome::Accepted(std::move(reply)));
  return Finish(State::kIdle, UpstreamOutcome::Refused(std::move(reply)));
}

}  // namespace gatepost::smtp
