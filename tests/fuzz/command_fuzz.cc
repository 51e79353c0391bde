// Octets -> lines -> commands. The lines do not depend on how the octets are split; a line holds no control octet; what
// an accepted command would send on is one line without control octets, which is read back as the same command.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "services/base/check.h"
#include "services/smtp/command.h"
#include "services/smtp/line_reader.h"
#include "services/smtp/replies.h"
#include "services/smtp/upstream_command.h"

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

constexpr OfferedParameters kAllOffered = {
    .size = true, .eight_bit_mime = true, .binary_mime = true, .smtputf8 = true, .dsn = true, .utf8_transaction = true};
const Capabilities kAll = Capabilities::FromEhlo({"SIZE", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8", "DSN"});

// Without CR LF, which is at its end and nowhere else.
std::string_view OneLine(std::string_view line) {
  GATEPOST_CHECK(line.ends_with("\r\n"));
  line.remove_suffix(2);
  GATEPOST_CHECK(!HasControl(line));
  return line;
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
    const std::string line_on = MailLine(*mail, kAll);
    const ParsedCommand back = ParseCommand(OneLine(line_on), kAllOffered);
    const auto* same = std::get_if<MailCommand>(&back.command);
    GATEPOST_CHECK(same != nullptr && same->path == mail->path && same->size == mail->size &&
                   same->body == mail->body && same->smtputf8 == mail->smtputf8 &&
                   same->dsn_return == mail->dsn_return && same->envelope_id == mail->envelope_id);
  } else if (const auto* rcpt = std::get_if<RcptCommand>(&parsed.command)) {
    GATEPOST_CHECK(!HasControl(rcpt->path.canonical()) && !HasControl(rcpt->original_address));
    const ParsedCommand back = ParseCommand(OneLine(RcptLine(*rcpt)), kAllOffered);
    const auto* same = std::get_if<RcptCommand>(&back.command);
    GATEPOST_CHECK(same != nullptr && same->path == rcpt->path && same->original_type == rcpt->original_type &&
                   same->original_address == rcpt->original_address && same->notify.never == rcpt->notify.never &&
                   same->notify.success == rcpt->notify.success && same->notify.failure == rcpt->notify.failure &&
                   same->notify.delay == rcpt->notify.delay && same->notify.given == rcpt->notify.given);
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
