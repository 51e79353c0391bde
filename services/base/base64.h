// Base64 as SASL has it (RFC 4648 section 4, strict): padding required, no white space, unused bits zero.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/base/secret.h"

namespace gatepost::base {

std::string Base64Encode(std::string_view octets);
// nullopt unless `text` is what Base64Encode makes of some octets. The empty text stands for no octets.
std::optional<std::string> Base64Decode(std::string_view text);
// Likewise, of octets that hold a secret: what was decoded of a text that is refused is wiped.
std::optional<Secret> Base64DecodeSecret(std::string_view text);

}  // namespace gatepost::base
