#include "services/smtp/reply.h"

#include <algorithm>

#include "services/base/strings.h"
#include "services/smtp/limits.h"

namespace gatepost::smtp {
namespace {

bool IsUtf8Continuation(char octet) { return (static_cast<unsigned char>(octet) & 0xc0) == 0x80; }

void AppendLine(int code, char separator, std::string_view enhanced, std::string_view text, bool utf8,
                std::string* out) {
  const size_t start = out->size();
  base::StrAppend(out, code, separator);
  if (!enhanced.empty()) base::StrAppend(out, enhanced, ' ');
  out->append(text);
  const size_t most = start + limits::kReplyLine - 2;
  if (out->size() > most) {
    size_t end = most;
    while (utf8 && end > start && IsUtf8Continuation((*out)[end])) --end;
    out->resize(end);
  }
  const bool keep_utf8 = utf8 && base::IsValidUtf8(std::string_view(*out).substr(start));
  for (size_t i = start; i < out->size(); ++i) {
    char& octet = (*out)[i];
    const bool beyond_ascii = static_cast<unsigned char>(octet) >= 0x80;
    if (beyond_ascii ? !keep_utf8 : octet < 0x20 || octet > 0x7e) octet = '?';
  }
  out->append("\r\n");
}

}  // namespace

void Reply::AppendTo(std::string* out, bool utf8) const {
  AppendLine(code, more.empty() ? ' ' : '-', enhanced, text, utf8, out);
  for (const std::string& line : more) AppendLine(code, &line == &more.back() ? ' ' : '-', enhanced, line, utf8, out);
}

std::string Reply::ToString() const {
  std::string out;
  AppendTo(&out);
  return out;
}

}  // namespace gatepost::smtp
