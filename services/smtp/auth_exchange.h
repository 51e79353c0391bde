// AUTH (RFC 4954): from the command to its final reply. The octets of the exchange go between the client and the auth
// service, in base64 on one side only; no mechanism is known here but for who speaks first.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/base/secret.h"
#include "services/smtp/command.h"
#include "services/smtp/session_context.h"
#include "services/smtp/session_events.h"

namespace gatepost::smtp {

class AuthExchange {
 public:
  // `context` outlives it.
  explicit AuthExchange(SessionContext* context) : context_(*context) {}

  // The command came, after EHLO; whoever took its line wipes it. The action to carry out; nothing: it has been answered.
  std::optional<Action> Begin(const AuthCommand& command);
  // The event that answers the action. Likewise.
  std::optional<Action> Resume(const Event& event);
  // Who has proved its identity and has yet to take note of the mechanism's last words; or nullptr.
  const policy::Identity* proved() const { return proved_ ? &*proved_ : nullptr; }
  // The session ends: what the auth service must be told, if anything.
  std::optional<Action> Abandon();

 private:
  enum class State { kIdle, kReading, kAsking, kCancelling, kDelaying };

  std::optional<Action> Ask(base::Secret response);
  std::optional<Action> Challenge(std::string_view octets);
  std::optional<Action> NextLine();
  std::optional<Action> TakeLine(std::string_view line);
  std::optional<Action> TakeAnswer(const AuthAnswer& answer);
  // The client has spoilt the exchange.
  std::optional<Action> Spoil(const Reply& reply, AuthOutcome outcome);
  void Accept(policy::Identity identity);
  void Report(AuthOutcome outcome);
  base::Duration Tarpit();
  void Forget();

  SessionContext& context_;
  State state_ = State::kIdle;
  bool started_ = false;  // the auth service knows of the exchange
  std::string mechanism_;
  std::optional<policy::Identity> proved_;  // until the client has taken note of the mechanism's last words
  base::Secret response_;  // what AuthStart and AuthRespond point to
};

}  // namespace gatepost::smtp
