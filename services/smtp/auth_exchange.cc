#include "services/smtp/auth_exchange.h"

#include <algorithm>
#include <utility>

#include "services/base/base64.h"
#include "services/base/check.h"
#include "services/policy/evaluate.h"
#include "services/smtp/limits.h"
#include "services/smtp/replies.h"
#include "services/smtp/verdict_reply.h"

namespace gatepost::smtp {
namespace {

// Without an initial response such a client is sent an empty challenge; by us, it needs no auth service.
bool ClientSpeaksFirst(std::string_view mechanism) { return mechanism != "LOGIN"; }

}  // namespace

std::optional<Action> AuthExchange::Begin(const AuthCommand& command) {
  Conversation& client = context_.conversation;
  const SessionOptions& options = context_.options;
  if (context_.identity || context_.transaction.open) {
    client.Say(replies::BadSequence());
    return std::nullopt;
  }
  const policy::Verdict verdict =
      policy::JudgeMechanism(*options.virtual_server, options.client.tls, command.mechanism, options.trace);
  context_.Observe(verdict);
  if (!verdict.accepted) {
    client.Say(ReplyTo(verdict, {context_.settings, options.client, nullptr, {}}));
    return std::nullopt;
  }
  const std::vector<std::string>& servable = options.servable_mechanisms;
  if (std::find(servable.begin(), servable.end(), command.mechanism) == servable.end()) {
    // Allowed, but the auth service cannot serve it: while it serves nothing at all, a 504 would make the client give up.
    client.Say(servable.empty() ? replies::AuthUnavailable() : replies::UnknownMechanism(context_.settings.dialect));
    return std::nullopt;
  }
  mechanism_ = command.mechanism;
  started_ = false;
  proved_.reset();
  if (!command.initial_response) {
    if (mechanism_ == "NTLM") {
      client.Say(replies::NtlmSupported());
      return NextLine();
    }
    if (ClientSpeaksFirst(mechanism_)) return Challenge("");
    state_ = State::kAsking;
    started_ = true;
    return AuthStart{mechanism_, std::nullopt};
  }
  std::string_view encoded = *command.initial_response;
  if (encoded.size() > limits::kAuthResponse) return Spoil(replies::AuthTooLong(), AuthOutcome::kMalformed);
  if (encoded == "=")
    encoded = "";
  else if (encoded.empty())
    return Spoil(replies::AuthMalformed(), AuthOutcome::kMalformed);
  std::optional<base::Secret> response = base::Base64DecodeSecret(encoded);
  if (!response) return Spoil(replies::AuthMalformed(), AuthOutcome::kMalformed);
  return Ask(*std::move(response));
}

std::optional<Action> AuthExchange::Resume(const Event& event) {
  Conversation& client = context_.conversation;
  switch (std::exchange(state_, State::kIdle)) {
    case State::kIdle:
      break;
    case State::kReading: {
      if (std::holds_alternative<BytesRead>(event)) return NextLine();
      const std::string& fqdn = context_.settings.fqdn;
      client.EndOfReading(event, client.in_line() ? replies::CommandTimeout(fqdn) : replies::IdleTimeout(fqdn));
      return std::nullopt;
    }
    case State::kAsking:
      return TakeAnswer(Only<AuthAnswer>(event));
    case State::kCancelling:
      return std::nullopt;
    case State::kDelaying:
      client.Say(replies::AuthRejected(context_.settings.dialect));
      if (context_.auth_failures >= context_.settings.limits.auth_failures) {
        context_.ObserveLimit("session_limits.max_auth_failures");
        client.SayLast(replies::TooManyAuthFailures(context_.settings.fqdn), SessionEnd::kLimit);
      }
      return std::nullopt;
  }
  GATEPOST_CHECK(false);
}

std::optional<Action> AuthExchange::Abandon() {
  Forget();
  if (!std::exchange(started_, false)) return std::nullopt;
  state_ = State::kCancelling;
  return AuthCancel{};
}

std::optional<Action> AuthExchange::Ask(base::Secret response) {
  context_.conversation.WipeLine();
  response_ = std::move(response);
  state_ = State::kAsking;
  if (std::exchange(started_, true)) return AuthRespond{response_.view()};
  return AuthStart{mechanism_, response_.view()};
}

std::optional<Action> AuthExchange::Challenge(std::string_view octets) {
  context_.conversation.Say(replies::Challenge(base::Base64Encode(octets)));
  return NextLine();
}

std::optional<Action> AuthExchange::NextLine() {
  Conversation& client = context_.conversation;
  std::optional<Reply> too_long;
  std::optional<std::string_view> line = client.NextLine(LineReader::Expect::kAuthResponse, &too_long);
  if (line) return TakeLine(*line);
  if (too_long) return Spoil(*too_long, AuthOutcome::kMalformed);
  if (client.over()) return std::nullopt;
  state_ = State::kReading;
  return client.ReadLine(context_.now, context_.settings.limits.idle_timeout);
}

std::optional<Action> AuthExchange::TakeLine(std::string_view line) {
  Conversation& client = context_.conversation;
  if (context_.options.observer != nullptr) context_.options.observer->OnLineIn("<sasl>");
  // Sent before our answer: RFC 4954 has one line at a time.
  if (!client.input().empty()) {
    client.SayLast(replies::ProtocolErrorClosing(), SessionEnd::kProtocolError);
    return std::nullopt;
  }
  if (line == "*") return Spoil(replies::AuthCancelled(), AuthOutcome::kCancelled);
  std::optional<base::Secret> response = base::Base64DecodeSecret(line);
  if (!response || (proved_ && !response->empty())) return Spoil(replies::AuthMalformed(), AuthOutcome::kMalformed);
  if (proved_) {
    Accept(*std::exchange(proved_, std::nullopt));
    return std::nullopt;
  }
  return Ask(*std::move(response));
}

std::optional<Action> AuthExchange::TakeAnswer(const AuthAnswer& answer) {
  Forget();
  if (const AuthChallenge* challenge = std::get_if<AuthChallenge>(&answer.answer))
    return Challenge(challenge->challenge);
  started_ = false;
  Conversation& client = context_.conversation;
  if (const AuthSuccess* success = std::get_if<AuthSuccess>(&answer.answer)) {
    if (success->final) {
      proved_ = success->identity;
      return Challenge(*success->final);
    }
    Accept(success->identity);
    return std::nullopt;
  }
  if (std::holds_alternative<AuthFailure>(answer.answer)) {
    Report(AuthOutcome::kFailure);
    state_ = State::kDelaying;
    return Delay{Tarpit()};
  }
  if (std::holds_alternative<AuthMalformed>(answer.answer))
    return Spoil(replies::AuthMalformed(), AuthOutcome::kMalformed);
  Report(AuthOutcome::kUnavailable);
  // It costs the client nothing and us an exchange: not without end.
  if (client.ChargeIdleCommand()) client.Say(replies::AuthUnavailable());
  return std::nullopt;
}

void AuthExchange::Accept(policy::Identity identity) {
  context_.identity = std::move(identity);
  Report(AuthOutcome::kSuccess);
  context_.conversation.Say(replies::AuthAccepted());
}

std::optional<Action> AuthExchange::Spoil(const Reply& reply, AuthOutcome outcome) {
  proved_.reset();
  Report(outcome);
  context_.conversation.Say(reply);
  return Abandon();
}

void AuthExchange::Report(AuthOutcome outcome) {
  if (context_.options.observer == nullptr) return;
  std::string_view login = context_.identity ? std::string_view(context_.identity->login) : "";
  context_.options.observer->OnAuth(mechanism_, outcome, login);
}

// The delay of this failure: it doubles with each in the session.
base::Duration AuthExchange::Tarpit() {
  const policy::Limits& figures = context_.settings.limits;
  auto jitter = static_cast<uint64_t>(figures.auth_failure_jitter.count());
  base::Duration delay = figures.auth_failure_delay + base::Duration(context_.options.random->Below(jitter + 1));
  for (int i = 0; i < context_.auth_failures && delay < figures.max_auth_failure_delay; ++i) delay *= 2;
  ++context_.auth_failures;
  return std::min(delay, figures.max_auth_failure_delay);
}

// What the client sent holds credentials.
void AuthExchange::Forget() {
  context_.conversation.WipeLine();
  response_.Wipe();
}

}  // namespace gatepost::smtp
