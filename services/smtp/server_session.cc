#include "services/smtp/server_session.h"

#include <utility>

#include "services/base/check.h"
#include "services/smtp/auth_exchange.h"
#include "services/smtp/commands.h"
#include "services/smtp/envelope.h"
#include "services/smtp/message_body.h"
#include "services/smtp/opening.h"
#include "services/smtp/replies.h"
#include "services/smtp/session_context.h"

namespace gatepost::smtp {

struct ServerSession::Parts {
  explicit Parts(SessionOptions options) : context(std::move(options)) {}

  std::optional<Action> Resume(const Event& event);
  std::optional<Action> NextStep();
  Action Finish();

  enum class Phase { kOpening, kCommands, kEnding };

  SessionContext context;
  Opening opening{&context};
  AuthExchange auth{&context};
  Envelope envelope{&context};
  MessageBody body{&context};
  Commands commands{&context, &auth, &envelope, &body};
  Phase phase = Phase::kOpening;
  bool started = false;
};

ServerSession::ServerSession(SessionOptions options) : parts_(std::make_unique<Parts>(std::move(options))) {}
ServerSession::~ServerSession() = default;

Action ServerSession::Advance(base::MonotonicTime now, Event event) {
  SessionContext& context = parts_->context;
  context.now = now;
  if (!std::exchange(parts_->started, true)) context.started = now;
  std::optional<Action> action = parts_->Resume(event);
  while (!action && !context.conversation.over()) action = parts_->NextStep();
  // A part may have said the last word and still have something to be done first; then it is done, and asked again.
  if (action) return *std::move(action);
  return parts_->Finish();
}

// The event goes to whoever asked for it.
std::optional<Action> ServerSession::Parts::Resume(const Event& event) {
  switch (phase) {
    case Phase::kOpening:
      return opening.Resume(event);
    case Phase::kEnding:
      Only<Done>(event);
      return std::nullopt;
    case Phase::kCommands:
      break;
  }
  switch (commands.part()) {
    case Commands::Part::kCommands:
      return commands.Resume(event);
    case Commands::Part::kAuth:
      return auth.Resume(event);
    case Commands::Part::kEnvelope:
      return envelope.Resume(event);
    case Commands::Part::kBody:
      return body.Resume(event);
  }
  __builtin_unreachable();
}

// Nobody waits for anything: the next command.
std::optional<Action> ServerSession::Parts::NextStep() {
  if (std::exchange(phase, Phase::kCommands) == Phase::kOpening) {
    if (opening.refused()) {
      commands.RefuseAll(replies::BadSequence);
    } else if (context.too_weak) {
      commands.RefuseAll(replies::EncryptionTooWeak);
    }
  }
  return commands.Next();
}

// What is still open is given up, one action at a time; then the session closes.
Action ServerSession::Parts::Finish() {
  phase = Phase::kEnding;
  if (std::optional<Action> action = auth.Abandon()) return *std::move(action);
  body.GiveUp();
  bool in_data = context.transaction.upstream == Transaction::Upstream::kData;
  context.transaction.Reset();
  if (in_data) return DropUpstream{};
  if (context.options.observer != nullptr) context.options.observer->OnEnd(context.conversation.why());
  return Close{context.conversation.linger()};
}

InputBuffer& ServerSession::input() { return parts_->context.conversation.input(); }
std::string& ServerSession::output() { return parts_->context.conversation.output(); }
const policy::ClientFacts& ServerSession::client() const { return parts_->context.options.client; }
const policy::Identity* ServerSession::identity() const { return parts_->context.who(); }
const policy::Identity* ServerSession::almost_authenticated() const { return parts_->auth.proved(); }

}  // namespace gatepost::smtp
