// A next hop's reply: bounded, the same however much of it is shown at once, and what a client is told of it is one
// line of at most 512 octets of printable ASCII with a code of ours.
#include <algorithm>
#include <string>

#include "services/base/check.h"
#include "services/smtp/capabilities.h"
#include "services/smtp/reply_reader.h"
#include "services/smtp/upstream_outcome.h"

namespace gatepost::smtp {
namespace {

void CheckLine(const std::string& line) {
  GATEPOST_CHECK(line.size() <= 512 && line.size() > 5 && line.ends_with("\r\n"));
  GATEPOST_CHECK(std::all_of(line.begin(), line.end() - 2, [](char c) { return c >= 0x20 && c <= 0x7e; }));
}

}  // namespace
}  // namespace gatepost::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gatepost::smtp;
  using Status = ReplyResult::Status;
  const std::string_view octets(reinterpret_cast<const char*>(data), size);
  UpstreamReply reply;
  const ReplyResult result = ParseReply(octets, &reply);
  GATEPOST_CHECK(result.status != Status::kNeedMore || size < 4096);
  // Shown in growing pieces: nothing but "more" until the same result.
  const size_t step = 1 + size / 97;
  for (size_t shown = 0; shown < size; shown += step) {
    UpstreamReply part;
    const ReplyResult partial = ParseReply(octets.substr(0, shown), &part);
    if (partial.status == Status::kNeedMore) continue;
    GATEPOST_CHECK(partial.status == result.status && partial.consumed == result.consumed);
    if (partial.status == Status::kReply) GATEPOST_CHECK(part == reply);
  }
  if (result.status != Status::kReply) return 0;
  GATEPOST_CHECK(result.consumed <= 4096 && result.consumed <= size && !reply.lines.empty() &&
                 reply.lines.size() <= 50);
  GATEPOST_CHECK(reply.code >= 200 && reply.code < 600 && reply.text().size() <= 400);
  Capabilities::FromEhlo(reply.lines);
  for (const auto dialect : {gatepost::policy::Dialect::kRfc, gatepost::policy::Dialect::kExchange}) {
    if (reply.reply_class() >= 4) {
      const Reply told = ReplyToClient(UpstreamOutcome::Refused(reply), dialect);
      GATEPOST_CHECK(told.code == reply.code || told.code == 451);
      GATEPOST_CHECK(told.code != 421 && told.code != 530 && told.code != 535);
      GATEPOST_CHECK(told.enhanced.front() == static_cast<char>('0' + told.reply_class()));
      CheckLine(told.ToString());
    } else {
      GATEPOST_CHECK(!ReplyToClient(UpstreamOutcome::Accepted(reply), dialect).positive());
    }
  }
  return 0;
}
