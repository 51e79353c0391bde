#include "services/smtp/client_identity.h"

#include <algorithm>
#include <utility>

#include "services/base/strings.h"
#include "services/smtp/address.h"
#include "services/smtp/limits.h"

namespace gatepost::smtp {
namespace {

constexpr std::string_view kUnavailable = "[UNAVAILABLE]";

std::string Value(std::string_view octets) { return octets.empty() ? std::string(kUnavailable) : EncodeXtext(octets); }

std::string NameValue(const ClientIdentity& identity) {
  switch (identity.name_state) {
    case ClientIdentity::NameState::kConfirmed:
      return Value(identity.name);
    case ClientIdentity::NameState::kFailed:
      return "[TEMPUNAVAIL]";
    case ClientIdentity::NameState::kUnknown:
      break;
  }
  return std::string(kUnavailable);
}

}  // namespace

std::vector<std::string> XclientLines(const ClientIdentity& identity, const std::vector<std::string>& attributes) {
  constexpr std::string_view kVerb = "XCLIENT";
  const std::pair<std::string_view, std::string> known[] = {
      {"NAME", NameValue(identity)},
      {"ADDR", base::StrCat(identity.address.is_v6() ? "IPV6:" : "", identity.address.ToString())},
      {"PORT", identity.port == 0 ? std::string(kUnavailable) : base::StrCat(identity.port)},
      {"PROTO", identity.esmtp ? "ESMTP" : "SMTP"},
      {"HELO", Value(identity.helo)},
      {"LOGIN", Value(identity.login)},
  };
  std::vector<std::string> lines;
  std::string line(kVerb);
  const auto end_line = [&] { lines.push_back(base::StrCat(std::exchange(line, std::string(kVerb)), "\r\n")); };
  for (const auto& [attribute, value] : known) {
    if (std::find(attributes.begin(), attributes.end(), attribute) == attributes.end()) continue;
    std::string word = base::StrCat(' ', attribute, '=', value);
    if (kVerb.size() + word.size() + 2 > limits::kUpstreamCommand)
      word = base::StrCat(' ', attribute, '=', kUnavailable);
    if (line.size() + word.size() + 2 > limits::kUpstreamCommand) end_line();
    line += word;
  }
  if (line.size() > kVerb.size()) end_line();
  return lines;
}

}  // namespace gatepost::smtp
