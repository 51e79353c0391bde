// OAUTHBEARER (RFC 7628) and XOAUTH2.
#include <utility>

#include "services/base/strings.h"
#include "services/sasl/claim.h"
#include "services/sasl/mechanism.h"
#include "services/sasl/saslname.h"

namespace gatepost::sasl {
namespace {

// RFC 7628 3.2.2; the same for every reason.
constexpr std::string_view kRefused = R"({"status":"invalid_token","schemes":"bearer"})";
constexpr char kSeparator = '\x01';

// What both forms carry.
struct Bearer {
  std::string authorization;
  std::string token;
};

// key=value pairs, each ended by ^A, all of them by another; `auth` is one of them, once.
bool TakePairs(std::string_view text, Bearer* bearer) {
  constexpr std::string_view kScheme = "Bearer ";
  while (text != std::string_view(&kSeparator, 1)) {
    const std::optional<std::string_view> pair = TakeUntil(kSeparator, &text);
    if (!pair) return false;
    const size_t equals = pair->find('=');
    if (equals == pair->npos || equals == 0) return false;
    for (char c : pair->substr(0, equals)) {
      if (!base::IsAlpha(c)) return false;
    }
    if (pair->substr(0, equals) != "auth") continue;
    std::string_view value = pair->substr(equals + 1);
    if (!bearer->token.empty() || !base::StartsWithIgnoreCase(value, kScheme)) return false;
    value.remove_prefix(kScheme.size());
    while (value.starts_with(' ')) value.remove_prefix(1);
    if (value.empty() || !base::IsPrintableAscii(value)) return false;
    bearer->token = std::string(value);
  }
  return !bearer->token.empty();
}

// gs2-header = ("n" / "y") "," ["a=" saslname] ",": bearer tokens bind to no channel.
std::optional<Bearer> ParseOauthBearer(std::string_view message) {
  Bearer bearer;
  const std::optional<std::string_view> flag = TakeUntil(',', &message);
  if (!flag || (*flag != "n" && *flag != "y")) return std::nullopt;
  std::optional<std::string_view> name = TakeUntil(',', &message);
  if (!name) return std::nullopt;
  if (!name->empty()) {
    if (!name->starts_with("a=")) return std::nullopt;
    std::optional<std::string> decoded = DecodeSaslName(name->substr(2));
    if (!decoded || !IsLogin(*decoded)) return std::nullopt;
    bearer.authorization = *std::move(decoded);
  }
  if (!message.starts_with(kSeparator)) return std::nullopt;
  if (!TakePairs(message.substr(1), &bearer)) return std::nullopt;
  return bearer;
}

// user=NAME ^A auth=Bearer TOKEN ^A ^A
std::optional<Bearer> ParseXoauth2(std::string_view message) {
  Bearer bearer;
  const std::optional<std::string_view> user = TakeUntil(kSeparator, &message);
  if (!user || !user->starts_with("user=") || !IsLogin(user->substr(5))) return std::nullopt;
  bearer.authorization = std::string(user->substr(5));
  if (!TakePairs(message, &bearer)) return std::nullopt;
  return bearer;
}

class BearerToken final : public Mechanism {
 public:
  using Parse = std::optional<Bearer> (*)(std::string_view);
  explicit BearerToken(Parse parse) : parse_(parse) {}

  Step First(std::optional<std::string_view> initial_response) override {
    if (initial_response) return Take(*initial_response);
    state_ = State::kAsked;
    return Challenge{};
  }

  Step Next(std::string_view response) override {
    switch (std::exchange(state_, State::kOver)) {
      case State::kAsked:
        return Take(response);
      case State::kRefused:
        return Rejected{reason_};
      default:
        return Malformed{};
    }
  }

  Step Provide(const Provision& provision) override {
    const auto* verdict = std::get_if<TokenVerdict>(&provision);
    if (std::exchange(state_, State::kOver) != State::kJudging || verdict == nullptr) return Malformed{};
    if (verdict->unavailable) return Unavailable{verdict->reason};
    if (!verdict->login.empty()) return Proved{verdict->login, std::move(authorization_), std::nullopt};
    reason_ = verdict->reason;
    state_ = State::kRefused;
    return Challenge{std::string(kRefused)};
  }

 private:
  enum class State { kAsked, kJudging, kRefused, kOver };

  Step Take(std::string_view message) {
    state_ = State::kOver;
    std::optional<Bearer> bearer;
    if (message.size() <= kMostOctets && base::IsValidUtf8(message) && message.find('\0') == message.npos)
      bearer = parse_(message);
    if (!bearer) return Malformed{};
    authorization_ = std::move(bearer->authorization);
    state_ = State::kJudging;
    return NeedToken{std::move(bearer->token)};
  }

  const Parse parse_;
  State state_ = State::kOver;
  std::string authorization_;
  std::string_view reason_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeOauthBearer() { return std::make_unique<BearerToken>(ParseOauthBearer); }
std::unique_ptr<Mechanism> MakeXoauth2() { return std::make_unique<BearerToken>(ParseXoauth2); }

}  // namespace gatepost::sasl
