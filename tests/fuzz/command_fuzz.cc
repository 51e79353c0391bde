// Octets -> lines -> commands. The lines do not depend on how the octets are split; a line holds no control octet; what
// an accepted command would send on is one line without control octets.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "services/base/check.h"
#include "services/smtp/command.h"
#include "services/smtp/line_reader.h"
#include "services/smtp/replies.h"

namespace gatepost::smtp {
namespace {

struct Item {
  LineReader::Status status;
  std::string line;
  bool operator==(const Item&) const = default;
};

std::vector<Item> Lines(std::string_view octets, size_t step, LineReader::Expect expect) {
  LineReader reader;
  InputBuffer input;
  std::vector<Item> items;
  for (;;) {
    const LineReader::Result result = reader.Next(input, expect);
    if (result.status == LineReader::Status::kNeedMore) {
      if (octets.empty()) return items;
      const size_t size = std::min(step, octets.size());
      std::memcpy(input.Prepare(size).data(), octets.data(), size);
      input.Commit(size);
      octets.remove_prefix(size);
      continue;
    }
    items.push_back({result.status, std::string(result.line)});
    if (result.status == LineReader::Status::kLine) input.Consume(result.consumed);
    if (result.status == LineReader::Status::kBadOctet || result.status == LineReader::Status::kFlood) return items;
  }
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

void CheckCommand(const std::string& line, const OfferedParameters& offered) {
  const ParsedCommand parsed = ParseCommand(line, offered);
  if (const auto* mail = std::get_if<MailCommand>(&parsed.command)) {
    const std::string canonical = mail->path.canonical();
    GATEPOST_CHECK(!HasControl(canonical));
    const PathResult<ReversePath> again = ParseReversePath("<" + canonical + ">", mail->smtputf8);
    GATEPOST_CHECK(again.path && *again.path == mail->path);
    GATEPOST_CHECK(mail->smtputf8 || mail->path.mailbox.is_ascii());
    GATEPOST_CHECK(!mail->envelope_id || !HasControl(*mail->envelope_id));
  } else if (const auto* rcpt = std::get_if<RcptCommand>(&parsed.command)) {
    GATEPOST_CHECK(!HasControl(rcpt->path.canonical()) && !HasControl(rcpt->original_address));
  } else if (const auto* error = std::get_if<CommandError>(&parsed.command)) {
    GATEPOST_CHECK(replies::ForError(*error).permanent());
  }
}

}  // namespace
}  // namespace gatepost::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gatepost::smtp;
  if (size == 0) return 0;
  const uint8_t control = data[0];
  const std::string_view octets(reinterpret_cast<const char*>(data) + 1, size - 1);
  const LineReader::Expect expect = control & 1 ? LineReader::Expect::kAuthResponse : LineReader::Expect::kCommand;
  const std::vector<Item> items = Lines(octets, octets.size() + 1, expect);
  GATEPOST_CHECK(items == Lines(octets, 1 + control / 8, expect));
  OfferedParameters offered;
  offered.size = control & 2;
  offered.eight_bit_mime = control & 2;
  offered.dsn = offered.smtputf8 = offered.binary_mime = control & 4;
  offered.utf8_transaction = (control & 6) == 6;
  for (const Item& item : items) {
    if (item.status != LineReader::Status::kLine) continue;
    GATEPOST_CHECK(!HasControl(item.line));
    CheckCommand(item.line, offered);
  }
  return 0;
}
