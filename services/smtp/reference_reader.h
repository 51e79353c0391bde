// What data_reader.h is measured against: the end of data and the defects of a message, found the slow and obvious way,
// on the whole of it at once. For tests only.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/strings.h"
#include "services/smtp/message_scanner.h"

namespace gatepost::smtp {

struct ReferenceMessage {
  bool ended = false;
  size_t consumed = 0;    // with the end of data; everything, when there is none
  std::string raw;        // up to the defect, stuffed: a line begins with no dot or with two
  std::string unstuffed;  // all of it, beyond the defect too
  BodyDefect defect = BodyDefect::kNone;
  int received_fields = 0;  // only meaningful without a defect
};

inline int CountReceived(std::string_view message) {
  int count = 0;
  while (!message.empty()) {
    const size_t end = message.find("\r\n");
    std::string line = base::AsciiLower(message.substr(0, end));
    if (line.empty()) break;
    if (line.starts_with("received")) {
      const size_t next = line.find_first_not_of(" \t", 8);
      if (next != std::string::npos && line[next] == ':') ++count;
    }
    if (end == std::string_view::npos) break;
    message.remove_prefix(end + 2);
  }
  return count;
}

// `stuffed`: DATA, else the octets of all chunks in a row.
inline ReferenceMessage ReadByReference(std::string_view octets, bool stuffed) {
  ReferenceMessage result;
  std::string all = "\r\n" + std::string(octets);
  const size_t end = stuffed ? all.find("\r\n.\r\n") : std::string::npos;
  result.ended = end != std::string::npos;
  result.consumed = result.ended ? end + 3 : octets.size();
  const std::string raw(octets.substr(0, result.ended ? end : octets.size()));

  size_t defect_at = raw.size();
  const auto found = [&](BodyDefect defect, size_t at) {
    if (at < defect_at) {
      defect_at = at;
      result.defect = defect;
    }
  };
  for (size_t i = 0; i < raw.size(); ++i) {
    const bool after_cr = i > 0 && raw[i - 1] == '\r';
    const bool line_start = i == 0 || (raw[i - 1] == '\n' && i > 1 && raw[i - 2] == '\r');
    if (stuffed && line_start && raw[i] == '.') continue;
    if (result.unstuffed.empty() && (raw[i] == ' ' || raw[i] == '\t')) found(BodyDefect::kLeadingBlank, i);
    if (raw[i] == '\0') found(BodyDefect::kNul, i);
    if (raw[i] == '\n' && !after_cr) found(BodyDefect::kBareLf, i);
    if (raw[i] == '\r' && i + 1 < raw.size() && raw[i + 1] != '\n') found(BodyDefect::kBareCr, i);
    result.unstuffed.push_back(raw[i]);
  }
  for (size_t i = 0; i < defect_at; ++i) {
    const bool line_start = i == 0 || (raw[i - 1] == '\n' && i > 1 && raw[i - 2] == '\r');
    const bool lone_dot = stuffed && line_start && raw[i] == '.' && !(i + 1 < raw.size() && raw[i + 1] == '.');
    if (!lone_dot) result.raw.push_back(raw[i]);
  }
  result.received_fields = CountReceived(result.unstuffed);
  return result;
}

// The vectors of SMTP smuggling: what servers have taken for an end of data.
inline const std::vector<std::string>& SmugglingVectors() {
  using namespace std::string_literals;
  static const std::vector<std::string> vectors = {"\n.\n"s,       "\n.\r\n"s,     "\r\n.\n"s,     "\r.\r"s,
                                                   "\r.\n"s,       "\n.\r"s,       "\r.\r\n"s,     "\r\n.\rx"s,
                                                   "\r\n\0.\r\n"s, "\r\n.\0\r\n"s, "\r\n.\r\r\n"s, "\r\r\n.\r\r\n"s};
  return vectors;
}

}  // namespace gatepost::smtp
