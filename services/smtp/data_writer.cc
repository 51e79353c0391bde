#include "services/smtp/data_writer.h"

namespace gatepost::smtp {

DotStuffer::Piece DotStuffer::Next(std::string_view* octets) {
  Piece result;
  if (octets->empty()) return result;
  if (at_line_start_ && octets->front() == '.') result.dot = ".";
  size_t length = octets->size();
  if (after_cr_ && octets->starts_with("\n.")) {
    length = 1;
  } else if (const size_t next = octets->find("\r\n."); next != std::string_view::npos) {
    length = next + 2;
  }
  result.piece = octets->substr(0, length);
  octets->remove_prefix(length);

  const bool cr_before_last = length > 1 ? result.piece[length - 2] == '\r' : after_cr_;
  at_line_start_ = result.piece.back() == '\n' && cr_before_last;
  after_cr_ = result.piece.back() == '\r';
  return result;
}

void DotStuffer::Append(std::string_view octets, std::string* out) {
  while (!octets.empty()) {
    const Piece next = Next(&octets);
    out->append(next.dot).append(next.piece);
  }
}

}  // namespace gatepost::smtp
