#include "services/smtp/line_reader.h"

#include <utility>

#include "services/base/strings.h"
#include "services/smtp/limits.h"

namespace gatepost::smtp {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

size_t LimitOf(std::string_view octets, LineReader::Expect expect) {
  if (expect == LineReader::Expect::kAuthResponse) return limits::kAuthResponse + 2;
  // The verb is complete long before the lesser limit is reached.
  return base::StartsWithIgnoreCase(octets, "AUTH ") ? limits::kAuthLine : limits::kCommandLine;
}

}  // namespace

LineReader::Result LineReader::Next(InputBuffer& input, Expect expect) {
  std::string_view octets = input.readable();
  const size_t limit = discarded_ > 0 ? 0 : LimitOf(octets, expect);
  size_t i = scanned_;
  for (; i < octets.size(); ++i) {
    if (!IsControl(octets[i])) continue;
    if (discarded_ + i >= limits::kLineFlood) break;
    if (octets[i] != '\r') return {Status::kBadOctet};
    if (i + 1 == octets.size()) break;  // CR: what follows decides
    if (octets[i + 1] != '\n') return {Status::kBadOctet};
    const size_t line_size = i + 2;
    if (discarded_ == 0 && line_size <= limit) {
      Reset();
      return {Status::kLine, octets.substr(0, i), line_size};
    }
    const bool auth = discarded_ > 0 ? auth_ : limit != limits::kCommandLine;
    input.Wipe(line_size);
    Reset();
    return {auth ? Status::kAuthTooLong : Status::kTooLong};
  }
  scanned_ = i;
  if (discarded_ + scanned_ >= limits::kLineFlood) return {Status::kFlood};
  if (discarded_ > 0 || scanned_ >= limit) {
    // Nothing of a line that is too long is kept, but a CR that may end it.
    if (discarded_ == 0) auth_ = limit != limits::kCommandLine;
    discarded_ += scanned_;
    input.Wipe(std::exchange(scanned_, 0));
  }
  return {Status::kNeedMore};
}

}  // namespace gatepost::smtp
