// The acceptor of NTLM ([MS-NLMP]), version 2 alone: NEGOTIATE in, CHALLENGE out, AUTHENTICATE in. LM and NTLMv1
// answers are refused unseen, anonymous ones as well. The MIC is verified where the client announces one, and so is the
// channel binding. Pure; what is wrong with a message is Rejected, not Malformed: a client whose NTLM fails is told
// 535.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "services/sasl/mechanism.h"

namespace gatepost::sasl {

struct NtlmOptions {
  // Who we say we are: ASCII, neutral, the same for every client.
  std::string target_name = "GATEPOST";
  // Clients that announce no MIC are refused.
  bool require_mic = false;
  BindingMode binding = BindingMode::kWhenSupported;
  // tls-server-end-point (RFC 5929): the hash of our certificate; empty: the connection has none.
  std::string end_point;
  // Random, for this exchange alone: an answer to another one proves nothing.
  std::array<uint8_t, 8> challenge{};
  // 100 ns since 1601 (FILETIME).
  uint64_t timestamp = 0;
};

// The NEGOTIATE is the initial response, or the answer to an empty challenge.
std::unique_ptr<Mechanism> MakeNtlm(NtlmOptions options);

// The 16 octets that a client bound to a channel sends: MD5 over the gss_channel_bindings_struct whose application data
// is "tls-server-end-point:" and the hash.
std::string NtlmChannelBinding(std::string_view end_point);

}  // namespace gatepost::sasl
