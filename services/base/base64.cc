#include "services/base/base64.h"

#include <array>
#include <cstdint>

namespace gatepost::base {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> MakeValues() {
  std::array<int8_t, 256> values{};
  for (auto& value : values) value = -1;
  for (size_t i = 0; i < kAlphabet.size(); ++i) values[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
  return values;
}
constexpr std::array<int8_t, 256> kValues = MakeValues();

// How many octets `text` stands for, if it is base64.
size_t DecodedSize(std::string_view text) {
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  return text.size() / 4 * 3 - padding;
}

// Into DecodedSize() octets. False: it is not base64.
bool DecodeTo(char* out, std::string_view text) {
  for (size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    size_t padding = 0;
    if (last && text[i + 3] == '=') padding = text[i + 2] == '=' ? 2 : 1;
    uint32_t v = 0;
    for (size_t k = 0; k < 4; ++k) {
      int value = 0;
      if (k < 4 - padding) {
        value = kValues[static_cast<uint8_t>(text[i + k])];
        if (value < 0) return false;
      }
      v = v << 6 | static_cast<uint32_t>(value);
    }
    // Bits that stand for nothing are zero, else two texts would mean the same octets.
    if ((padding == 1 && (v & 0xff) != 0) || (padding == 2 && (v & 0xffff) != 0)) return false;
    *out++ = static_cast<char>(v >> 16);
    if (padding < 2) *out++ = static_cast<char>(v >> 8);
    if (padding < 1) *out++ = static_cast<char>(v);
  }
  return true;
}

}  // namespace

std::string Base64Encode(std::string_view octets) {
  std::string text;
  text.reserve((octets.size() + 2) / 3 * 4);
  size_t i = 0;
  for (; i + 3 <= octets.size(); i += 3) {
    const uint32_t v = static_cast<uint32_t>(static_cast<uint8_t>(octets[i])) << 16 |
                       static_cast<uint32_t>(static_cast<uint8_t>(octets[i + 1])) << 8 |
                       static_cast<uint8_t>(octets[i + 2]);
    for (int shift : {18, 12, 6, 0}) text.push_back(kAlphabet[(v >> shift) & 63]);
  }
  if (const size_t left = octets.size() - i; left > 0) {
    uint32_t v = static_cast<uint32_t>(static_cast<uint8_t>(octets[i])) << 16;
    if (left == 2) v |= static_cast<uint32_t>(static_cast<uint8_t>(octets[i + 1])) << 8;
    text.push_back(kAlphabet[(v >> 18) & 63]);
    text.push_back(kAlphabet[(v >> 12) & 63]);
    text.push_back(left == 2 ? kAlphabet[(v >> 6) & 63] : '=');
    text.push_back('=');
  }
  return text;
}

std::optional<std::string> Base64Decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string octets(DecodedSize(text), '\0');
  if (!DecodeTo(octets.data(), text)) return std::nullopt;
  return octets;
}

std::optional<Secret> Base64DecodeSecret(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  Secret octets(DecodedSize(text));
  if (!DecodeTo(octets.data(), text)) return std::nullopt;
  return octets;
}

}  // namespace gatepost::base
