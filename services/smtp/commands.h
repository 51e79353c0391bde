// The commands of a session, one line each: whether it may come now, and whose it is. Those that are a conversation of
// their own (AUTH, MAIL, RCPT, DATA, BDAT) go to their part; the rest is answered here.
#pragma once

#include <optional>

#include "services/smtp/auth_exchange.h"
#include "services/smtp/command.h"
#include "services/smtp/envelope.h"
#include "services/smtp/message_body.h"
#include "services/smtp/session_context.h"
#include "services/smtp/session_events.h"

namespace gatepost::smtp {

class Commands {
 public:
  // All outlive it.
  Commands(SessionContext* context, AuthExchange* auth, Envelope* envelope, MessageBody* body)
      : context_(*context), auth_(*auth), envelope_(*envelope), body_(*body) {}

  // Whose the action that Next() returned is: the event that answers it goes there.
  enum class Part { kCommands, kAuth, kEnvelope, kBody };
  Part part() const { return part_; }

  // Takes the next command from the input. The action to carry out; nothing: it has been answered, or the session is
  // over.
  std::optional<Action> Next();
  // The event that answers an action of kCommands. Likewise.
  std::optional<Action> Resume(const Event& event);

  // From now on QUIT alone is served, everything else gets `reply`; and that not for long.
  void RefuseAll(Reply (*reply)());

 private:
  enum class State { kIdle, kReading, kHandshake, kResetting };

  std::optional<Action> Read();
  std::optional<Action> Take(std::string_view line);
  std::optional<Action> Answer(ParsedCommand& parsed);
  std::optional<Action> Dispatch(ParsedCommand& parsed);
  Reply TlsRequired();
  std::optional<Reply> WhyNotNow(Verb verb) const;
  std::optional<Action> Refuse(const ParsedCommand& parsed, const Reply& reply);
  std::optional<Action> Wait(Part part, std::optional<Action> action);
  std::optional<Action> Reset();

  std::optional<Action> Hello(std::string_view client_name, bool esmtp);
  std::optional<Action> BeginTls();

  SessionContext& context_;
  AuthExchange& auth_;
  Envelope& envelope_;
  MessageBody& body_;
  Part part_ = Part::kCommands;
  State state_ = State::kIdle;
  std::optional<base::MonotonicTime> refused_until_;
  Reply (*refusal_)() = nullptr;  // until then
};

}  // namespace gatepost::smtp
