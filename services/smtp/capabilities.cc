#include "services/smtp/capabilities.h"

#include <algorithm>
#include <charconv>

#include "services/base/strings.h"

namespace gatepost::smtp {
namespace {

// Decimal digits and nothing else; beyond 64 bits: the greatest number.
std::optional<uint64_t> ParseNumber(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), base::IsDigit)) return std::nullopt;
  uint64_t number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  return result.ec == std::errc() ? number : UINT64_MAX;
}

// Of two limits the lesser one; nothing: no limit.
std::optional<uint64_t> Lesser(std::optional<uint64_t> a, std::optional<uint64_t> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

// RFC 9422 4: name and value; what is unknown, malformed or 0 is ignored.
void TakeLimit(std::string_view word, Capabilities* found) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return;
  const std::string_view name = word.substr(0, equals);
  const std::optional<uint64_t> value = ParseNumber(word.substr(equals + 1));
  if (!value || *value == 0) return;
  if (base::EqualsIgnoreCase(name, "MAILMAX")) found->transactions_max = value;
  if (base::EqualsIgnoreCase(name, "RCPTMAX")) found->recipients_max = value;
  if (base::EqualsIgnoreCase(name, "RCPTDOMAINMAX")) found->recipient_domains_max = value;
}

}  // namespace

Capabilities Capabilities::Unseen() {
  Capabilities unseen;
  unseen.size = 0;
  unseen.pipelining = unseen.eight_bit_mime = unseen.enhanced_status_codes = true;
  return unseen;
}

Capabilities Capabilities::Intersect(const Capabilities& a, const Capabilities& b) {
  Capabilities both;
  both.pipelining = a.pipelining && b.pipelining;
  both.eight_bit_mime = a.eight_bit_mime && b.eight_bit_mime;
  both.enhanced_status_codes = a.enhanced_status_codes && b.enhanced_status_codes;
  both.starttls = a.starttls && b.starttls;
  both.dsn = a.dsn && b.dsn;
  both.smtputf8 = a.smtputf8 && b.smtputf8;
  both.chunking = a.chunking && b.chunking;
  both.binary_mime = a.binary_mime && b.binary_mime;
  both.require_tls = a.require_tls && b.require_tls;
  // 0 means no fixed limit.
  if (a.size && b.size) both.size = *a.size == 0 ? *b.size : *b.size == 0 ? *a.size : std::min(*a.size, *b.size);
  both.transactions_max = Lesser(a.transactions_max, b.transactions_max);
  both.recipients_max = Lesser(a.recipients_max, b.recipients_max);
  both.recipient_domains_max = Lesser(a.recipient_domains_max, b.recipient_domains_max);
  for (const std::string& attribute : a.xclient) {
    if (std::find(b.xclient.begin(), b.xclient.end(), attribute) != b.xclient.end()) both.xclient.push_back(attribute);
  }
  return both;
}

Capabilities Capabilities::FromEhlo(const std::vector<std::string>& lines) {
  Capabilities found;
  for (const std::string& line : lines) {
    const std::vector<std::string_view> words = base::Split(line, ' ');
    const std::string keyword = base::AsciiUpper(words[0]);
    if (keyword == "PIPELINING") {
      found.pipelining = true;
    } else if (keyword == "8BITMIME") {
      found.eight_bit_mime = true;
    } else if (keyword == "ENHANCEDSTATUSCODES") {
      found.enhanced_status_codes = true;
    } else if (keyword == "STARTTLS") {
      found.starttls = true;
    } else if (keyword == "DSN") {
      found.dsn = true;
    } else if (keyword == "SMTPUTF8") {
      found.smtputf8 = true;
    } else if (keyword == "CHUNKING") {
      found.chunking = true;
    } else if (keyword == "BINARYMIME") {
      found.binary_mime = true;
    } else if (keyword == "REQUIRETLS") {
      found.require_tls = true;
    } else if (keyword == "SIZE") {
      found.size = words.size() > 1 ? ParseNumber(words[1]).value_or(0) : 0;
    } else if (keyword == "LIMITS") {
      for (size_t i = 1; i < words.size(); ++i) TakeLimit(words[i], &found);
    } else if (keyword == "XCLIENT") {
      for (size_t i = 1; i < words.size(); ++i) {
        if (!words[i].empty()) found.xclient.push_back(base::AsciiUpper(words[i]));
      }
    }
  }
  return found;
}

}  // namespace gatepost::smtp
