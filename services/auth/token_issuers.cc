#include "services/auth/token_issuers.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "services/auth/json.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

constexpr size_t kMostFile = 1 << 20;
constexpr int kMostIssuers = 100;
constexpr double kMostSkewSeconds = 600;
// How often the thread looks whether something is due.
constexpr std::chrono::seconds kLook{1};

sasl::TokenVerdict Unavailable(std::string_view reason) { return {.login = {}, .reason = reason, .unavailable = true}; }

absl::Status Invalid(std::string_view what) { return absl::InvalidArgumentError(base::ToAbsl(what)); }

}  // namespace

absl::StatusOr<std::vector<TokenIssuer>> ParseTokenIssuers(std::string_view json) {
  const auto object = ParseJsonObject(json, kMostFile);
  if (!object) return Invalid("not a JSON object of at most 1 MiB");
  const auto list = object->fields().find("issuers");
  if (list == object->fields().end() || list->second.list_value().values_size() == 0)
    return Invalid("`issuers` must be a list of 1 to 100");
  if (list->second.list_value().values_size() > kMostIssuers) return Invalid("`issuers` must be a list of 1 to 100");
  std::vector<TokenIssuer> issuers;
  for (const auto& value : list->second.list_value().values()) {
    const auto& members = value.struct_value();
    TokenIssuer issuer{.name = StringMember(members, "name"),
                       .rules = {.issuer = StringMember(members, "iss"),
                                 .audience = StringMember(members, "aud"),
                                 .login_claim = StringMember(members, "login_claim")},
                       .jwks = StringMember(members, "jwks")};
    const std::string where = StrCat("issuers[", issuers.size(), "]");
    if (issuer.name.empty() || issuer.rules.issuer.empty() || issuer.rules.audience.empty())
      return Invalid(StrCat(where, ": `name`, `iss` and `aud` must be given"));
    if (!issuer.jwks.starts_with('/') && !issuer.jwks.starts_with("https://"))
      return Invalid(StrCat(where, ": `jwks` must be an absolute path or an https:// URL"));
    if (issuer.rules.login_claim.empty()) issuer.rules.login_claim = "email";
    if (HasMember(members, "skew_seconds")) {
      const std::optional<double> skew = NumberMember(members, "skew_seconds");
      if (!skew || !(*skew >= 0 && *skew <= kMostSkewSeconds))
        return Invalid(StrCat(where, ": `skew_seconds` must be 0 to 600"));
      issuer.rules.skew = std::chrono::seconds(static_cast<int64_t>(*skew));
    }
    for (const TokenIssuer& other : issuers) {
      if (other.name == issuer.name || other.rules.issuer == issuer.rules.issuer)
        return Invalid(StrCat(where, ": its `name` or `iss` is another's"));
    }
    issuers.push_back(std::move(issuer));
  }
  return issuers;
}

TokenIssuers::TokenIssuers(std::vector<TokenIssuer> issuers, KeySource& source, const base::Clock& clock,
                           base::Log& log)
    : source_(source), clock_(clock), log_(log) {
  {
    absl::MutexLock lock(&mutex_);
    for (TokenIssuer& issuer : issuers) {
      issuers_.push_back(std::make_unique<Issuer>());
      issuers_.back()->settings = std::move(issuer);
    }
  }
  bell_.Ring();
  thread_ = std::thread([this] { Run(); });
}

void TokenIssuers::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  bell_.Ring();
  if (thread_.joinable()) thread_.join();
  std::vector<Waiting> waiting;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& issuer : issuers_) {
      std::move(issuer->waiting.begin(), issuer->waiting.end(), std::back_inserter(waiting));
      issuer->waiting.clear();
    }
  }
  for (Waiting& one : waiting) one.done(Unavailable("stopping"));
}

void TokenIssuers::Judge(std::string token, const std::vector<std::string>& issuers, Done done) {
  const JwtHints hints = ReadJwtHints(token);
  sasl::TokenVerdict verdict{.login = {}, .reason = hints.issuer.empty() ? "not_a_jwt" : "issuer"};
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& issuer : issuers_) {
      const TokenIssuer& settings = issuer->settings;
      if (settings.rules.issuer != hints.issuer) continue;
      if (!issuers.empty() && std::find(issuers.begin(), issuers.end(), settings.name) == issuers.end()) break;
      const bool known = issuer->keys != nullptr && (hints.kid.empty() || issuer->keys->Has(hints.kid));
      const bool may_fetch = issuer->wanted || clock_.Now() >= issuer->earliest;
      if (!known && may_fetch && !stop_ && issuer->waiting.size() < kMostWaiting) {
        issuer->wanted = true;
        bell_.Ring();
        issuer->waiting.push_back({std::move(token), std::move(done)});
        return;
      }
      verdict = Verdict(token, *issuer);
      break;
    }
  }
  done(std::move(verdict));
}

sasl::TokenVerdict TokenIssuers::Verdict(std::string_view token, const Issuer& issuer) const {
  if (issuer.keys == nullptr) return Unavailable("no_keys");
  JwtVerdict verdict = VerifyJwt(token, *issuer.keys, issuer.settings.rules, clock_.WallNow());
  return {.login = std::move(verdict.login), .reason = verdict.reason};
}

void TokenIssuers::Run() {
  while (true) {
    std::vector<Issuer*> due;
    bell_.Wait(kLook);
    {
      absl::MutexLock lock(&mutex_);
      if (stop_) return;
      const base::MonotonicTime now = clock_.Now();
      for (const auto& issuer : issuers_) {
        if (issuer->wanted || now >= issuer->refresh) due.push_back(issuer.get());
      }
    }
    for (Issuer* issuer : due) Fetch(issuer);
  }
}

void TokenIssuers::Fetch(Issuer* issuer) {
  std::string location, name;
  {
    absl::MutexLock lock(&mutex_);
    location = issuer->settings.jwks;
    name = issuer->settings.name;
  }
  const absl::StatusOr<std::string> text = source_.Fetch(location);
  absl::StatusOr<std::shared_ptr<const JwtKeys>> keys =
      text.ok() ? JwtKeys::Parse(*text) : absl::StatusOr<std::shared_ptr<const JwtKeys>>(text.status());
  if (!keys.ok())
    log_.Warning("jwks_not_fetched", {{"issuer", name}, {"error", base::FromAbsl(keys.status().message())}});
  std::vector<std::pair<Done, sasl::TokenVerdict>> answers;
  {
    absl::MutexLock lock(&mutex_);
    const base::MonotonicTime now = clock_.Now();
    issuer->wanted = false;
    if (keys.ok()) {
      issuer->keys = *std::move(keys);
      issuer->backoff = kBackoffLeast;
      issuer->refresh = now + kRefresh;
      issuer->earliest = now + kBetweenFetches;
    } else {
      issuer->refresh = issuer->earliest = now + issuer->backoff;
      issuer->backoff = std::min<base::Duration>(2 * issuer->backoff, kBackoffMost);
    }
    for (Waiting& one : issuer->waiting) answers.emplace_back(std::move(one.done), Verdict(one.token, *issuer));
    issuer->waiting.clear();
  }
  for (auto& [done, verdict] : answers) done(std::move(verdict));
}

}  // namespace gatepost::auth
