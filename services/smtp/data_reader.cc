#include "services/smtp/data_reader.h"

#include <algorithm>

#include "services/base/check.h"

namespace gatepost::smtp {

DataReader::Result DataReader::Next(std::string_view octets) {
  GATEPOST_CHECK(!ended_);
  const size_t size = octets.size();
  size_t body_end = defect_ == BodyDefect::kNone ? size : 0;
  const auto found = [&](BodyDefect defect, size_t at) {
    if (defect_ != BodyDefect::kNone) return;
    defect_ = defect;
    body_end = at;
  };

  size_t at = 0;
  size_t retry_plain = 0;  // a block that was not plain is looked at octet by octet
  while (at < size) {
    if (!header_.in_header() && at >= retry_plain) {
      const size_t plain = SkipPlain(octets.substr(at), line_start_, /*dots=*/true);
      retry_plain = at + plain + kPlainBlock;
      if (plain > 0) {
        at += plain;
        octets_ += plain;
        line_start_ = octets[at - 1] == '\n';
        continue;
      }
    }
    const char octet = octets[at];
    if (line_start_ && octet == '.') {
      if (at + 1 == size) break;
      if (octets[at + 1] == '\r') {
        if (at + 2 == size) break;
        if (octets[at + 2] == '\n') {
          ended_ = true;
          return {at + 3, octets.substr(0, std::min(at, body_end)), true, false};
        }
      }
      line_start_ = false;
      if (octets[at + 1] == '.') {  // stuffed as it must be
        ++at;
        continue;
      }
      // A dot before other text, which whoever unstuffs drops. It is not passed on: what a next hop gets has no line that
      // begins with one dot alone, so none can take such a line for the end of data.
      return {at + 1, octets.substr(0, std::min(at, body_end)), false, true};
    }
    if (octet == '\r' && at + 1 == size) break;
    const bool first = first_octet_;
    first_octet_ = false;
    if (octet == '\r' && octets[at + 1] == '\n') {
      header_.LineEnd();
      line_start_ = true;
      at += 2;
      octets_ += 2;
      continue;
    }
    line_start_ = false;
    size_t run = 1;
    if (octet == '\r') {
      found(BodyDefect::kBareCr, at);
    } else if (octet == '\n') {
      found(BodyDefect::kBareLf, at);
    } else if (octet == '\0') {
      found(BodyDefect::kNul, at);
    } else {
      if (first && (octet == ' ' || octet == '\t')) found(BodyDefect::kLeadingBlank, at);
      if (header_.in_header() && !header_.line_decided()) {
        header_.Octet(octet);
      } else {
        run = FindLineOctet(octets.substr(at));
      }
    }
    at += run;
    octets_ += run;
  }
  return {at, octets.substr(0, std::min(at, body_end)), false, false};
}

}  // namespace gatepost::smtp
