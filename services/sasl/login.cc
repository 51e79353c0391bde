#include "services/sasl/claim.h"
#include "services/sasl/mechanism.h"

namespace gatepost::sasl {
namespace {

// Exactly these: Outlook compares them (protocol.md 3).
constexpr std::string_view kUserPrompt = "Username:";
constexpr std::string_view kPasswordPrompt = "Password:";

class Login final : public Mechanism {
 public:
  Step First(std::optional<std::string_view> initial_response) override {
    if (!initial_response) return Challenge{std::string(kUserPrompt)};
    return TakeName(*initial_response);
  }

  Step Next(std::string_view response) override {
    if (over_) return Malformed{};
    if (login_.empty()) return TakeName(response);
    over_ = true;
    if (!IsText(response, kMostOctets)) return Malformed{};
    return PasswordClaim{std::string(), login_, base::Secret(response)};
  }

 private:
  Step TakeName(std::string_view name) {
    if (!IsLogin(name)) {
      over_ = true;
      return Malformed{};
    }
    login_ = std::string(name);
    return Challenge{std::string(kPasswordPrompt)};
  }

  std::string login_;
  // A claim was made or the exchange was refused: there is no second try.
  bool over_ = false;
};

}  // namespace

std::unique_ptr<Mechanism> MakeLogin() { return std::make_unique<Login>(); }

}  // namespace gatepost::sasl
