// Paths, domains, literals, xtext: what is accepted has a canonical form that holds no control octet, parses to an
// equal value, and is its own canonical form.
#include <algorithm>
#include <string>

#include "services/base/check.h"
#include "services/base/unicode.h"
#include "services/smtp/address.h"

namespace gatepost::smtp {
namespace {

bool IsClean(std::string_view text, bool utf8) {
  return std::none_of(text.begin(), text.end(), [&](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 0x20 || octet == 0x7f || (octet >= 0x80 && !utf8);
  });
}

template <typename Path>
void CheckPath(const PathResult<Path>& result, PathResult<Path> (*parse)(std::string_view, bool), std::string_view text,
               bool utf8) {
  GATEPOST_CHECK(result.consumed <= text.size());
  if (!result.path) return;
  GATEPOST_CHECK(result.consumed > 0 && text[result.consumed - 1] == '>');
  const std::string canonical = result.path->canonical();
  GATEPOST_CHECK(IsClean(canonical, utf8));
  GATEPOST_CHECK(IsClean(result.path->mailbox.domain, false));
  GATEPOST_CHECK(result.path->mailbox.is_ascii() || !base::HidesSyntax(result.path->mailbox.local));
  const std::string bracketed = "<" + canonical + ">";
  const PathResult<Path> again = parse(bracketed, utf8);
  GATEPOST_CHECK(again.path && *again.path == *result.path);
  GATEPOST_CHECK(again.consumed == bracketed.size());
  GATEPOST_CHECK(again.path->canonical() == canonical);
}

}  // namespace
}  // namespace gatepost::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gatepost::smtp;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (bool utf8 : {false, true}) {
    CheckPath(ParseReversePath(text, utf8), ParseReversePath, text, utf8);
    CheckPath(ParseForwardPath(text, utf8), ParseForwardPath, text, utf8);
    if (const auto domain = ParseDomain(text, utf8)) {
      GATEPOST_CHECK(IsClean(*domain, false) && domain->size() <= 255);
      GATEPOST_CHECK(ParseDomain(*domain) == domain);
    }
    if (const auto mailbox = ParseMailbox(text, utf8)) {
      GATEPOST_CHECK(ParseMailbox(mailbox->canonical(), utf8) == mailbox || utf8);
    }
  }
  if (const auto literal = ParseAddressLiteral(text)) GATEPOST_CHECK(ParseAddressLiteral(*literal) == literal);
  if (IsClientName(text)) GATEPOST_CHECK(IsClean(text, false) && text.size() <= 255);
  if (const auto octets = DecodeXtext(text)) GATEPOST_CHECK(DecodeXtext(EncodeXtext(*octets)) == octets);
  const std::string encoded = EncodeXtext(text);
  GATEPOST_CHECK(IsClean(encoded, false) && DecodeXtext(encoded) == std::string(text));
  return 0;
}
