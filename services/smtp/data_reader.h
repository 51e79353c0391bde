// The octets after 354 (RFC 5321 4.1.1.4, 4.5.2): finds the one real end of data, CR LF . CR LF, judges what comes
// before it, and hands it on as it is: still dot-stuffed, as views into the input, without a copy. The one thing that is
// not passed on is a dot that begins a line and stands for nothing (`.a`: RFC 5321 has the receiver drop it).
//
// The results (all octets of `body` in a row, the end, the defect, the counts) do not depend on how the octets were
// split into calls. Pure; one message each, then Reset() or a new one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "services/smtp/message_scanner.h"

namespace gatepost::smtp {

class DataReader {
 public:
  struct Result {
    // How many octets of the input are done with. Up to two may be left, a CR, a '.', or '.' CR, whose meaning depends
    // on what follows: they are to be given again, with more behind them. After `dot_dropped`, any number is left.
    size_t consumed = 0;
    // What of them belongs to the message: verbatim, fit for an upstream's DATA. Each CR in it is followed by its LF,
    // and a line in it that begins with a dot begins with two. It stops before the first defect and is empty from there on.
    std::string_view body;
    // The end of data has come; it ends at `consumed`. What is behind it is the client's next command.
    bool ended = false;
    // It stopped behind a dot that is not passed on; the rest is to be given again at once.
    bool dot_dropped = false;
  };

  // Takes what it can of `octets`. Not to be called again after the end.
  Result Next(std::string_view octets);

  BodyDefect defect() const { return defect_; }
  // Octets of the message so far, unstuffed, without the end of data; they are counted beyond a defect too.
  uint64_t octets() const { return octets_; }
  // Header fields named Received so far.
  int received_fields() const { return header_.received_fields(); }
  void Reset() { *this = DataReader(); }

 private:
  bool line_start_ = true;
  bool first_octet_ = true;
  bool ended_ = false;
  BodyDefect defect_ = BodyDefect::kNone;
  uint64_t octets_ = 0;
  HeaderScanner header_;
};

}  // namespace gatepost::smtp
