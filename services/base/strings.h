// std::string_view helpers. Debian's Abseil has a string_view of its own that does not convert: ToAbsl and FromAbsl do.
#pragma once

#include <absl/strings/string_view.h>

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace gatepost::base {

inline absl::string_view ToAbsl(std::string_view text) { return absl::string_view(text.data(), text.size()); }
inline std::string_view FromAbsl(absl::string_view text) { return std::string_view(text.data(), text.size()); }

// ASCII only; other octets stand for themselves. The locale has no say.
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool IsAlnum(char c) { return IsDigit(c) || IsAlpha(c); }
constexpr char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr char ToUpper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix);
std::string AsciiLower(std::string_view text);
std::string AsciiUpper(std::string_view text);
// 0x20 to 0x7e throughout.
bool IsPrintableAscii(std::string_view text);
// Well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text);

// Without spaces and tabs at both ends.
std::string_view Trim(std::string_view text);
// Between every separator; "a,,b" has three parts, "" has one.
std::vector<std::string_view> Split(std::string_view text, char separator);

namespace internal {
inline void Append(std::string* out, std::string_view piece) { out->append(piece); }
inline void Append(std::string* out, char piece) { out->push_back(piece); }
template <typename T>
  requires(std::integral<T> && !std::same_as<T, char> && !std::same_as<T, bool>)
void Append(std::string* out, T number) {
  out->append(std::to_string(number));
}
}  // namespace internal

// Appends string views, characters and integers.
template <typename... Pieces>
void StrAppend(std::string* out, const Pieces&... pieces) {
  (internal::Append(out, pieces), ...);
}
template <typename... Pieces>
std::string StrCat(const Pieces&... pieces) {
  std::string out;
  StrAppend(&out, pieces...);
  return out;
}

// Lower-case hexadecimal.
std::string HexEncode(std::string_view octets);
// False, and *octets unspecified, unless `text` is an even number of hexadecimal digits.
bool HexDecode(std::string_view text, std::string* octets);

// Takes as long whatever the octets are; the lengths are no secret.
bool ConstantTimeEquals(std::string_view a, std::string_view b);

}  // namespace gatepost::base
