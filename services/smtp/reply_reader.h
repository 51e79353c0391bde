// Parses one reply of a next hop (RFC 5321 4.2) from untrusted octets: bounded by 4 KiB and 50 lines, strict in its
// form. A pure function of what has come so far; an incomplete reply never gives a result that more octets would
// change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gatepost::smtp {

struct UpstreamReply {
  int code = 0;                    // 200 to 559
  std::vector<std::string> lines;  // without code, separator and CR LF; octets beyond ASCII may occur, controls do not

  int reply_class() const { return code / 100; }
  // The enhanced code of its first line, when it has the reply's class (RFC 2034); else "".
  std::string enhanced() const;
  // All lines as one, without enhanced codes, when that is printable ASCII and at most 400 octets; else "".
  std::string text() const;
  bool operator==(const UpstreamReply&) const = default;
};

struct ReplyResult {
  enum class Status : uint8_t { kNeedMore, kReply, kMalformed };
  Status status = Status::kNeedMore;
  size_t consumed = 0;  // kReply: its octets
};

// Malformed: a code outside 200-559, one that changes between lines, no SP or '-' behind it, a bare CR or LF, a control
// octet other than HTAB, beyond the bounds.
ReplyResult ParseReply(std::string_view octets, UpstreamReply* reply);

}  // namespace gatepost::smtp
