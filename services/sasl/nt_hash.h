// NTOWF ([MS-NLMP] 3.3.1, 3.3.2). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/sasl/mechanism.h"

namespace gatepost::sasl {

// UTF-16LE of well-formed UTF-8.
std::string ToUtf16(std::string_view text);
// The UTF-8 of UTF-16LE; empty for what is not well-formed.
std::string FromUtf16(std::string_view octets);
// Each code unit of UTF-16LE by its simple upper-case mapping, as Windows does it.
std::string UpperUtf16(std::string_view octets);

// MD4 of the password in UTF-16LE.
NtHash NtHashOf(std::string_view password);

using Md5 = std::array<uint8_t, 16>;
Md5 HmacMd5(std::string_view key, std::string_view text);
Md5 Md5Of(std::string_view text);

// The key of NTLMv2: HMAC-MD5 under the NT hash of the user's name in upper case and the domain as the client sent it,
// both UTF-16LE.
Md5 NtlmV2Key(const NtHash& hash, std::string_view user, std::string_view domain);

}  // namespace gatepost::sasl
