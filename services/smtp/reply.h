// A reply to a client (RFC 5321 4.2) as a value, and its one way to octets. The texts are in replies.h.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatepost::smtp {

struct Reply {
  Reply() = default;
  Reply(int reply_code, std::string_view enhanced_code, std::string reply_text)
      : code(reply_code), enhanced(enhanced_code), text(std::move(reply_text)) {}

  int code = 0;                   // 200 to 599
  std::string enhanced;           // "5.7.1"; empty where protocol has none: greetings, EHLO, HELO, 334, 354
  std::string text;               // the first line's
  std::vector<std::string> more;  // further lines (EHLO)

  int reply_class() const { return code / 100; }
  bool positive() const { return code < 400; }
  bool transient() const { return code >= 400 && code < 500; }
  bool permanent() const { return code >= 500; }

  // The lines with CR LF: at most 512 octets each, printable ASCII, with `utf8` (RFC 6531 3.7.4.2: in a transaction
  // with SMTPUTF8) also well-formed UTF-8. What would not be is replaced by '?', what would be too long is cut; so
  // nothing in a text can begin another line.
  void AppendTo(std::string* out, bool utf8 = false) const;
  std::string ToString() const;

  bool operator==(const Reply&) const = default;
};

}  // namespace gatepost::smtp
