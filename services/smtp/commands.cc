#include "services/smtp/commands.h"

#include <algorithm>
#include <utility>

#include "services/base/check.h"
#include "services/policy/evaluate.h"
#include "services/smtp/ehlo.h"
#include "services/smtp/limits.h"
#include "services/smtp/replies.h"
#include "services/smtp/verdict_reply.h"

namespace gatepost::smtp {
namespace {

constexpr std::string_view kHelpUrl = "https://www.rfc-editor.org/rfc/rfc5321";

// The client has to wait for the answer before it sends more (RFC 2920 3.1, RFC 3207 4, RFC 4954 4).
bool EndsItsGroup(Verb verb) {
  return verb == Verb::kEhlo || verb == Verb::kHelo || verb == Verb::kStartTls || verb == Verb::kAuth ||
         verb == Verb::kData;
}

// What a client may say before TLS where TLS is required (R16).
bool IsForTheClear(Verb verb) {
  return verb == Verb::kEhlo || verb == Verb::kHelo || verb == Verb::kStartTls || verb == Verb::kNoop ||
         verb == Verb::kRset || verb == Verb::kHelp || verb == Verb::kQuit || verb == Verb::kOther;
}

bool NeedsHello(Verb verb) {
  return verb == Verb::kStartTls || verb == Verb::kAuth || verb == Verb::kMail || verb == Verb::kRcpt ||
         verb == Verb::kData || verb == Verb::kBdat;
}

}  // namespace

void Commands::RefuseAll(Reply (*reply)()) {
  refused_until_ = context_.now + limits::kRefusedSession;
  refusal_ = reply;
}

std::optional<Action> Commands::Next() {
  Conversation& client = context_.conversation;
  part_ = Part::kCommands;
  if (client.output().size() >= limits::kUnreadReplies) {
    state_ = State::kResetting;
    return WriteClient{};
  }
  bool between = !context_.transaction.open;
  if (between && context_.now >= context_.started + context_.settings.limits.session_duration) {
    client.SayLast(replies::SessionTimeout(context_.settings.fqdn), SessionEnd::kTimedOut);
    return std::nullopt;
  }
  std::optional<Reply> too_long;
  std::optional<std::string_view> line = client.NextLine(LineReader::Expect::kCommand, &too_long);
  if (line) return Take(*line);
  if (client.over()) return std::nullopt;
  if (!too_long) return Read();
  client.BeginCommand(Verb::kOther);
  client.Say(*too_long);
  return std::nullopt;
}

std::optional<Action> Commands::Read() {
  ReadClient read = context_.conversation.ReadLine(context_.now, context_.settings.limits.idle_timeout);
  if (!context_.transaction.open) {
    read.between_transactions = true;
    read.deadline = std::min(read.deadline, context_.started + context_.settings.limits.session_duration);
  }
  if (refused_until_) read.deadline = *refused_until_;
  state_ = State::kReading;
  return read;
}

std::optional<Action> Commands::Resume(const Event& event) {
  Conversation& client = context_.conversation;
  const std::string& fqdn = context_.settings.fqdn;
  switch (std::exchange(state_, State::kIdle)) {
    case State::kIdle:
      break;
    case State::kReading:
      if (std::holds_alternative<BytesRead>(event)) return std::nullopt;
      if (refused_until_ && std::holds_alternative<TimedOut>(event)) {
        client.End(SessionEnd::kRefused);
      } else if (!context_.transaction.open &&
                 context_.now >= context_.started + context_.settings.limits.session_duration) {
        client.EndOfReading(event, replies::SessionTimeout(fqdn));
      } else {
        client.EndOfReading(event, client.in_line() ? replies::CommandTimeout(fqdn) : replies::IdleTimeout(fqdn));
      }
      return std::nullopt;
    case State::kHandshake:
      if (const TlsEstablished* established = std::get_if<TlsEstablished>(&event)) {
        context_.TakeTls(established->tls);
        if (context_.too_weak) RefuseAll(replies::EncryptionTooWeak);
        return Reset();
      }
      Only<TlsFailed>(event);
      client.End(SessionEnd::kTlsFailed, /*linger=*/false);
      return std::nullopt;
    case State::kResetting:
      Only<Done>(event);
      return std::nullopt;
  }
  GATEPOST_CHECK(false);
}

std::optional<Action> Commands::Take(std::string_view line) {
  OfferedParameters offered = Offered(context_);
  ParsedCommand parsed = ParseCommand(line, offered);
  // What is no command may be a password whose prompt the client believes to have seen.
  const bool unknown = std::holds_alternative<UnknownCommand>(parsed.command);
  const bool secret = parsed.verb == Verb::kAuth || unknown;
  if (context_.options.observer != nullptr)
    context_.options.observer->OnLineIn(!secret ? line : unknown ? "<unknown>" : "AUTH <sasl>");
  context_.conversation.BeginCommand(parsed.verb);
  std::optional<Action> action = Answer(parsed);
  // Also if it was refused.
  if (secret) context_.conversation.WipeLine();
  return action;
}

std::optional<Action> Commands::Answer(ParsedCommand& parsed) {
  Conversation& client = context_.conversation;
  if (EndsItsGroup(parsed.verb) && !client.input().empty()) {
    client.SayLast(replies::ProtocolErrorClosing(), SessionEnd::kProtocolError);
    return std::nullopt;
  }
  if (std::holds_alternative<HttpCommand>(parsed.command)) {
    client.End(SessionEnd::kProtocolError, /*linger=*/false);
    return std::nullopt;
  }
  if (std::holds_alternative<ProxyHeaderCommand>(parsed.command)) {
    client.SayLast(replies::ProtocolErrorClosing(), SessionEnd::kProtocolError);
    return std::nullopt;
  }
  if (std::holds_alternative<QuitCommand>(parsed.command)) {
    client.SayLast(replies::Bye(context_.settings.fqdn), SessionEnd::kQuit);
    return std::nullopt;
  }
  if (refused_until_) {
    client.Say(refusal_());
    return std::nullopt;
  }
  if (context_.needs_tls() && !IsForTheClear(parsed.verb)) return Refuse(parsed, TlsRequired());
  if (std::optional<Reply> reply = WhyNotNow(parsed.verb)) return Refuse(parsed, *reply);
  if (const CommandError* error = std::get_if<CommandError>(&parsed.command))
    return Refuse(parsed, replies::ForError(*error));
  return Dispatch(parsed);
}

// R16.
Reply Commands::TlsRequired() {
  const SessionOptions& options = context_.options;
  const policy::Verdict verdict = policy::JudgeChannel(*options.virtual_server, options.client.tls, options.trace);
  context_.Observe(verdict);
  return ReplyTo(verdict, {context_.settings, options.client, nullptr, {}});
}

// The order of commands; the parts know more of theirs.
std::optional<Reply> Commands::WhyNotNow(Verb verb) const {
  if (NeedsHello(verb) && !context_.greeted) return replies::BadSequence();
  if (verb == Verb::kStartTls && context_.tls_active()) return replies::BadSequence();
  if (verb == Verb::kMail && context_.transaction.open) return replies::BadSequence();
  if (verb == Verb::kRcpt && !context_.transaction.open) return replies::BadSequence();
  if (verb == Verb::kRcpt && body_.expects_chunk()) return replies::BadSequence();
  if (verb == Verb::kAuth && (context_.transaction.open || context_.identity)) return replies::BadSequence();
  return std::nullopt;
}

// The octets of a refused BDAT follow all the same.
std::optional<Action> Commands::Refuse(const ParsedCommand& parsed, const Reply& reply) {
  const BdatCommand* chunk = std::get_if<BdatCommand>(&parsed.command);
  if (chunk != nullptr) return Wait(Part::kBody, body_.RefuseChunk(chunk->size, reply));
  const CommandError* error = std::get_if<CommandError>(&parsed.command);
  if (error != nullptr && error->kind == CommandError::Kind::kBadChunk) {
    return Wait(Part::kBody, body_.RefuseChunk(error->chunk_size, reply));
  }
  if (error != nullptr && error->kind == CommandError::Kind::kBadChunkSize) {
    // Where the next command begins cannot be known.
    context_.conversation.SayLast(reply, SessionEnd::kProtocolError);
    return std::nullopt;
  }
  context_.conversation.Say(reply);
  return std::nullopt;
}

std::optional<Action> Commands::Dispatch(ParsedCommand& parsed) {
  Conversation& client = context_.conversation;
  switch (parsed.verb) {
    case Verb::kEhlo:
      return Hello(std::get<EhloCommand>(parsed.command).client_name, /*esmtp=*/true);
    case Verb::kHelo:
      return Hello(std::get<HeloCommand>(parsed.command).client_name, /*esmtp=*/false);
    case Verb::kStartTls:
      return BeginTls();
    case Verb::kAuth:
      return Wait(Part::kAuth, auth_.Begin(std::get<AuthCommand>(parsed.command)));
    case Verb::kMail:
      return Wait(Part::kEnvelope, envelope_.Mail(std::move(std::get<MailCommand>(parsed.command))));
    case Verb::kRcpt:
      return Wait(Part::kEnvelope, envelope_.Rcpt(std::move(std::get<RcptCommand>(parsed.command))));
    case Verb::kData:
      return Wait(Part::kBody, body_.StartData());
    case Verb::kBdat: {
      const BdatCommand& chunk = std::get<BdatCommand>(parsed.command);
      return Wait(Part::kBody, body_.StartChunk(chunk.size, chunk.last));
    }
    case Verb::kRset:
      if (!client.ChargeIdleCommand()) return std::nullopt;
      client.Say(replies::Ok());
      return Reset();
    case Verb::kNoop:
      if (client.ChargeIdleCommand()) client.Say(replies::Ok());
      return std::nullopt;
    case Verb::kVrfy:
      if (client.ChargeIdleCommand()) client.Say(replies::CannotVerify());
      return std::nullopt;
    case Verb::kHelp:
      if (client.ChargeIdleCommand()) client.Say(replies::Help(kHelpUrl));
      return std::nullopt;
    case Verb::kQuit:
    case Verb::kOther:
      client.Say(std::holds_alternative<NotImplementedCommand>(parsed.command) ? replies::NotImplemented()
                                                                               : replies::UnknownCommand());
      return std::nullopt;
  }
  __builtin_unreachable();
}

std::optional<Action> Commands::Wait(Part part, std::optional<Action> action) {
  if (action) part_ = part;
  return action;
}

std::optional<Action> Commands::Reset() {
  body_.GiveUp();
  std::optional<Action> action = context_.ResetTransaction();
  if (action) state_ = State::kResetting;
  return action;
}

std::optional<Action> Commands::Hello(std::string_view client_name, bool esmtp) {
  if (!context_.conversation.ChargeIdleCommand()) return std::nullopt;
  context_.greeted = true;
  context_.esmtp = esmtp;
  context_.client_name = client_name;
  context_.conversation.Say(esmtp ? EhloReply(context_) : HeloReply(context_));
  return Reset();
}

std::optional<Action> Commands::BeginTls() {
  Conversation& client = context_.conversation;
  if (!context_.options.starttls_available) {
    client.Say(replies::TlsNotAvailable());
    return std::nullopt;
  }
  client.Say(replies::ReadyForTls());
  state_ = State::kHandshake;
  return StartTls{};
}

}  // namespace gatepost::smtp
