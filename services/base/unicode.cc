#include "services/base/unicode.h"

#include <uninorm.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

#include "services/base/strings.h"

namespace gatepost::base {
namespace {

std::optional<std::string> Normalize(uninorm_t form, std::string_view text) {
  size_t size = 0;
  const std::unique_ptr<uint8_t, void (*)(void*)> octets(
      u8_normalize(form, reinterpret_cast<const uint8_t*>(text.data()), text.size(), nullptr, &size), std::free);
  if (octets == nullptr) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(octets.get()), size);
}

ptrdiff_t CountSyntax(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ||
           std::string_view("@.%!<>\"\\").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string ToNfc(std::string_view text) {
  if (text.empty() || !IsValidUtf8(text)) return std::string(text);
  return Normalize(UNINORM_NFC, text).value_or(std::string(text));
}

bool HidesSyntax(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto octet = static_cast<unsigned char>(text[i]);
    const std::string_view rest = text.substr(i);
    if (octet < 0x20 || octet == 0x7f) return true;
    if (octet == 0xc2 && rest.size() > 1 && static_cast<unsigned char>(rest[1]) < 0xa0) return true;  // C1
    // U+2028, U+2029; U+3002 and its half-width form U+FF61.
    for (std::string_view character : {"\xe2\x80\xa8", "\xe2\x80\xa9", "\xe3\x80\x82", "\xef\xbd\xa1"}) {
      if (rest.starts_with(character)) return true;
    }
  }
  // Each run beyond ASCII by itself: no syntax may come out of it. (Over the whole, a character that composition takes
  // away, as U+0338 does with '<', would make up for one that comes out elsewhere.)
  for (size_t begin = 0; begin < text.size();) {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    const auto first = std::find_if_not(text.begin() + static_cast<ptrdiff_t>(begin), text.end(), is_ascii);
    const auto last = std::find_if(first, text.end(), is_ascii);
    if (first == last) break;
    const std::optional<std::string> further = Normalize(UNINORM_NFKC, std::string_view(first, last));
    if (!further || CountSyntax(*further) != 0) return true;
    begin = static_cast<size_t>(last - text.begin());
  }
  return false;
}

}  // namespace gatepost::base
