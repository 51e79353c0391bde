// Octets of a client -> session -> octets for the next hop (threats S9, P7). The first octet chooses:
//   'M'  the rest are choices: a sequence of commands, answered by the session and by the reference model alike
//   'X'  as below, and the next hop has all extensions
//   else eight choices (the settings), then what the client sends, octet for octet
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "services/smtp/testing/session_runs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  bool model = data[0] == 'M';
  std::string_view choices(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string_view octets;
  if (!model && choices.size() > 8) {
    octets = choices.substr(8);
    choices = choices.substr(0, 8);
  }
  size_t at = 0;
  auto next = [&](uint32_t bound) -> uint32_t {
    if (at == choices.size()) return 0;
    return static_cast<uint8_t>(choices[at++]) % bound;
  };
  std::string fault =
      model ? gatepost::smtp::RunAgainstModel(next, 60) : gatepost::smtp::RunOctets(octets, next, data[0] == 'X');
  if (!fault.empty()) {
    std::fprintf(stderr, "%s\n", fault.c_str());
    std::abort();
  }
  return 0;
}
