#include "services/smtp/envelope.h"

#include <algorithm>
#include <utility>

#include "services/base/check.h"
#include "services/policy/evaluate.h"
#include "services/smtp/replies.h"
#include "services/smtp/verdict_reply.h"

namespace gatepost::smtp {

std::optional<Action> Envelope::Mail(MailCommand command) {
  Conversation& client = context_.conversation;
  const policy::Limits& figures = context_.settings.limits;
  if (context_.transaction.open) {
    client.Say(replies::BadSequence());
    return std::nullopt;
  }
  if (figures.messages != 0 && context_.messages >= figures.messages) {
    context_.ObserveLimit("message_limits.max_messages");
    client.SayLast(replies::TooManyMessages(context_.settings.fqdn), SessionEnd::kLimit);
    return std::nullopt;
  }
  if (TooBig(command)) return std::nullopt;
  client.AllowUtf8(command.smtputf8);
  mail_ = std::move(command);
  state_ = State::kJudgingMail;
  return JudgeMail{&context_.options.client, context_.who(), &mail_.path};
}

// SIZE= beyond what may come: it has been answered.
bool Envelope::TooBig(const MailCommand& command) {
  Conversation& client = context_.conversation;
  const policy::Limits& figures = context_.settings.limits;
  if (!command.size) return false;
  uint64_t limit = context_.MessageSizeLimit();
  if (limit != 0 && *command.size > limit) {
    context_.ObserveLimit("message_limits.max_message_octets");
    client.Say(replies::MessageTooBig());
    return true;
  }
  if (figures.session_size != 0 &&
      *command.size > figures.session_size - std::min(figures.session_size, context_.session_octets)) {
    context_.ObserveLimit("message_limits.max_session_octets");
    client.Say(replies::MessageTooBig());
    client.SayLast(replies::SessionTooBig(context_.settings.fqdn), SessionEnd::kLimit);
    return true;
  }
  return false;
}

std::optional<Action> Envelope::Rcpt(RcptCommand command) {
  Conversation& client = context_.conversation;
  Transaction& transaction = context_.transaction;
  if (!transaction.open) {
    client.Say(replies::BadSequence());
    return std::nullopt;
  }
  if (transaction.recipients >= context_.settings.limits.recipients) {
    context_.ObserveLimit("message_limits.max_recipients");
    if (client.ChargeExcessRecipient()) client.Say(replies::TooManyRecipients());
    return std::nullopt;
  }
  if (transaction.mail.path.null() && transaction.recipients > 0) {
    RefuseRecipient(replies::NullSenderOneRecipient());
    return std::nullopt;
  }
  rcpt_ = std::move(command);
  return JudgeRcpt();
}

// Policy's verdict, once it is known what it needs.
std::optional<Action> Envelope::JudgeRcpt() {
  const policy::ClientFacts& client = context_.options.client;
  const Mailbox& recipient = rcpt_.path.mailbox;
  switch (policy::LookupForRecipient(*context_.options.virtual_server, client, context_.who(),
                                     {recipient.local, recipient.domain})) {
    case policy::Lookup::kClientName:
      state_ = State::kLookingUpName;
      return LookUpClientName{&client};
    case policy::Lookup::kBlockLists:
      state_ = State::kAskingBlockLists;
      return LookUpBlockLists{&client};
    case policy::Lookup::kNone:
      break;
  }
  state_ = State::kJudgingRecipient;
  return JudgeRecipient{&client, context_.who(), &context_.transaction.mail.path, &rcpt_.path};
}

std::optional<Action> Envelope::Resume(const Event& event) {
  switch (std::exchange(state_, State::kIdle)) {
    case State::kIdle:
      break;
    case State::kJudgingMail: {
      const policy::Verdict& verdict = Only<Judged>(event).verdict;
      context_.Observe(verdict);
      if (verdict.accepted) {
        OpenTransactionHere();
      } else {
        std::string sender = mail_.path.canonical();
        context_.conversation.Say(
            ReplyTo(verdict, {context_.settings, context_.options.client, context_.who(), sender}));
        context_.conversation.AllowUtf8(false);
      }
      return std::nullopt;
    }
    case State::kLookingUpName:
      context_.options.client.name = Only<ClientNameFound>(event).name;
      return JudgeRcpt();
    case State::kAskingBlockLists:
      context_.options.client.listing = Only<BlockListsAsked>(event).listing;
      return JudgeRcpt();
    case State::kJudgingRecipient: {
      const policy::Verdict& verdict = Only<Judged>(event).verdict;
      context_.Observe(verdict);
      if (verdict.accepted) return AskUpstream();
      std::string recipient = rcpt_.path.canonical();
      RefuseRecipient(ReplyTo(verdict, {context_.settings, context_.options.client, context_.who(), recipient}));
      return std::nullopt;
    }
    case State::kNamingClient:
      context_.options.client.name = Only<ClientNameFound>(event).name;
      return OpenUpstream();
    case State::kAskingUpstream:
      TakeOutcome(Only<UpstreamDone>(event).outcome);
      return std::nullopt;
  }
  GATEPOST_CHECK(false);
}

void Envelope::OpenTransactionHere() {
  // What could not be said a transaction ago may be known now.
  policy::ClientFacts& client = context_.options.client;
  if (client.name.state == policy::ClientName::State::kFailed) client.name = {};
  if (client.listing.state == policy::BlockListing::State::kFailed) client.listing = {};
  ++context_.transactions;
  context_.transaction.open = true;
  context_.transaction.mail = std::move(mail_);
  context_.conversation.ForgetIdleCommands();
  context_.conversation.Say(replies::SenderOk());
}

std::optional<Action> Envelope::AskUpstream() {
  Transaction& transaction = context_.transaction;
  if (transaction.upstream_failure) {
    RefuseRecipient(*transaction.upstream_failure);
    return std::nullopt;
  }
  if (transaction.upstream != Transaction::Upstream::kOpen) return OpenUpstream();
  state_ = State::kAskingUpstream;
  return AddRecipient{&rcpt_, DataFollows()};
}

Action Envelope::OpenUpstream() {
  const policy::ClientFacts& client = context_.options.client;
  const policy::Delivery& delivery = context_.settings.delivery;
  const bool tell = delivery.client_identity == policy::ClientIdentity::kXclient;
  if (tell && client.name.state == policy::ClientName::State::kUnasked) {
    state_ = State::kNamingClient;
    return LookUpClientName{&client};
  }
  state_ = State::kAskingUpstream;
  OpenTransaction open{.mail = &context_.transaction.mail, .recipient = &rcpt_, .client = nullptr};
  const std::string& domain = open.mail->path.mailbox.domain;
  if (!delivery.masquerade_domain.empty() && context_.options.virtual_server->local_domains().Find(domain)) {
    upstream_mail_ = *open.mail;
    upstream_mail_.path.mailbox.domain = delivery.masquerade_domain;
    open.mail = &upstream_mail_;
  }
  if (tell) {
    client_ = context_.Client();
    open.client = &client_;
  }
  open.data_follows = DataFollows();
  return open;
}

// A binary message is refused by DATA (RFC 3030 3).
bool Envelope::DataFollows() const {
  return context_.conversation.DataFollows() && context_.transaction.mail.body != BodyType::kBinaryMime;
}

void Envelope::TakeOutcome(const UpstreamOutcome& outcome) {
  Transaction& transaction = context_.transaction;
  if (outcome.accepted()) {
    transaction.upstream = Transaction::Upstream::kOpen;
    if (transaction.recipients++ == 0) transaction.first_recipient = rcpt_.path.canonical();
    context_.conversation.Say(replies::RecipientOk());
    return;
  }
  Reply reply = ReplyToClient(outcome, context_.settings.dialect);
  // There is no transaction at the next hop, and there will be none.
  bool over_there = outcome.whole_transaction || outcome.connection_lost();
  transaction.upstream = over_there ? Transaction::Upstream::kNone : Transaction::Upstream::kOpen;
  if (over_there) transaction.upstream_failure = reply;
  RefuseRecipient(reply);
}

void Envelope::RefuseRecipient(const Reply& reply) {
  ++context_.transaction.refused_recipients;
  if (context_.conversation.ChargeRefusedRecipient()) context_.conversation.Say(reply);
}

}  // namespace gatepost::smtp
