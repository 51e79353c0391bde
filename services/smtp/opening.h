// The start of a session: implicit TLS, who may connect, the silence that may be asked for, the greeting or what is said
// instead of it.
#pragma once

#include <optional>

#include "services/smtp/session_context.h"
#include "services/smtp/session_events.h"

namespace gatepost::smtp {

class Opening {
 public:
  // `context` outlives it.
  explicit Opening(SessionContext* context) : context_(*context) {}

  // The first event, and those that answer its actions. Nothing: the greeting has been said, or the session is over, or
  // the client was refused.
  std::optional<Action> Resume(const Event& event);

  // The client was refused by policy in the greeting: QUIT is answered, everything else is 503, and not for long.
  bool refused() const { return refused_; }

 private:
  enum class State { kStart, kHandshake, kLookingUp, kJudging, kAwaitingSilence, kDone };

  std::optional<Action> TakeStart(const Start& start);
  std::optional<Action> Judge();
  std::optional<Action> TakeVerdict(const Judged& judged);
  std::optional<Action> TakeSilence(const Event& event);
  void Greet();

  SessionContext& context_;
  State state_ = State::kStart;
  bool refused_ = false;
};

}  // namespace gatepost::smtp
