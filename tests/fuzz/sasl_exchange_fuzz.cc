// Every pure mechanism, driven by messages of any octets in any number: the first octet chooses the mechanism, a line
// feed ends a message. An exchange ends; nothing follows its end; nobody is proved who was not provided for.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <variant>
#include <vector>

#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/sasl/mechanism.h"
#include "services/sasl/ntlm.h"
#include "services/sasl/scram_message.h"

namespace {

using namespace gatepost::sasl;

std::unique_ptr<Mechanism> Make(uint8_t choice) {
  switch (choice % 6) {
    case 0:
      return MakePlain();
    case 1:
      return MakeLogin();
    case 2:
      return MakeOauthBearer();
    case 3:
      return MakeXoauth2();
    case 4:
      return MakeExternal();
    default:
      return MakeNtlm({});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<std::string_view> messages = gatepost::base::Split(input, '\n');

  if (const auto first = ParseScramClientFirst(input)) {
    GATEPOST_CHECK(!first->login.empty() && first->login.size() <= kMostLoginOctets && !first->nonce.empty());
    GATEPOST_CHECK((first->binding == ScramClientFirst::Binding::kUsed) == !first->binding_name.empty());
  }

  const auto mechanism = Make(data[0]);
  Step step = (data[0] & 0x80) != 0 ? mechanism->First(std::nullopt) : mechanism->First(messages[0]);
  bool refused = false;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (const auto* token = std::get_if<NeedToken>(&step)) {
      GATEPOST_CHECK(!token->token.empty() && !refused);
      refused = true;
      step = mechanism->Provide(TokenVerdict{.login = {}, .reason = "fuzz"});
    } else if (std::holds_alternative<NeedSecret>(step)) {
      step = mechanism->Provide(NtHash{1, 2, 3});
    } else if (std::holds_alternative<Challenge>(step)) {
      step = mechanism->Next(messages[i]);
    } else {
      // Over: a claim, a refusal. What comes later changes nothing.
      step = mechanism->Next(messages[i]);
      GATEPOST_CHECK(std::holds_alternative<Malformed>(step));
    }
    GATEPOST_CHECK(!std::holds_alternative<Proved>(step));
  }
  return 0;
}
