// Answers of DNS for tests, written octet by octet and as wrong as a test wants them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/strings.h"

namespace gatepost::net::testing_dns {

inline constexpr uint16_t kA = 1, kCname = 5, kPtr = 12, kTxt = 16, kAaaa = 28;

inline std::string Number16(size_t value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }

// Uncompressed, with the root.
inline std::string Name(std::string_view text) {
  std::string wire;
  for (const std::string_view label : base::Split(text, '.')) {
    wire.push_back(static_cast<char>(label.size()));
    wire += label;
  }
  wire.push_back('\0');
  return wire;
}

inline std::string Record(std::string_view owner, uint16_t type, uint32_t ttl, std::string_view data,
                          uint16_t record_class = 1) {
  return base::StrCat(owner, Number16(type), Number16(record_class), Number16(ttl >> 16), Number16(ttl & 0xffff),
                      Number16(data.size()), data);
}

// A header with these flags and counts before the question.
inline std::string Answer(std::string_view name, uint16_t type, const std::vector<std::string>& records) {
  std::string message = base::StrCat(Number16(1), Number16(0x8180), Number16(1), Number16(records.size()), Number16(0),
                                     Number16(0), Name(name), Number16(type), Number16(1));
  for (const std::string& record : records) message += record;
  return message;
}

// The question's name, where Answer() puts it.
inline std::string Question() { return "\xc0\x0c"; }
// 192.0.2.`last`.
inline std::string V4(int last) { return {'\xc0', 0, 2, static_cast<char>(last)}; }

}  // namespace gatepost::net::testing_dns
