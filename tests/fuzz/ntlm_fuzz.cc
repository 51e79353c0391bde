// NTLM from any octets: a NEGOTIATE and an AUTHENTICATE, the first two octets saying where one ends. What was read lies
// inside what was sent, and nobody who does not know the hash proves anything.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "services/base/check.h"
#include "services/sasl/mechanism.h"
#include "services/sasl/ntlm.h"
#include "services/sasl/ntlm_message.h"

namespace {

using namespace gatepost::sasl;

bool Lies(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  const size_t half = (static_cast<size_t>(data[0]) << 8 | data[1]) % (input.size() + 1);
  const std::string_view first = input.substr(0, half), second = input.substr(half);

  if (const auto message = ParseNtlmAuthenticate(second)) {
    for (std::string_view part : {message->nt_response, message->domain, message->user, message->session_key})
      GATEPOST_CHECK(Lies(part, second));
  }
  if (const auto answer = ParseNtlmV2Answer(second)) {
    GATEPOST_CHECK(answer->proof.size() == 16 && Lies(answer->blob, second));
    GATEPOST_CHECK(answer->channel_binding.empty() || answer->channel_binding.size() == 16);
  }

  NtlmOptions options;
  options.end_point = std::string(32, 'e');
  const auto mechanism = MakeNtlm(options);
  Step step = mechanism->First(first);
  if (std::holds_alternative<Challenge>(step)) step = mechanism->Next(second);
  if (std::holds_alternative<NeedSecret>(step)) step = mechanism->Provide(NtHash{0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  GATEPOST_CHECK(!std::holds_alternative<Proved>(step));
  return 0;
}
