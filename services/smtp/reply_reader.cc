#include "services/smtp/reply_reader.h"

#include "services/base/strings.h"
#include "services/smtp/limits.h"

namespace gatepost::smtp {
namespace {

bool InRange(char c, char first, char last) { return c >= first && c <= last; }

// The length of an enhanced code of class `of` at the front of a line, with the blank behind it; 0: none.
size_t EnhancedLength(std::string_view line, int of, std::string_view* code) {
  if (line.size() < 5 || line[0] != static_cast<char>('0' + of) || line[1] != '.') return 0;
  size_t at = 2;
  for (int part = 0; part < 2; ++part) {
    size_t digits = 0;
    while (at < line.size() && digits < 3 && base::IsDigit(line[at])) ++at, ++digits;
    if (digits == 0) return 0;
    if (part == 0) {
      if (at == line.size() || line[at] != '.') return 0;
      ++at;
    }
  }
  if (at < line.size() && line[at] != ' ') return 0;
  if (code != nullptr) *code = line.substr(0, at);
  return at < line.size() ? at + 1 : at;
}

}  // namespace

std::string UpstreamReply::enhanced() const {
  std::string_view found;
  if (!lines.empty()) EnhancedLength(lines.front(), reply_class(), &found);
  return std::string(found);
}

std::string UpstreamReply::text() const {
  std::string all;
  for (const std::string& line : lines) {
    const std::string_view rest = std::string_view(line).substr(EnhancedLength(line, reply_class(), nullptr));
    if (rest.empty()) continue;
    if (!all.empty()) all.push_back(' ');
    all.append(rest);
  }
  return all.size() <= limits::kUpstreamText && base::IsPrintableAscii(all) ? all : std::string();
}

ReplyResult ParseReply(std::string_view octets, UpstreamReply* reply) {
  using Status = ReplyResult::Status;
  constexpr ReplyResult kMalformed{Status::kMalformed};
  *reply = UpstreamReply();
  std::string_view code;
  size_t line_start = 0;
  bool last = false;
  for (size_t at = 0; at < octets.size() && at < limits::kUpstreamReply; ++at) {
    const char octet = octets[at];
    const size_t column = at - line_start;
    if (octet == '\r') {
      // "250" alone is a reply, too (RFC 5321 4.2).
      if (column < 3) return kMalformed;
      if (at + 1 == octets.size()) break;
      if (octets[at + 1] != '\n' || at + 2 > limits::kUpstreamReply) return kMalformed;
      if (column == 3) last = true;
      reply->lines.emplace_back(column <= 4 ? std::string_view() : octets.substr(line_start + 4, column - 4));
      ++at;
      line_start = at + 1;
      if (last) {
        reply->code = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
        return {Status::kReply, line_start};
      }
      if (reply->lines.size() == static_cast<size_t>(limits::kUpstreamReplyLines)) return kMalformed;
      continue;
    }
    bool fits = true;
    switch (column) {
      case 0:
        fits = InRange(octet, '2', '5');
        break;
      case 1:
        fits = InRange(octet, '0', '5');
        break;
      case 2:
        fits = base::IsDigit(octet);
        if (!fits) break;
        if (code.empty()) code = octets.substr(line_start, 3);
        fits = code == octets.substr(line_start, 3);
        break;
      case 3:
        fits = octet == ' ' || octet == '-';
        last = octet == ' ';
        break;
      default:
        fits = octet == '\t' || (static_cast<unsigned char>(octet) >= 0x20 && octet != 0x7f);
    }
    if (!fits) return kMalformed;
  }
  if (octets.size() >= limits::kUpstreamReply) return kMalformed;
  return {Status::kNeedMore};
}

}  // namespace gatepost::smtp
