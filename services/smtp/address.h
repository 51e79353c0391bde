// Mailboxes and paths (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3): strict parse of what a client sent, one canonical form for
// policy and for what we send on. No octet of the client's survives but through this form.
//
// Pure. Linear in the length of the text; no recursion.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatepost::smtp {

// A mailbox by its meaning: "a"@EXAMPLE.com and a@example.com are equal.
struct Mailbox {
  // Without quotes and backslashes, case kept. Printable ASCII; with SMTPUTF8 also UTF-8, but nothing that becomes
  // syntax when somebody normalizes it (base/unicode.h).
  std::string local;
  // Lower case; labels as A-labels (xn--...). Or an address literal in its brackets, e.g. "[192.0.2.1]" or
  // "[IPv6:2001:db8::1]" in the form of RFC 5952. Empty only for the recipient <postmaster>.
  std::string domain;

  bool is_literal() const { return !domain.empty() && domain.front() == '['; }
  // The local part holds '%', '!' or '@': some servers take it for a route (sendmail's percent hack, UUCP's bang path).
  bool has_routing_characters() const { return local.find_first_of("%!@") != std::string::npos; }
  // An octet beyond ASCII: it needs SMTPUTF8. (The domain never does: it is kept as A-labels.)
  bool is_ascii() const;

  // local@domain, with the local part quoted only where it must be; parses to an equal Mailbox. No CTL, no octet beyond
  // ASCII unless !is_ascii().
  std::string canonical() const;

  // Local parts are compared in Unicode's form NFC, and with regard to case.
  bool operator==(const Mailbox& other) const;
};

// The argument of MAIL.
struct ReversePath {
  Mailbox mailbox;  // both parts empty: the null path <>
  bool null() const { return mailbox.local.empty() && mailbox.domain.empty(); }
  // Without angle brackets; "" for the null path.
  std::string canonical() const { return null() ? std::string() : mailbox.canonical(); }
  bool operator==(const ReversePath&) const = default;
};

// The argument of RCPT. A source route (<@a,@b:c@d>) is checked and stripped.
struct ForwardPath {
  Mailbox mailbox;
  bool postmaster_alone() const { return mailbox.domain.empty(); }
  std::string canonical() const { return mailbox.canonical(); }
  bool operator==(const ForwardPath&) const = default;
};

enum class AddressError : uint8_t {
  kSyntax,      // 501 5.1.3, 501 5.1.7; lengths beyond the limits too
  kNoBrackets,  // 501 5.5.4
  kNotAscii,    // well-formed, but needs SMTPUTF8: 550 5.6.7, 553 5.6.7
};

// A parsed path, or why not. `consumed`: where the path ends, behind its '>'.
template <typename Path>
struct PathResult {
  std::optional<Path> path;
  AddressError error = AddressError::kSyntax;
  size_t consumed = 0;
};

// `text` begins with the path; what follows the '>' is the caller's. `utf8`: addresses beyond ASCII are allowed.
PathResult<ReversePath> ParseReversePath(std::string_view text, bool utf8 = false);
PathResult<ForwardPath> ParseForwardPath(std::string_view text, bool utf8 = false);

// local@domain and nothing else. `utf8` as above.
std::optional<Mailbox> ParseMailbox(std::string_view text, bool utf8 = false);

// A domain (RFC 5321 4.1.2: labels of letters, digits and hyphens) in canonical form; with `utf8` also U-labels
// (base/domain_name.h). No address literal. nullopt: not one.
std::optional<std::string> ParseDomain(std::string_view text, bool utf8 = false);
// "[192.0.2.1]", "[IPv6:...]" in canonical form.
std::optional<std::string> ParseAddressLiteral(std::string_view text);

// The argument of EHLO and HELO: a domain or an address literal. Clients get these wrong, and nothing depends on them:
// 1 to 255 letters, digits and "-._:[]" pass as they are.
bool IsClientName(std::string_view text);

// xtext (RFC 3461 4): "+" and two upper-case hexadecimal digits stand for an octet. nullopt: malformed.
std::optional<std::string> DecodeXtext(std::string_view text);
std::string EncodeXtext(std::string_view octets);

}  // namespace gatepost::smtp
