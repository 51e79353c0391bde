// The octets of BDAT chunks (RFC 3030): judges them as data_reader.h does those of DATA, but nothing in them is an end
// and nothing is stuffed. The chunks of one message are one stream: a CR at the end of a chunk and the LF at the start
// of the next belong together. For an upstream's DATA the octets then go through a DotStuffer (data_writer.h).
//
// The results do not depend on how the octets were split into calls or chunks.
#pragma once

#include <cstdint>
#include <string_view>

#include "services/smtp/message_scanner.h"

namespace gatepost::smtp {

class ChunkReader {
 public:
  // `binary` (BINARYMIME): any octet may come anywhere, but for a blank at the very start; nothing is held.
  explicit ChunkReader(bool binary = false) : binary_(binary) {}

  struct Result {
    // What belongs to the message now: first `held` ("" or the CR that ended the octets before), then `body`, verbatim.
    // Each CR is followed by its LF. They stop before the first defect and are empty from there on.
    std::string_view held;
    std::string_view body;
  };

  // Takes all of `octets`.
  Result Next(std::string_view octets);
  // After the last chunk: a CR that is still held is a bare one.
  void Finish();

  BodyDefect defect() const { return defect_; }
  // Octets so far; a held CR counts.
  uint64_t octets() const { return octets_; }
  int received_fields() const { return header_.received_fields(); }
  void Reset() { *this = ChunkReader(binary_); }

 private:
  Result NextBinary(std::string_view octets);

  bool binary_;
  bool first_octet_ = true;
  bool held_cr_ = false;
  BodyDefect defect_ = BodyDefect::kNone;
  uint64_t octets_ = 0;
  HeaderScanner header_;
};

}  // namespace gatepost::smtp
