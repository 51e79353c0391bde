#include "services/smtp/chunk_reader.h"

#include <algorithm>
#include <utility>

namespace gatepost::smtp {

ChunkReader::Result ChunkReader::Next(std::string_view octets) {
  if (binary_) return NextBinary(octets);
  const size_t size = octets.size();
  size_t body_end = defect_ == BodyDefect::kNone ? size : 0;
  const auto found = [&](BodyDefect defect, size_t where) {
    if (defect_ != BodyDefect::kNone) return;
    defect_ = defect;
    body_end = where;
  };
  if (size == 0) return {};

  Result result;
  size_t at = 0;
  if (held_cr_) {
    held_cr_ = false;
    if (octets[0] == '\n') {
      if (defect_ == BodyDefect::kNone) result.held = "\r";
      header_.LineEnd();
      at = 1;
    } else {
      found(BodyDefect::kBareCr, 0);
    }
  }
  size_t retry_plain = 0;
  while (at < size) {
    if (!header_.in_header() && at >= retry_plain) {
      const size_t plain = SkipPlain(octets.substr(at), /*line_start=*/false, /*dots=*/false);
      retry_plain = at + plain + kPlainBlock;
      if (plain > 0) {
        at += plain;
        continue;
      }
    }
    const char octet = octets[at];
    if (octet == '\r' && at + 1 == size) {
      held_cr_ = true;
      body_end = std::min(body_end, at);
      first_octet_ = false;
      ++at;
      continue;
    }
    const bool first = first_octet_;
    first_octet_ = false;
    if (octet == '\r' && octets[at + 1] == '\n') {
      header_.LineEnd();
      at += 2;
      continue;
    }
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
  }
  octets_ += size;
  result.body = octets.substr(0, body_end);
  return result;
}

// Lines are looked at for the header's sake alone; they end in CR LF there, too.
ChunkReader::Result ChunkReader::NextBinary(std::string_view octets) {
  if (octets.empty()) return {};
  if (std::exchange(first_octet_, false) && (octets[0] == ' ' || octets[0] == '\t'))
    defect_ = BodyDefect::kLeadingBlank;
  constexpr char kBare = '\0';  // a CR or LF by itself: it ends no line
  const auto take = [&](char octet) {
    if (!header_.line_decided()) header_.Octet(octet);
  };
  for (size_t at = 0; at < octets.size() && header_.in_header(); ++at) {
    const char octet = octets[at];
    const bool after_cr = std::exchange(held_cr_, octet == '\r');
    if (after_cr && octet == '\n') {
      header_.LineEnd();
      continue;
    }
    if (after_cr) take(kBare);
    if (octet != '\r') take(octet == '\n' ? kBare : octet);
  }
  octets_ += octets.size();
  return {{}, defect_ == BodyDefect::kNone ? octets : std::string_view()};
}

void ChunkReader::Finish() {
  if (binary_) return;
  if (held_cr_ && defect_ == BodyDefect::kNone) defect_ = BodyDefect::kBareCr;
  held_cr_ = false;
}

}  // namespace gatepost::smtp
