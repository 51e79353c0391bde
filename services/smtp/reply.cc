#include "services/smtp/reply.h"

#include <algorithm>

#include "services/base/strings.h"
#include "services/smtp/limits.h"

namespace gatepost::smtp {
namespace {

void AppendLine(int code, char separator, std::string_view enhanced, std::string_view text, std::string* out) {
  const size_t start = out->size();
  base::StrAppend(out, code, separator);
  if (!enhanced.empty()) base::StrAppend(out, enhanced, ' ');
  out->append(text);
  out->resize(std::min(out->size(), start + limits::kReplyLine - 2));
  for (size_t i = start; i < out->size(); ++i) {
    char& octet = (*out)[i];
    if (octet < 0x20 || octet > 0x7e) octet = '?';
  }
  out->append("\r\n");
}

}  // namespace

void Reply::AppendTo(std::string* out) const {
  AppendLine(code, more.empty() ? ' ' : '-', enhanced, text, out);
  for (const std::string& line : more) AppendLine(code, &line == &more.back() ? ' ' : '-', enhanced, line, out);
}

std::string Reply::ToString() const {
  std::string out;
  AppendTo(&out);
  return out;
}

}  // namespace gatepost::smtp
