// One SASL exchange: brings a mechanism what it needs until the client has to answer, or the exchange is judged. It is
// driven by one caller at a time: nothing is asked of it while an answer is outstanding.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/auth/admission.h"
#include "services/auth/authenticator.h"
#include "services/sasl/mechanism.h"

namespace gatepost::auth {

// Says what a bearer token is worth.
class TokenJudge {
 public:
  virtual ~TokenJudge() = default;
  using Done = std::function<void(sasl::TokenVerdict)>;
  // Once, on this thread or another. `issuers`: whose tokens are taken; empty: everybody's who is known.
  virtual void Judge(std::string token, const std::vector<std::string>& issuers, Done done) = 0;
};

class SaslExchange final : public std::enable_shared_from_this<SaslExchange> {
 public:
  struct Judges {
    Authenticator& passwords;
    Admission& admission;
    TokenJudge* tokens;  // nullptr: there are no issuers
  };
  using Answer = std::variant<sasl::Challenge, Judgement>;
  // On the thread that called, or one of the judges'.
  using Done = std::function<void(Answer)>;

  // The judges outlive it. *cancelled: nobody waits for the answer any more.
  SaslExchange(const Judges& judges, std::unique_ptr<sasl::Mechanism> mechanism, Client client,
               std::vector<std::string> token_issuers, std::shared_ptr<const std::atomic<bool>> cancelled)
      : judges_(judges),
        mechanism_(std::move(mechanism)),
        client_(std::move(client)),
        token_issuers_(std::move(token_issuers)),
        cancelled_(std::move(cancelled)) {}

  void Begin(std::optional<std::string_view> initial_response, Done done) {
    Drive(mechanism_->First(initial_response), std::move(done));
  }
  void Continue(std::string_view response, Done done) { Drive(mechanism_->Next(response), std::move(done)); }

 private:
  void Drive(sasl::Step step, Done done);
  Judgement Conclude(sasl::Step& step);

  const Judges judges_;
  const std::unique_ptr<sasl::Mechanism> mechanism_;
  const Client client_;
  const std::vector<std::string> token_issuers_;
  const std::shared_ptr<const std::atomic<bool>> cancelled_;
  std::optional<Admission::Subject> subject_;
};

}  // namespace gatepost::auth
