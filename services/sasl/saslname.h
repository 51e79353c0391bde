// saslname (RFC 5801 4, RFC 5802 7); inside sasl/ only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gatepost::sasl {

// A comma is =2C, an equals sign =3D. nullopt: something else is behind an =.
inline std::optional<std::string> DecodeSaslName(std::string_view text) {
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      name.push_back(text[i]);
      continue;
    }
    const std::string_view code = text.substr(i + 1, 2);
    if (code != "2C" && code != "3D") return std::nullopt;
    name.push_back(code == "2C" ? ',' : '=');
    i += 2;
  }
  return name;
}

// Takes what stands before `end` from the front, and `end`; nullopt: there is none.
inline std::optional<std::string_view> TakeUntil(char end, std::string_view* text) {
  const size_t at = text->find(end);
  if (at == text->npos) return std::nullopt;
  const std::string_view taken = text->substr(0, at);
  text->remove_prefix(at + 1);
  return taken;
}

}  // namespace gatepost::sasl
