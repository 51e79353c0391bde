#include <utility>

#include "services/sasl/claim.h"
#include "services/sasl/mechanism.h"

namespace gatepost::sasl {
namespace {

class External final : public Mechanism {
 public:
  Step First(std::optional<std::string_view> initial_response) override {
    if (!initial_response) return Challenge{};
    return Next(*initial_response);
  }

  Step Next(std::string_view response) override {
    if (std::exchange(over_, true) || (!response.empty() && !IsLogin(response))) return Malformed{};
    return CertificateClaim{std::string(response)};
  }

 private:
  bool over_ = false;
};

}  // namespace

std::unique_ptr<Mechanism> MakeExternal() { return std::make_unique<External>(); }

}  // namespace gatepost::sasl
