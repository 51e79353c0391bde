// Makes a message fit for DATA (RFC 5321 4.5.2): a line that begins with '.' gets another one, and a message that does
// not end in CR LF gets it. It judges nothing: what it is given has passed chunk_reader.h. Pure; one message each.
#pragma once

#include <string>
#include <string_view>

namespace gatepost::smtp {

class DotStuffer {
 public:
  // Takes a piece from the front of `*octets`, as long as can be without a copy: first `dot` ("" or "."), then `piece`.
  struct Piece {
    std::string_view dot;
    std::string_view piece;
  };
  Piece Next(std::string_view* octets);

  // Appends all of `octets`, stuffed.
  void Append(std::string_view octets, std::string* out);

  // After the last octet: what is lacking of the final CR LF, that is "" or "\r\n". The dot is the caller's to send.
  std::string_view Finish() const { return at_line_start_ ? std::string_view() : std::string_view("\r\n"); }

 private:
  bool at_line_start_ = true;
  bool after_cr_ = false;
};

// The end of data. An upstream gets it only when the whole message has passed.
inline constexpr std::string_view kEndOfData = ".\r\n";

}  // namespace gatepost::smtp
