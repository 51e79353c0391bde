// PLAIN and LOGIN from any octets, and base64: what is accepted is within its bounds and round-trips; nothing is cut at a NUL.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "services/base/base64.h"
#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/sasl/mechanism.h"

namespace {

using gatepost::sasl::PasswordClaim;
using gatepost::sasl::Step;

void CheckClaim(const PasswordClaim& claim) {
  GATEPOST_CHECK(!claim.login.empty() && claim.login.size() <= gatepost::sasl::kMostLoginOctets);
  GATEPOST_CHECK(!claim.password.empty());
  const std::string_view texts[] = {claim.authorization, claim.login, claim.password.view()};
  for (const std::string_view text : texts) {
    GATEPOST_CHECK(text.find('\0') == text.npos && gatepost::base::IsValidUtf8(text));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);

  if (const std::optional<std::string> octets = gatepost::base::Base64Decode(input)) {
    GATEPOST_CHECK(gatepost::base::Base64Encode(*octets) == input);
  }
  GATEPOST_CHECK(gatepost::base::Base64Decode(gatepost::base::Base64Encode(input)) == input);

  const Step plain = gatepost::sasl::MakePlain()->First(input);
  if (const auto* claim = std::get_if<PasswordClaim>(&plain)) {
    CheckClaim(*claim);
    // Exactly the octets that came, no more and no fewer.
    const std::string_view password = claim->password.view();
    GATEPOST_CHECK(gatepost::base::StrCat(claim->authorization, '\0', claim->login, '\0', password) == input);
  }

  // LOGIN: the input is two answers.
  const size_t half = size / 2;
  const auto login = gatepost::sasl::MakeLogin();
  login->First(std::nullopt);
  if (std::holds_alternative<gatepost::sasl::Challenge>(login->Next(input.substr(0, half)))) {
    const Step last = login->Next(input.substr(half));
    if (const auto* claim = std::get_if<PasswordClaim>(&last)) {
      CheckClaim(*claim);
      GATEPOST_CHECK(gatepost::base::StrCat(claim->login, claim->password.view()) == input);
    }
  }
  return 0;
}
