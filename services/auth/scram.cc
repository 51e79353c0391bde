#include "services/auth/scram.h"

#include <optional>
#include <utility>

#include "services/base/base64.h"
#include "services/base/check.h"
#include "services/sasl/scram_message.h"

namespace gatepost::auth {
namespace {

using Binding = sasl::ScramClientFirst::Binding;

constexpr std::string_view kBindingName = "tls-exporter";

struct FinishSession {
  void operator()(Gsasl_session* session) const { gsasl_finish(session); }
};

class Scram final : public sasl::Mechanism {
 public:
  Scram(Gsasl_session* session, bool plus, std::string exporter)
      : session_(session), plus_(plus), exporter_(std::move(exporter)) {}

  sasl::Step First(std::optional<std::string_view> initial_response) override {
    if (initial_response) return TakeFirst(*initial_response);
    state_ = State::kAsked;
    return sasl::Challenge{};
  }

  sasl::Step Next(std::string_view response) override {
    switch (std::exchange(state_, State::kOver)) {
      case State::kAsked:
        return TakeFirst(response);
      case State::kChallenged:
        return TakeFinal(response);
      default:
        return sasl::Malformed{};
    }
  }

  sasl::Step Provide(const sasl::Provision& provision) override {
    const auto* secret = std::get_if<sasl::ScramSecret>(&provision);
    if (std::exchange(state_, State::kOver) != State::kNeedsSecret || secret == nullptr) return sasl::Malformed{};
    // The library finds a downgrade ("y" while there is a binding) if it knows the binding without -PLUS too.
    if (!exporter_.empty()) Set(GSASL_CB_TLS_EXPORTER, base::Base64Encode(exporter_));
    Set(GSASL_SCRAM_SALT, base::Base64Encode(secret->salt));
    Set(GSASL_SCRAM_ITER, std::to_string(secret->iterations));
    Set(GSASL_SCRAM_STOREDKEY, base::Base64Encode(secret->stored_key));
    Set(GSASL_SCRAM_SERVERKEY, base::Base64Encode(secret->server_key));
    std::string challenge;
    const int code = Advance(message_, &challenge);
    if (code != GSASL_NEEDS_MORE) return Failed(code);
    state_ = State::kChallenged;
    return sasl::Challenge{std::move(challenge)};
  }

 private:
  enum class State { kAsked, kNeedsSecret, kChallenged, kOver };

  sasl::Step TakeFirst(std::string_view message) {
    state_ = State::kOver;
    std::optional<sasl::ScramClientFirst> first = sasl::ParseScramClientFirst(message);
    if (!first) return sasl::Malformed{};
    if (plus_ != (first->binding == Binding::kUsed)) return sasl::Rejected{"binding"};
    if (plus_ && first->binding_name != kBindingName) return sasl::Rejected{"binding"};
    if (first->binding == Binding::kNotOffered && !exporter_.empty()) return sasl::Rejected{"downgrade"};
    message_ = std::string(message);
    login_ = std::move(first->login);
    authorization_ = std::move(first->authorization);
    state_ = State::kNeedsSecret;
    return sasl::NeedSecret{sasl::SecretKind::kScramSha256, login_};
  }

  sasl::Step TakeFinal(std::string_view message) {
    if (message.size() > sasl::kMostOctets || message.find('\0') != message.npos) return sasl::Malformed{};
    std::string final;
    const int code = Advance(message, &final);
    if (code != GSASL_OK) return Failed(code);
    return sasl::Proved{login_, authorization_, std::move(final)};
  }

  static sasl::Step Failed(int code) {
    switch (code) {
      case GSASL_AUTHENTICATION_ERROR:
        return sasl::Rejected{"wrong_password"};
      case GSASL_MALLOC_ERROR:
      case GSASL_CRYPTO_ERROR:
        return sasl::Unavailable{"gsasl"};
      default:
        return sasl::Malformed{};
    }
  }

  void Set(Gsasl_property property, const std::string& value) {
    GATEPOST_CHECK(gsasl_property_set(session_.get(), property, value.c_str()) == GSASL_OK);
  }

  int Advance(std::string_view in, std::string* out) {
    char* octets = nullptr;
    size_t size = 0;
    const int code = gsasl_step(session_.get(), in.data(), in.size(), &octets, &size);
    if (octets != nullptr) out->assign(octets, size);
    gsasl_free(octets);
    return code;
  }

  const std::unique_ptr<Gsasl_session, FinishSession> session_;
  const bool plus_;
  const std::string exporter_;
  State state_ = State::kOver;
  std::string message_, login_, authorization_;
};

}  // namespace

ScramServer::ScramServer() { GATEPOST_CHECK(gsasl_init(&context_) == GSASL_OK); }
ScramServer::~ScramServer() { gsasl_done(context_); }

std::unique_ptr<sasl::Mechanism> ScramServer::Make(bool plus, std::string exporter) const {
  if (plus && exporter.empty()) return nullptr;
  Gsasl_session* session = nullptr;
  if (gsasl_server_start(context_, plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256", &session) != GSASL_OK) return nullptr;
  return std::make_unique<Scram>(session, plus, std::move(exporter));
}

}  // namespace gatepost::auth
