// The messages of NTLM ([MS-NLMP] 2.2), read with every offset and length held against what there is; inside sasl/
// only, and its fuzz target.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatepost::sasl {

// NegotiateFlags that mean something here.
inline constexpr uint32_t kNtlmUnicode = 0x00000001;
inline constexpr uint32_t kNtlmOem = 0x00000002;
inline constexpr uint32_t kNtlmRequestTarget = 0x00000004;
inline constexpr uint32_t kNtlmSign = 0x00000010;
inline constexpr uint32_t kNtlmSeal = 0x00000020;
inline constexpr uint32_t kNtlmNtlm = 0x00000200;
inline constexpr uint32_t kNtlmAlwaysSign = 0x00008000;
inline constexpr uint32_t kNtlmTargetServer = 0x00020000;
inline constexpr uint32_t kNtlmExtendedSecurity = 0x00080000;
inline constexpr uint32_t kNtlmTargetInfo = 0x00800000;
inline constexpr uint32_t kNtlmVersion = 0x02000000;
inline constexpr uint32_t kNtlm128 = 0x20000000;
inline constexpr uint32_t kNtlmKeyExchange = 0x40000000;
inline constexpr uint32_t kNtlm56 = 0x80000000;

// Where the MIC lies in an AUTHENTICATE that has one.
inline constexpr size_t kNtlmMicAt = 72;
inline constexpr size_t kNtlmMicOctets = 16;

// Views of the caller's message.
struct NtlmNegotiate {
  uint32_t flags = 0;
};

struct NtlmAuthenticate {
  std::string_view nt_response;
  std::string_view domain, user;  // as sent: UTF-16LE, or ASCII without kNtlmUnicode
  std::string_view session_key;
  uint32_t flags = 0;
  // No field begins before the MIC's end: there may be one.
  bool has_room_for_mic = false;
};

// What of an NTLMv2 answer is looked at ([MS-NLMP] 2.2.2.7, 2.2.2.8).
struct NtlmV2Answer {
  std::string_view proof;  // 16 octets
  std::string_view blob;   // what it covers, with the server's challenge before it
  bool announces_mic = false;
  std::string_view channel_binding;  // 16 octets; empty: none, or zeros, which mean none
};

std::optional<NtlmNegotiate> ParseNtlmNegotiate(std::string_view message);
std::optional<NtlmAuthenticate> ParseNtlmAuthenticate(std::string_view message);
std::optional<NtlmV2Answer> ParseNtlmV2Answer(std::string_view nt_response);

struct NtlmChallenge {
  std::string_view target_name;  // ASCII
  uint32_t flags = 0;
  std::array<uint8_t, 8> challenge{};
  uint64_t timestamp = 0;
};
std::string WriteNtlmChallenge(const NtlmChallenge& challenge);

}  // namespace gatepost::sasl
