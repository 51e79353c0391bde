// Judges the octets of a message as they stream by, unstuffed: CR and LF only as CR LF, no NUL, no blank at the very
// start; counts them, and the Received fields of the header. data_reader.h (DATA) and chunk_reader.h (BDAT) share it.
//
// Why so strict: whoever takes a bare CR or LF for a line end sees another end of data than we do (SMTP smuggling).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gatepost::smtp {

// What makes a message unacceptable; the first one found. All are 550 5.6.0 at the end of the data.
enum class BodyDefect : uint8_t {
  kNone,
  kBareCr,
  kBareLf,
  kNul,
  kLeadingBlank,  // the first line begins with SP or HTAB: it would continue our own header field
};

// Counts header fields named Received, octet by octet, until the first empty line.
class HeaderScanner {
 public:
  bool in_header() const { return in_header_; }
  int received_fields() const { return received_fields_; }
  // One octet of the message (unstuffed), in order; not to be called when in_header() is false.
  void Octet(char octet) {
    if (octet == '\n') {
      in_header_ = column_ > 0;
      column_ = matched_ = 0;
      return;
    }
    if (octet == '\r') return;  // a bare one is a defect in any case
    Match(octet);
    column_ = 1;
  }

 private:
  static constexpr std::string_view kName = "received";
  static constexpr size_t kNoMatch = 100;
  void Match(char octet);

  bool in_header_ = true;
  int column_ = 0;      // 0: at the start of a line
  size_t matched_ = 0;  // octets of kName; kName.size(): all of it, and perhaps blanks behind it
  int received_fields_ = 0;
};

// Index of the first octet in `octets` that is NUL, CR or LF; octets.size() if there is none.
size_t FindLineOctet(std::string_view octets);

// Length of a prefix of `octets`, a multiple of 64, in which all is plain: no NUL, every CR before LF and every LF after
// CR (but the prefix may end in CR), and, when `dots` is set, no line that begins with '.'. `line_start` says whether
// the octet before is LF after CR; the octet before must not be CR.
size_t SkipPlain(std::string_view octets, bool line_start, bool dots);

}  // namespace gatepost::smtp
