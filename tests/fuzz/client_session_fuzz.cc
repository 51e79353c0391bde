// A next hop that says anything at any time. Whatever it says, we send only whole commands of ours, in an order that
// makes sense; nothing follows the end of the conversation; a dot goes out only after 354 and never after an early
// answer; a binary message goes by BDAT alone, and only where it was offered; where XCLIENT is due, nothing of a
// transaction comes before it.
//
// The input: octets of the next hop, cut at each 0xff into what one read brings; an octet 0xfe alone is a time-out, an
// empty piece the end of the connection. The first octet chooses the operations.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "services/base/check.h"
#include "services/smtp/client_session.h"

namespace gatepost::smtp {
namespace {

using Event = ClientSession::Event;

class Fuzzer {
 public:
  Fuzzer(std::string_view script, bool require_tls, bool identify)
      : session_({.client_name = "edge.example", .require_tls = require_tls, .identity = Identity(identify, "")}),
        script_(script),
        require_tls_(require_tls),
        identify_(identify) {}

  void Run(uint8_t choices) {
    Perform(session_.Connect());
    for (int round = 0; round < 8 && session_.usable();
         ++round, choices = static_cast<uint8_t>(choices << 1 | choices >> 7)) {
      if (identify_ && !Perform(session_.Identify(*Identity(true, choices & 1 ? "b\r\n+=\xff" : ""))).accepted()) {
        continue;
      }
      MailCommand mail;
      mail.path = *ParseReversePath("<\"a b\"@x.example>").path;
      mail.size = 7;
      if (choices & 1) mail.body = BodyType::k8BitMime;
      if (choices & 64) mail.body = BodyType::kBinaryMime;
      if (choices & 128) mail.envelope_id = "a+b=c";
      RcptCommand recipient{.path = *ParseForwardPath("<c@y.example>").path};
      if (choices & 128) recipient.notify = {.given = true, .never = true};
      const bool second = (choices & 2) != 0;
      const bool data_follows = (choices & 16) != 0 && (choices & 4) == 0;
      data_said_ = data_follows && !second;
      if (!Perform(session_.MailAndRcpt(mail, recipient, data_said_)).accepted()) continue;
      data_said_ = data_follows;
      if (second) Perform(session_.Rcpt(recipient, data_follows));
      if (choices & 4 || !session_.usable()) {
        Perform(session_.Reset());
        continue;
      }
      data_said_ = false;
      if (!Perform(session_.BeginData()).accepted()) continue;
      if (session_.by_chunks()) {
        SendChunks();
        continue;
      }
      GATEPOST_CHECK(sent_.ends_with("DATA\r\n"));
      if (choices & 8) {
        GATEPOST_CHECK(!session_.Abort(NextRead()).accepted());
        break;
      }
      CheckVerdict(Perform(session_.FinishData()), "\r\n.\r\n");
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
    if (identify_) GATEPOST_CHECK(sent_.substr(0, sent_.find("\nXCLIENT ")).find("\nMAIL") == std::string::npos);
  }

 private:
  static std::optional<ClientIdentity> Identity(bool wanted, std::string_view login) {
    if (!wanted) return std::nullopt;
    ClientIdentity client;
    client.address = *base::IpAddress::Parse("2001:db8::1");
    client.helo = "c.example";
    client.login = login;
    return client;
  }

  void SendChunks() {
    GATEPOST_CHECK(session_.capabilities().chunking && session_.capabilities().binary_mime);
    if (!Perform(session_.SendChunk(7)).accepted()) {
      GATEPOST_CHECK(!session_.usable());
      return;
    }
    GATEPOST_CHECK(sent_.ends_with("\r\nBDAT 7\r\n"));
    CheckVerdict(Perform(session_.FinishData(9)), "\r\nBDAT 9 LAST\r\n");
  }

  void CheckVerdict(const UpstreamOutcome& verdict, std::string_view end_of_data) {
    const bool sent = sent_.ends_with(end_of_data);
    GATEPOST_CHECK(sent || !verdict.accepted());
    GATEPOST_CHECK(sent || !verdict.in_doubt());
  }

  UpstreamOutcome Perform(ClientSession::Action action) {
    for (;;) {
      if (auto* finished = std::get_if<ClientSession::Finished>(&action)) {
        const UpstreamOutcome& outcome = finished->outcome;
        GATEPOST_CHECK(!outcome.connection_lost() || !session_.usable());
        // Only the answer to DATA may have come before it is asked for.
        GATEPOST_CHECK(!session_.usable() || session_.input().empty() || data_said_);
        if (!outcome.accepted()) ReplyToClient(outcome, policy::Dialect::kRfc);
        return outcome;
      }
      if (auto* write = std::get_if<ClientSession::Write>(&action)) {
        GATEPOST_CHECK(write->octets.ends_with("\r\n"));
        const bool chunk = write->message == ClientSession::Write::Message::kBehind;
        GATEPOST_CHECK(chunk == write->octets.starts_with("BDAT "));
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
  bool data_said_ = false;  // the operation that runs may say DATA, too
  const bool require_tls_;
  const bool identify_;
  int handshakes_ = 0;
};

}  // namespace
}  // namespace gatepost::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view script(reinterpret_cast<const char*>(data) + 1, size - 1);
  gatepost::smtp::Fuzzer(script, (data[0] & 16) != 0, (data[0] & 32) != 0).Run(data[0]);
  return 0;
}
