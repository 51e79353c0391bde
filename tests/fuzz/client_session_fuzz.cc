// A next hop that says anything at any time. Whatever it says, we send only whole commands of ours, in an order that
// makes sense; nothing follows the end of the conversation; a dot goes out only after 354 and never after an early
// answer.
//
// The input: octets of the next hop, cut at each 0xff into what one read brings; an octet 0xfe alone is a time-out, an
// empty piece the end of the connection. The first octet chooses the operations.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "services/base/check.h"
#include "services/smtp/client_session.h"

namespace gatepost::smtp {
namespace {

using Event = ClientSession::Event;

class Fuzzer {
 public:
  Fuzzer(std::string_view script, bool require_tls) : session_({"edge.example", require_tls}), script_(script) {
    require_tls_ = require_tls;
  }

  void Run(uint8_t choices) {
    Perform(session_.Connect());
    for (int round = 0; round < 8 && session_.usable();
         ++round, choices = static_cast<uint8_t>(choices << 1 | choices >> 7)) {
      MailCommand mail;
      mail.path = *ParseReversePath("<\"a b\"@x.example>").path;
      mail.size = 7;
      if (choices & 1) mail.body = BodyType::k8BitMime;
      const ForwardPath recipient = *ParseForwardPath("<c@y.example>").path;
      if (!Perform(session_.MailAndRcpt(mail, recipient)).accepted()) continue;
      if (choices & 2) Perform(session_.Rcpt(recipient));
      if (choices & 4 || !session_.usable()) {
        Perform(session_.Reset());
        continue;
      }
      if (!Perform(session_.BeginData()).accepted()) continue;
      GATEPOST_CHECK(sent_.ends_with("DATA\r\n"));
      if (choices & 8) {
        GATEPOST_CHECK(!session_.Abort(NextRead()).accepted());
        break;
      }
      const UpstreamOutcome verdict = Perform(session_.FinishData());
      const bool dot_sent = sent_.ends_with("\r\n.\r\n");
      GATEPOST_CHECK(dot_sent || !verdict.accepted());
      GATEPOST_CHECK(dot_sent || !verdict.in_doubt());
    }
    Perform(session_.Quit());
    GATEPOST_CHECK(!session_.usable());
    const size_t sent = sent_.size();
    GATEPOST_CHECK(!Perform(session_.Reset()).accepted());
    GATEPOST_CHECK(sent_.size() == sent);
    for (size_t i = 0; i < sent_.size(); ++i) {
      if (sent_[i] == '\n') GATEPOST_CHECK(i > 0 && sent_[i - 1] == '\r');
      if (sent_[i] == '\r') GATEPOST_CHECK(i + 1 < sent_.size() && sent_[i + 1] == '\n');
    }
    if (require_tls_ && handshakes_ == 0) GATEPOST_CHECK(sent_.find("MAIL") == std::string::npos);
  }

 private:
  UpstreamOutcome Perform(ClientSession::Action action) {
    for (;;) {
      if (auto* finished = std::get_if<ClientSession::Finished>(&action)) {
        const UpstreamOutcome& outcome = finished->outcome;
        GATEPOST_CHECK(!outcome.connection_lost() || !session_.usable());
        GATEPOST_CHECK(!session_.usable() || session_.input().empty());
        if (!outcome.accepted()) ReplyToClient(outcome, policy::Dialect::kRfc);
        return outcome;
      }
      if (auto* write = std::get_if<ClientSession::Write>(&action)) {
        GATEPOST_CHECK(write->octets.ends_with("\r\n"));
        sent_.append(write->octets);
        action = session_.Advance(Event::kWritten);
      } else if (std::holds_alternative<ClientSession::Read>(action)) {
        action = session_.Advance(NextRead());
      } else {
        ++handshakes_;
        const Event event = NextRead();
        session_.input().Clear();
        action = session_.Advance(event == Event::kBytesRead ? Event::kTlsEstablished : Event::kTlsFailed);
      }
    }
  }

  Event NextRead() {
    const size_t end = std::min(script_.find('\xff'), script_.size());
    const std::string_view piece = script_.substr(0, end);
    script_.remove_prefix(std::min(end + 1, script_.size()));
    if (piece.empty()) return Event::kClosed;
    if (piece == "\xfe") return Event::kTimedOut;
    std::memcpy(session_.input().Prepare(piece.size()).data(), piece.data(), piece.size());
    session_.input().Commit(piece.size());
    return Event::kBytesRead;
  }

  ClientSession session_;
  std::string_view script_;
  std::string sent_;
  bool require_tls_;
  int handshakes_ = 0;
};

}  // namespace
}  // namespace gatepost::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view script(reinterpret_cast<const char*>(data) + 1, size - 1);
  gatepost::smtp::Fuzzer(script, (data[0] & 16) != 0).Run(data[0]);
  return 0;
}
