#include "services/auth/sasl_exchange.h"

#include <utility>

namespace gatepost::auth {
namespace {

Judgement Ended(Outcome outcome, std::string_view reason) {
  Judgement judgement;
  judgement.outcome = outcome;
  judgement.reason = reason;
  return judgement;
}

}  // namespace

void SaslExchange::Drive(sasl::Step step, Done done) {
  while (const auto* need = std::get_if<sasl::NeedSecret>(&step)) {
    auto found = judges_.admission.FindSecret(*need, client_, &subject_.emplace());
    if (auto* judgement = std::get_if<Judgement>(&found)) return done(std::move(*judgement));
    step = mechanism_->Provide(std::get<sasl::Provision>(found));
  }
  if (auto* challenge = std::get_if<sasl::Challenge>(&step)) return done(std::move(*challenge));
  if (auto* claim = std::get_if<sasl::PasswordClaim>(&step)) {
    return judges_.passwords.Judge(std::move(*claim), client_.default_domain, client_.address, cancelled_,
                                   [done = std::move(done)](Judgement judgement) { done(std::move(judgement)); });
  }
  if (auto* need = std::get_if<sasl::NeedToken>(&step)) {
    if (judges_.tokens == nullptr) return done(Ended(Outcome::kUnavailable, "no_issuers"));
    return judges_.tokens->Judge(
        std::move(need->token), token_issuers_,
        [self = shared_from_this(), done = std::move(done)](sasl::TokenVerdict verdict) mutable {
          self->Drive(self->mechanism_->Provide(verdict), std::move(done));
        });
  }
  done(Conclude(step));
}

Judgement SaslExchange::Conclude(sasl::Step& step) {
  if (auto* proved = std::get_if<sasl::Proved>(&step)) {
    // Others of a burst may have used up the figure since the secret was looked up.
    if (subject_ && judges_.admission.IsThrottled(*subject_, client_)) return Throttled();
    Judgement judgement =
        judges_.admission.Admit(subject_ ? &*subject_ : nullptr, proved->login, proved->authorization, client_);
    if (judgement.outcome == Outcome::kSuccess) judgement.final = std::move(proved->final);
    return judgement;
  }
  if (const auto* claim = std::get_if<sasl::CertificateClaim>(&step))
    return judges_.admission.AdmitCertificate(claim->authorization, client_);
  if (const auto* rejected = std::get_if<sasl::Rejected>(&step))
    return judges_.admission.Refuse(subject_ ? &*subject_ : nullptr, rejected->reason, client_);
  if (const auto* unavailable = std::get_if<sasl::Unavailable>(&step))
    return Ended(Outcome::kUnavailable, unavailable->reason);
  return Ended(Outcome::kMalformed, "malformed");
}

}  // namespace gatepost::auth
