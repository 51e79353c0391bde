#include "services/smtp/client_session.h"

#include <algorithm>
#include <utility>

#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/smtp/data_writer.h"
#include "services/smtp/upstream_command.h"

namespace gatepost::smtp {
namespace {

using Kind = UpstreamOutcome::Kind;

constexpr std::string_view kData = "DATA\r\n";

}  // namespace

ClientSession::Wait ClientSession::wait() const {
  switch (state_) {
    case State::kGreeting:
      return Wait::kGreeting;
    case State::kHello:
    case State::kXclient:
      return Wait::kHello;
    case State::kStartTls:
    case State::kHandshake:
      return Wait::kStartTls;
    case State::kData:
      return Wait::kData;
    case State::kChunk:
      return Wait::kChunk;
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

ClientSession::Action ClientSession::Say(State next, std::string octets, Write::Message message) {
  state_ = next;
  output_ = std::move(octets);
  return Write{output_, wait(), message};
}

ClientSession::Action ClientSession::SayHello() {
  // Who wants to be told our client's name takes it from EHLO, too (XCLIENT_README's example; Postfix from it alone).
  const std::string& name = as_client_ ? options_.identity->helo : options_.client_name;
  return Say(State::kHello, base::StrCat("EHLO ", name, "\r\n"));
}

// What is still to be said of our client; then, the conversation is ready.
ClientSession::Action ClientSession::SayIdentity() {
  if (options_.identity && !std::exchange(identified_, true)) {
    identity_lines_ = XclientLines(*options_.identity, capabilities_.xclient);
    if (identity_lines_.empty()) return Fail(Kind::kLacksExtension, "no XCLIENT in the answer to EHLO");
    std::reverse(identity_lines_.begin(), identity_lines_.end());
    const std::vector<std::string>& listed = capabilities_.xclient;
    as_client_ =
        IsClientName(options_.identity->helo) && std::find(listed.begin(), listed.end(), "HELO") != listed.end();
  }
  if (identity_lines_.empty()) return Finish(State::kIdle, UpstreamOutcome::Accepted());
  std::string line = std::move(identity_lines_.back());
  identity_lines_.pop_back();
  return Say(State::kXclient, std::move(line));
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
  const bool more = !input_.empty() && !data_said_;
  if (!outcome.accepted()) refused_once_ = true;
  state_ = more || outcome.connection_lost() ? State::kOver : next;
  if (more && !verdict) return Fail(Kind::kOutOfStep, "a reply to nothing");
  return Finished{std::move(outcome)};
}

std::optional<ClientSession::Action> ClientSession::WhyNot(State expected) {
  if (state_ == State::kOver) return Fail(Kind::kLost, "the conversation is over");
  GATEPOST_CHECK(state_ == expected);
  // A command would become part of the message.
  if (data_said_) return Fail(Kind::kLost, "DATA has been said");
  if (!input_.empty()) return Fail(Kind::kOutOfStep, "a reply to nothing");
  return std::nullopt;
}

ClientSession::Action ClientSession::Connect() {
  GATEPOST_CHECK(state_ == State::kNew);
  state_ = State::kGreeting;
  return ReadOn();
}

ClientSession::Action ClientSession::Identify(const ClientIdentity& identity) {
  if (std::optional<Action> why = WhyNot(State::kIdle)) return *std::move(why);
  if (options_.identity == identity) return Finished{UpstreamOutcome::Accepted()};
  options_.identity = identity;
  identified_ = false;
  return SayIdentity();
}

ClientSession::Action ClientSession::MailAndRcpt(const MailCommand& mail, const RcptCommand& recipient,
                                                 bool data_follows) {
  if (std::optional<Action> why = WhyNot(State::kIdle)) return *std::move(why);
  std::optional<Kind> lacks = Lacking(mail, capabilities_);
  if (!lacks) lacks = Lacking(recipient, capabilities_);
  if (lacks) return Finished{UpstreamOutcome::Failed(*lacks, "not in the answer to EHLO")};
  refused_.reset();
  ++transactions_;
  in_transaction_ = true;
  recipients_ = 0;
  by_chunks_ = mail.body == BodyType::kBinaryMime;
  recipient_line_ = RcptLine(recipient);
  pipelined_ = capabilities_.pipelining;
  data_said_ = data_follows && pipelined_ && !by_chunks_;
  std::string octets = MailLine(mail, capabilities_);
  if (pipelined_) octets.append(recipient_line_);
  if (data_said_) octets.append(kData);
  return Say(State::kMail, std::move(octets));
}

ClientSession::Action ClientSession::Rcpt(const RcptCommand& recipient, bool data_follows) {
  if (std::optional<Action> why = WhyNot(State::kIdle)) return *std::move(why);
  if (const std::optional<Kind> lacks = Lacking(recipient, capabilities_)) {
    UpstreamOutcome outcome = UpstreamOutcome::Failed(*lacks, "not in the answer to EHLO");
    outcome.whole_transaction = false;
    return Finished{std::move(outcome)};
  }
  data_said_ = data_follows && capabilities_.pipelining && !by_chunks_;
  std::string octets = RcptLine(recipient);
  if (data_said_) octets.append(kData);
  return Say(State::kRcpt, std::move(octets));
}

ClientSession::Action ClientSession::BeginData() {
  if (state_ == State::kIdle && std::exchange(data_said_, false)) {
    state_ = State::kData;
    return input_.empty() ? ReadOn() : TakeReplies();
  }
  if (std::optional<Action> why = WhyNot(State::kIdle)) return *std::move(why);
  if (!by_chunks_) return Say(State::kData, std::string(kData));
  state_ = State::kMessage;
  return Finished{UpstreamOutcome::Accepted()};
}

ClientSession::Action ClientSession::SendChunk(uint64_t octets) {
  if (std::optional<Action> why = WhyNot(State::kMessage)) return *std::move(why);
  GATEPOST_CHECK(by_chunks_);
  return Say(State::kChunk, base::StrCat("BDAT ", octets, "\r\n"), Write::Message::kBehind);
}

ClientSession::Action ClientSession::FinishData(uint64_t octets) {
  if (std::optional<Action> why = WhyNot(State::kMessage)) return *std::move(why);
  if (!by_chunks_) return Say(State::kVerdict, std::string(kEndOfData), Write::Message::kBefore);
  return Say(State::kVerdict, base::StrCat("BDAT ", octets, " LAST\r\n"), Write::Message::kBehind);
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
    case State::kVainData:
      return Finish(State::kOver, std::move(rcpt_outcome_));
    case State::kGreeting:
    case State::kHello:
    case State::kStartTls:
    case State::kHandshake:
    case State::kXclient:
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
    case State::kXclient:
      return TakeXclient(std::move(reply));
    case State::kMail:
      return TakeMail(std::move(reply));
    case State::kRcpt:
      return TakeRcpt(std::move(reply));
    case State::kVainData:
      return TakeVainData(reply);
    case State::kData:
      return TakeData(std::move(reply));
    case State::kChunk:
      return TakeChunk(std::move(reply));
    case State::kVerdict:
      return TakeVerdict(std::move(reply));
    case State::kReset:
      if (reply.reply_class() != 2) return Fail(Kind::kOutOfStep, "RSET refused");
      in_transaction_ = false;
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
  if (!identified_) offered_ = capabilities_;
  if (tls_ || !options_.require_tls) return SayIdentity();
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

// The next hop has forgotten everything but TLS and greets anew.
ClientSession::Action ClientSession::TakeXclient(UpstreamReply reply) {
  if (reply.reply_class() >= 4) return RefusedUs(std::move(reply));
  if (reply.code != 220 || !input_.empty()) return Fail(Kind::kOutOfStep, "XCLIENT");
  return SayHello();
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
    const bool over = reply.code == 421;
    return EndRcpt(over, UpstreamOutcome::Refused(std::move(refusal), /*whole_transaction=*/true));
  }
  switch (reply.reply_class()) {
    case 2:
      ++recipients_;
      return Finish(State::kIdle, UpstreamOutcome::Accepted(std::move(reply)));
    case 3:
      return Fail(Kind::kOutOfStep, "RCPT");
    default:
      break;
  }
  const bool over = reply.code == 421;
  return EndRcpt(over, UpstreamOutcome::Refused(std::move(reply)));
}

// RCPT was refused; `over`: by 421, no more is to be expected.
ClientSession::Action ClientSession::EndRcpt(bool over, UpstreamOutcome outcome) {
  if (over) data_said_ = false;
  if (over || !data_said_ || recipients_ > 0) return Finish(over ? State::kOver : State::kIdle, std::move(outcome));
  data_said_ = false;
  rcpt_outcome_ = std::move(outcome);
  state_ = State::kVainData;
  return input_.empty() ? ReadOn() : TakeReplies();
}

// RFC 2920 3.1 has a lone dot follow a 354; nothing at all is safer.
ClientSession::Action ClientSession::TakeVainData(const UpstreamReply& reply) {
  if (reply.reply_class() == 2) return Fail(Kind::kOutOfStep, "DATA");
  const bool over = reply.reply_class() == 3 || reply.code == 421;
  return Finish(over ? State::kOver : State::kIdle, std::move(rcpt_outcome_));
}

ClientSession::Action ClientSession::TakeData(UpstreamReply reply) {
  if (reply.code == 354) {
    UpstreamOutcome outcome = UpstreamOutcome::Accepted(std::move(reply));
    outcome.seven_bit = !capabilities_.eight_bit_mime;
    return Finish(State::kMessage, std::move(outcome));
  }
  if (reply.reply_class() < 4) return Fail(Kind::kOutOfStep, "DATA");
  return Finish(State::kIdle, UpstreamOutcome::Refused(std::move(reply)));
}

ClientSession::Action ClientSession::TakeChunk(UpstreamReply reply) {
  if (reply.reply_class() == 3) return Fail(Kind::kOutOfStep, "BDAT");
  if (reply.reply_class() == 2) return Finish(State::kMessage, UpstreamOutcome::Accepted(std::move(reply)));
  return Finish(State::kOver, UpstreamOutcome::Refused(std::move(reply)));
}

ClientSession::Action ClientSession::TakeVerdict(UpstreamReply reply) {
  if (reply.reply_class() == 3) return Fail(Kind::kInDoubt, "an answer to the message that is none");
  in_transaction_ = false;
  if (reply.reply_class() == 2) return Finish(State::kIdle, UpstreamOutcome::Accepted(std::move(reply)));
  return Finish(State::kIdle, UpstreamOutcome::Refused(std::move(reply)));
}

}  // namespace gatepost::smtp
