#include "services/smtp/testing/upstream_check.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "services/base/strings.h"

namespace gatepost::smtp {
namespace {

// The argument between "<" and the last ">", behind which only parameters of ours come.
std::optional<std::string> Argument(std::string_view line, std::string_view verb) {
  if (!line.starts_with(verb)) return std::nullopt;
  const size_t end = line.rfind('>');
  if (end == std::string_view::npos || end < verb.size()) return std::nullopt;
  for (std::string_view parameter : base::Split(line.substr(end + 1), ' ')) {
    const bool known = parameter.empty() || parameter == "BODY=7BIT" || parameter == "BODY=8BITMIME" ||
                       parameter == "BODY=BINARYMIME" || parameter == "SMTPUTF8" || parameter.starts_with("SIZE=") ||
                       parameter.starts_with("RET=") || parameter.starts_with("ENVID=") ||
                       parameter.starts_with("NOTIFY=") || parameter.starts_with("ORCPT=");
    if (!known) return std::nullopt;
  }
  return std::string(line.substr(verb.size(), end - verb.size()));
}

class Reader {
 public:
  explicit Reader(std::string_view octets) : octets_(octets) {}

  UpstreamTranscript Read() {
    while (transcript_.fault.empty() && !octets_.empty()) {
      const size_t end = octets_.find("\r\n");
      const std::string_view line = octets_.substr(0, end);
      if (line.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos) {
        transcript_.fault = "NUL, CR or LF in a line";
        // A next hop that is dropped has the rest of a line at most within a message.
        if (end == std::string_view::npos && at_ != At::kCommand && line.ends_with('\r') &&
            line.find_first_of(std::string_view("\0\r\n", 3)) == line.size() - 1) {
          transcript_.fault.clear();
        }
        if (!transcript_.fault.empty()) break;
      }
      if (end == std::string_view::npos) {
        if (at_ == At::kCommand) transcript_.fault = "half a command";
        break;
      }
      octets_.remove_prefix(end + 2);
      if (at_ == At::kBody) {
        TakeText(line);
      } else {
        TakeCommand(line);
      }
    }
    transcript_.in_message = at_ != At::kCommand || binary_;
    return std::move(transcript_);
  }

 private:
  enum class At { kCommand, kAfterData, kBody };

  void TakeText(std::string_view line) {
    if (line == ".") {
      EndMessage();
      at_ = At::kCommand;
      return;
    }
    if (line.starts_with('.')) {
      line.remove_prefix(1);
      if (!line.starts_with('.')) transcript_.fault = "a line whose dot was not stuffed";
    }
    message_.octets.append(line).append("\r\n");
  }

  // The script refuses some MAILs, which leave no transaction though RCPT, and DATA, were pipelined behind them.
  bool MailWasRefused() const {
    return message_.sender.starts_with("mail550@") || message_.sender.starts_with("mail450@");
  }

  void EndMessage() {
    transcript_.messages.push_back(std::exchange(message_, {}));
    mail_ = binary_ = false;
  }

  // BDAT, of a binary message alone; what is in it is not looked at.
  void TakeChunk(std::string_view argument) {
    const bool last = argument.ends_with(" LAST");
    if (last) argument.remove_suffix(5);
    size_t size = 0;
    for (char c : argument) {
      if (!base::IsDigit(c) || size > octets_.size()) transcript_.fault = "BDAT";
      size = size * 10 + static_cast<size_t>(c - '0');
    }
    if (!binary_body_ || !mail_ || message_.recipients.empty()) transcript_.fault = "BDAT without a binary envelope";
    const std::string_view chunk = octets_.substr(0, size);
    if (!binary_ && !chunk.starts_with("Received: from ")) transcript_.fault = "BDAT without our header";
    message_.octets.append(chunk);
    binary_ = true;
    if (chunk.size() < size) return octets_.remove_prefix(octets_.size());  // dropped
    octets_.remove_prefix(size);
    if (last) EndMessage();
  }

  void TakeCommand(std::string_view line) {
    if (at_ == At::kAfterData && line.starts_with("Received: from ")) {
      message_.octets.append(line).append("\r\n");
      at_ = At::kBody;
      return;
    }
    at_ = At::kCommand;
    if (std::optional<std::string> sender = Argument(line, "MAIL FROM:<")) {
      if (mail_ && !MailWasRefused()) transcript_.fault = "MAIL within a transaction";
      mail_ = true;
      binary_body_ = line.find(" BODY=BINARYMIME") != std::string_view::npos;
      message_ = {};
      message_.sender = *sender;
    } else if (std::optional<std::string> recipient = Argument(line, "RCPT TO:<")) {
      if (!mail_) transcript_.fault = "RCPT without MAIL";
      message_.recipients.push_back(*recipient);
      transcript_.recipients.push_back(*recipient);
    } else if (line == "DATA") {
      if (!mail_ || message_.recipients.empty()) transcript_.fault = "DATA without an envelope";
      if (binary_body_) transcript_.fault = "DATA for a binary message";
      if (!MailWasRefused()) at_ = At::kAfterData;
    } else if (line.starts_with("BDAT ")) {
      TakeChunk(line.substr(5));
    } else if (line == "RSET") {
      mail_ = false;
    } else if (line.starts_with("XCLIENT ")) {
      if (mail_ && !MailWasRefused()) transcript_.fault = "XCLIENT within a transaction";
      if (line.size() + 2 > 512) transcript_.fault = "a long XCLIENT";
      hello_due_ = true;
      return;
    } else if (line.starts_with("EHLO ")) {
      if (!hello_due_) transcript_.fault = "EHLO out of order";
    } else {
      transcript_.fault = base::StrCat("not a command: ", line);
    }
    hello_due_ = false;
  }

  std::string_view octets_;
  UpstreamTranscript transcript_;
  At at_ = At::kCommand;
  UpstreamTranscript::Message message_;
  bool mail_ = false;
  bool binary_body_ = false;
  bool hello_due_ = true;  // at the start, and after XCLIENT
  bool binary_ = false;    // a BDAT has come and the last one has not
};

}  // namespace

UpstreamTranscript ReadUpstream(std::string_view octets) { return Reader(octets).Read(); }

}  // namespace gatepost::smtp
