#include <utility>

#include "services/sasl/claim.h"
#include "services/sasl/mechanism.h"

namespace gatepost::sasl {
namespace {

class Plain final : public Mechanism {
 public:
  Step First(std::optional<std::string_view> initial_response) override {
    if (!initial_response) return Challenge{};
    over_ = true;
    return Parse(*initial_response);
  }
  Step Next(std::string_view response) override {
    return std::exchange(over_, true) ? Step(Malformed{}) : Parse(response);
  }

 private:
  // message = [authzid] NUL authcid NUL passwd: exactly two NULs.
  static Step Parse(std::string_view message) {
    if (message.size() > kMostOctets) return Malformed{};
    const size_t first = message.find('\0');
    if (first == std::string_view::npos) return Malformed{};
    const size_t second = message.find('\0', first + 1);
    if (second == std::string_view::npos) return Malformed{};
    const std::string_view authorization = message.substr(0, first);
    const std::string_view login = message.substr(first + 1, second - first - 1);
    const std::string_view password = message.substr(second + 1);
    // IsText refuses a third NUL.
    if ((!authorization.empty() && !IsLogin(authorization)) || !IsLogin(login) || !IsText(password, kMostOctets))
      return Malformed{};
    return PasswordClaim{std::string(authorization), std::string(login), base::Secret(password)};
  }

  // A message came: there is no second try.
  bool over_ = false;
};

}  // namespace

std::unique_ptr<Mechanism> MakePlain() { return std::make_unique<Plain>(); }

}  // namespace gatepost::sasl
