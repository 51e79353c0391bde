#include "services/smtp/testing/upstream_check.h"

#include <optional>

namespace gatepost::smtp {
namespace {

// The argument between "<" and the ">" that ends the line, or comes before parameters of ours.
std::optional<std::string> Argument(std::string_view line, std::string_view verb) {
  for (std::string_view parameter : {" BODY=7BIT", " BODY=8BITMIME"}) {
    if (verb.starts_with("MAIL") && line.ends_with(parameter)) line.remove_suffix(parameter.size());
  }
  if (!line.starts_with(verb) || !line.ends_with('>')) return std::nullopt;
  return std::string(line.substr(verb.size(), line.size() - verb.size() - 1));
}

}  // namespace

UpstreamTranscript ReadUpstream(std::string_view octets) {
  UpstreamTranscript transcript;
  for (size_t i = 0; i < octets.size(); ++i) {
    if (octets[i] == '\0') transcript.fault = "NUL";
    if (octets[i] == '\n' && (i == 0 || octets[i - 1] != '\r')) transcript.fault = "LF without CR";
    if (octets[i] == '\r' && (i + 1 == octets.size() || octets[i + 1] != '\n')) transcript.fault = "CR without LF";
  }
  if (!transcript.fault.empty()) return transcript;

  enum class At { kCommand, kAfterData, kBody } at = At::kCommand;
  UpstreamTranscript::Message message;
  bool mail = false;
  while (!octets.empty()) {
    size_t end = octets.find("\r\n");
    if (end == std::string_view::npos) {
      // A next hop that is dropped has the rest of a line at most within a message.
      if (at == At::kCommand) transcript.fault = "half a command";
      break;
    }
    std::string_view line = octets.substr(0, end);
    octets.remove_prefix(end + 2);
    if (at == At::kBody) {
      if (line == ".") {
        transcript.messages.push_back(std::move(message));
        message = {};
        mail = false;
        at = At::kCommand;
        continue;
      }
      if (line.starts_with('.')) {
        line.remove_prefix(1);
        if (!line.starts_with('.')) transcript.fault = "a line whose dot was not stuffed";
      }
      message.octets.append(line).append("\r\n");
      continue;
    }
    if (at == At::kAfterData && line.starts_with("Received: from ")) {
      message.octets.append(line).append("\r\n");
      at = At::kBody;
      continue;
    }
    at = At::kCommand;
    if (std::optional<std::string> sender = Argument(line, "MAIL FROM:<")) {
      // The script refuses some MAILs, which leave no transaction though RCPT was pipelined behind them.
      bool refused = message.sender.starts_with("mail550@") || message.sender.starts_with("mail450@");
      if (mail && !refused) transcript.fault = "MAIL within a transaction";
      mail = true;
      message = {};
      message.sender = *sender;
    } else if (std::optional<std::string> recipient = Argument(line, "RCPT TO:<")) {
      if (!mail) transcript.fault = "RCPT without MAIL";
      message.recipients.push_back(*recipient);
      transcript.recipients.push_back(*recipient);
    } else if (line == "DATA") {
      if (!mail || message.recipients.empty()) transcript.fault = "DATA without an envelope";
      at = At::kAfterData;
    } else if (line == "RSET") {
      mail = false;
    } else {
      transcript.fault = "not a command: " + std::string(line);
    }
  }
  transcript.in_message = at != At::kCommand;
  return transcript;
}

}  // namespace gatepost::smtp
