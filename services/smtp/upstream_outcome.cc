#include "services/smtp/upstream_outcome.h"

#include <algorithm>
#include <array>
#include <utility>

#include "services/base/strings.h"
#include "services/smtp/replies.h"

namespace gatepost::smtp {
namespace {

// The next hop finds fault with us, not with the message. Passed on, a 530 would make a client ask for a password.
bool IsOurFault(int code) {
  static constexpr std::array<int, 10> kCodes = {500, 501, 502, 503, 504, 530, 534, 535, 538, 555};
  return std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end();
}

}  // namespace

bool UpstreamOutcome::connection_lost() const {
  switch (kind) {
    case Kind::kAccepted:
    case Kind::kCannotCarry:
    case Kind::kNotInternational:
    case Kind::kLacksExtension:
      return false;
    case Kind::kRefused:
      return reply.code == 421;
    default:
      return true;
  }
}

bool UpstreamOutcome::misconfigured() const {
  return kind == Kind::kRefusedUs || kind == Kind::kLacksExtension ||
         (kind == Kind::kRefused && IsOurFault(reply.code));
}

UpstreamOutcome UpstreamOutcome::Accepted(UpstreamReply reply) {
  UpstreamOutcome outcome;
  outcome.reply = std::move(reply);
  return outcome;
}

UpstreamOutcome UpstreamOutcome::Refused(UpstreamReply reply, bool whole_transaction) {
  UpstreamOutcome outcome;
  outcome.kind = Kind::kRefused;
  outcome.whole_transaction = whole_transaction || reply.code == 421;
  outcome.reply = std::move(reply);
  return outcome;
}

UpstreamOutcome UpstreamOutcome::Failed(Kind kind, std::string detail) {
  UpstreamOutcome outcome;
  outcome.kind = kind;
  outcome.whole_transaction = true;
  outcome.detail = std::move(detail);
  return outcome;
}

Reply ReplyToClient(const UpstreamOutcome& outcome, policy::Dialect dialect) {
  using Kind = UpstreamOutcome::Kind;
  switch (outcome.kind) {
    case Kind::kAccepted:
      break;
    case Kind::kRefused: {
      const UpstreamReply& reply = outcome.reply;
      if (IsOurFault(reply.code)) return replies::UpstreamMisconfigured();
      const std::string enhanced = reply.enhanced();
      return replies::UpstreamRefused(reply.code == 421 ? 451 : reply.code,
                                      enhanced.empty() ? base::StrCat(reply.reply_class(), ".0.0") : enhanced,
                                      reply.text());
    }
    case Kind::kRefusedUs:
    case Kind::kLacksExtension:
      return replies::UpstreamMisconfigured();
    case Kind::kUnreachable:
    case Kind::kLost:
      return replies::UpstreamUnreachable(dialect);
    case Kind::kOutOfStep:
    case Kind::kInDoubt:
      return replies::UpstreamLost(dialect);
    case Kind::kTlsNotOffered:
      return replies::UpstreamTlsNotOffered();
    case Kind::kTlsFailed:
      return replies::UpstreamTlsFailed();
    case Kind::kNoConnection:
      return replies::NoUpstreamConnection();
    case Kind::kCannotCarry:
      return replies::BodyTypeNotOffered();
    case Kind::kNotInternational:
      return replies::RecipientNotAscii();
  }
  // An accepted step has its own reply; this is the safe answer to a caller that asks for a refusal.
  return replies::UpstreamLost(dialect);
}

}  // namespace gatepost::smtp
