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

// Counts header fields named Received, until the first empty line.
class HeaderScanner {
 public:
  bool in_header() const { return in_header_; }
  // The rest of the line, up to its CR LF, need not be shown to Octet().
  bool line_decided() const { return matched_ == kDecided; }
  int received_fields() const { return received_fields_; }

  // An octet of a line (unstuffed), not CR or LF; while in_header() and not line_decided().
  void Octet(char octet);
  void LineEnd() {
    in_header_ = in_header_ && matched_ > 0;
    matched_ = 0;
  }

 private:
  static constexpr std::string_view kName = "received";
  static constexpr size_t kDecided = 100;

  bool in_header_ = true;
  size_t matched_ = 0;  // octets of kName at the start of the line; kName.size(): all of it, and perhaps blanks behind
  int received_fields_ = 0;
};

// Index of the first octet in `octets` that is NUL, CR or LF; octets.size() if there is none.
size_t FindLineOctet(std::string_view octets);

// Length of a prefix of `octets` in which all is plain: no NUL, each CR before LF and each LF behind CR, no CR at its
// end, and, when `dots` is set, no line that begins with '.'. `line_start`: the octets before ended in CR LF, or there
// were none. It looks at whole blocks of 64 octets only, and stops at the first that is not plain.
size_t SkipPlain(std::string_view octets, bool line_start, bool dots);
inline constexpr size_t kPlainBlock = 64;

}  // namespace gatepost::smtp
