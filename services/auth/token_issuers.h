// Who issues bearer tokens that are taken, and what their tokens are worth. Keys are fetched on a thread of its own:
// anew every 10 min, and when a token names a key that is not known, at most every 30 s; a source that fails is asked
// again after 1 s, doubled up to 5 min, and until then what is known is believed. A token that needs keys which are
// being fetched waits for them. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "services/auth/jwt.h"
#include "services/auth/key_source.h"
#include "services/auth/sasl_exchange.h"
#include "services/base/bell.h"
#include "services/base/clock.h"
#include "services/base/log.h"

namespace gatepost::auth {

struct TokenIssuer {
  std::string name;  // what virtual servers call it
  JwtRules rules;
  std::string jwks;  // an absolute path, or an https:// URL
};

// {"issuers": [{"name": ..., "iss": ..., "aud": ..., "jwks": ..., "login_claim": "email", "skew_seconds": 60}]}, at
// most 100; the last two may be left out. INVALID_ARGUMENT says what is wrong.
absl::StatusOr<std::vector<TokenIssuer>> ParseTokenIssuers(std::string_view json);

class TokenIssuers final : public TokenJudge {
 public:
  static constexpr std::chrono::minutes kRefresh{10};
  static constexpr std::chrono::seconds kBetweenFetches{30};
  static constexpr std::chrono::seconds kBackoffLeast{1};
  static constexpr std::chrono::minutes kBackoffMost{5};
  static constexpr size_t kMostWaiting = 1'000;

  // The references outlive it. Every source is asked at once.
  TokenIssuers(std::vector<TokenIssuer> issuers, KeySource& source, const base::Clock& clock, base::Log& log);
  ~TokenIssuers() override { Stop(); }
  // What waits is answered.
  void Stop();

  void Judge(std::string token, const std::vector<std::string>& issuers, Done done) override;

 private:
  struct Waiting {
    std::string token;
    Done done;
  };
  struct Issuer {
    TokenIssuer settings;
    std::shared_ptr<const JwtKeys> keys;  // nullptr: none were to be had yet
    bool wanted = true;
    base::MonotonicTime refresh{};   // when to fetch in any case
    base::MonotonicTime earliest{};  // when to fetch for an unknown key
    base::Duration backoff = kBackoffLeast;
    std::vector<Waiting> waiting;
  };

  void Run();
  void Fetch(Issuer* issuer) ABSL_LOCKS_EXCLUDED(mutex_);
  sasl::TokenVerdict Verdict(std::string_view token, const Issuer& issuer) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  KeySource& source_;
  const base::Clock& clock_;
  base::Log& log_;
  base::Bell bell_;  // Rung when a key is wanted, and at the end.
  mutable absl::Mutex mutex_;
  std::vector<std::unique_ptr<Issuer>> issuers_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace gatepost::auth
