// Message data, by DATA and by BDAT: the readers find what an obvious reference finds, however the octets are split;
// what is passed on has every CR before an LF and every LF behind a CR, no end of data, and unstuffs to what the client
// sent.
#include <algorithm>
#include <string>

#include "services/base/check.h"
#include "services/smtp/chunk_reader.h"
#include "services/smtp/data_reader.h"
#include "services/smtp/data_writer.h"
#include "services/smtp/reference_reader.h"

namespace gatepost::smtp {
namespace {

void CheckPassedOn(std::string_view body) {
  GATEPOST_CHECK(body.find('\0') == std::string_view::npos);
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] == '\n') GATEPOST_CHECK(i > 0 && body[i - 1] == '\r');
    if (body[i] == '\r') GATEPOST_CHECK(i + 1 < body.size() && body[i + 1] == '\n');
  }
  const std::string lines = "\r\n" + std::string(body);
  for (size_t at = 0; (at = lines.find("\r\n.", at)) != std::string::npos; ++at)
    GATEPOST_CHECK(lines.substr(at + 3, 1) == ".");
}

void CheckData(std::string_view octets, size_t step) {
  DataReader reader;
  std::string pending;
  std::string body;
  size_t consumed = 0;
  bool ended = false;
  for (std::string_view rest = octets; !rest.empty() && !ended;) {
    const size_t size = std::min(step, rest.size());
    pending.append(rest.substr(0, size));
    rest.remove_prefix(size);
    DataReader::Result result;
    do {
      result = reader.Next(pending);
      body.append(result.body);
      consumed += result.consumed;
      ended = result.ended;
      pending.erase(0, result.consumed);
    } while (result.dot_dropped && !pending.empty());
    GATEPOST_CHECK(ended || pending.size() <= 2);
  }
  CheckPassedOn(body);
  const ReferenceMessage expected = ReadByReference(octets, /*stuffed=*/true);
  GATEPOST_CHECK(ended == expected.ended && reader.defect() == expected.defect);
  if (!ended) return;
  GATEPOST_CHECK(consumed == expected.consumed && body == expected.raw && reader.octets() == expected.unstuffed.size());
  if (expected.defect == BodyDefect::kNone) GATEPOST_CHECK(reader.received_fields() == expected.received_fields);
}

void CheckBinary(std::string_view octets, size_t step) {
  ChunkReader reader(/*binary=*/true);
  ChunkReader at_once(/*binary=*/true);
  std::string out;
  for (std::string_view rest = octets; !rest.empty();) {
    const size_t size = std::min(step, rest.size());
    const ChunkReader::Result result = reader.Next(rest.substr(0, size));
    GATEPOST_CHECK(result.held.empty());
    out.append(result.body);
    rest.remove_prefix(size);
  }
  reader.Finish();
  at_once.Next(octets);
  at_once.Finish();
  const bool blank = octets.starts_with(' ') || octets.starts_with('\t');
  GATEPOST_CHECK(reader.defect() == (blank ? BodyDefect::kLeadingBlank : BodyDefect::kNone));
  GATEPOST_CHECK(out == (blank ? "" : octets) && reader.octets() == octets.size());
  GATEPOST_CHECK(reader.received_fields() == at_once.received_fields());
}

void CheckChunks(std::string_view octets, size_t step) {
  ChunkReader reader;
  DotStuffer stuffer;
  std::string out;
  for (std::string_view rest = octets; !rest.empty();) {
    const size_t size = std::min(step, rest.size());
    const ChunkReader::Result result = reader.Next(rest.substr(0, size));
    stuffer.Append(result.held, &out);
    stuffer.Append(result.body, &out);
    rest.remove_prefix(size);
  }
  reader.Finish();
  CheckPassedOn(out);
  GATEPOST_CHECK(reader.octets() == octets.size());
  const ReferenceMessage expected = ReadByReference(octets, /*stuffed=*/false);
  if (expected.defect != BodyDefect::kNone || octets.ends_with('\r')) {
    GATEPOST_CHECK(reader.defect() == (expected.defect != BodyDefect::kNone ? expected.defect : BodyDefect::kBareCr));
    return;
  }
  GATEPOST_CHECK(reader.defect() == BodyDefect::kNone && reader.received_fields() == expected.received_fields);
  out.append(stuffer.Finish());
  const ReferenceMessage back = ReadByReference(out + std::string(kEndOfData), /*stuffed=*/true);
  std::string sent(octets);
  if (!sent.empty() && !sent.ends_with("\r\n")) sent += "\r\n";
  GATEPOST_CHECK(back.ended && back.consumed == out.size() + kEndOfData.size() && back.unstuffed == sent);
}

}  // namespace
}  // namespace gatepost::smtp

// The first octet says how the rest is split.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view octets(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (size_t step : {size_t{1} + data[0], octets.size() + 1}) {
    gatepost::smtp::CheckData(octets, step);
    gatepost::smtp::CheckChunks(octets, step);
    gatepost::smtp::CheckBinary(octets, step);
  }
  return 0;
}
