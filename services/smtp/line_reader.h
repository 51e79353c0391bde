// Finds the next command line, or AUTH response line, in what a client sent: RFC 5321 2.3.8, CR LF and nothing else
// ends a line. It bounds the line, and refuses control octets; what the line means is for command.h.
//
// The result does not depend on how the octets were split into reads. Once it gave kBadOctet or kFlood the session is
// to be closed; the reader is not to be asked again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "services/smtp/input_buffer.h"

namespace gatepost::smtp {

class LineReader {
 public:
  enum class Status : uint8_t {
    kNeedMore,     // no complete line yet
    kLine,         // `line`; then InputBuffer::Wipe(consumed): it may hold credentials
    kTooLong,      // a line beyond the limit came to its end, and is gone from the buffer: 500 5.5.2
    kAuthTooLong,  // likewise AUTH or a response: 500 5.5.6
    kBadOctet,     // a control octet, CR without LF, LF without CR: 500 5.5.2, close
    kFlood,        // 64 KiB without CR LF: 421 4.7.0, close
  };
  enum class Expect : uint8_t {
    kCommand,       // 2,048 octets with CR LF; 12,352 when it begins with AUTH and a space
    kAuthResponse,  // 12,288 octets and CR LF
  };
  struct Result {
    Status status = Status::kNeedMore;
    std::string_view line;  // without CR LF; points into the buffer
    size_t consumed = 0;    // with CR LF
  };

  // `expect` must stay the same until a line is complete. Too long lines are consumed here, complete ones by the
  // caller.
  Result Next(InputBuffer& input, Expect expect = Expect::kCommand);

  // Some octets of an unfinished line have been seen (for the deadline of a command line).
  bool in_line() const { return scanned_ > 0 || discarded_ > 0; }
  // Forget a line that has begun: the buffer was cleared (STARTTLS).
  void Reset() { *this = LineReader(); }

 private:
  size_t scanned_ = 0;    // octets at the start of the buffer that are known to hold no line end
  size_t discarded_ = 0;  // octets of a too long line that have been consumed
  bool auth_ = false;     // the line that is discarded is AUTH or a response
};

}  // namespace gatepost::smtp
