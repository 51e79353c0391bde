// MAIL and RCPT: the rules of the protocol, then policy, then (from the first accepted recipient on) the next hop.
#pragma once

#include <optional>

#include "services/smtp/command.h"
#include "services/smtp/session_context.h"
#include "services/smtp/session_events.h"

namespace gatepost::smtp {

class Envelope {
 public:
  // `context` outlives it.
  explicit Envelope(SessionContext* context) : context_(*context) {}

  // The command came (after EHLO or HELO, not between BDATs). The action to carry out; nothing: it has been answered.
  std::optional<Action> Mail(MailCommand command);
  std::optional<Action> Rcpt(RcptCommand command);
  // The event that answers the action. Likewise.
  std::optional<Action> Resume(const Event& event);

 private:
  enum class State {
    kIdle,
    kJudgingMail,
    kLookingUpName,
    kAskingBlockLists,
    kJudgingRecipient,
    kNamingClient,
    kAskingUpstream
  };

  bool TooBig(const MailCommand& command);
  std::optional<Action> JudgeRcpt();
  void OpenTransactionHere();
  std::optional<Action> AskUpstream();
  Action OpenUpstream();
  bool DataFollows() const;
  void TakeOutcome(const UpstreamOutcome& outcome);
  void RefuseRecipient(const Reply& reply);

  SessionContext& context_;
  State state_ = State::kIdle;
  MailCommand mail_;
  RcptCommand rcpt_;
  // Of OpenTransaction.
  MailCommand upstream_mail_;
  ClientIdentity client_;
};

}  // namespace gatepost::smtp
