#include "services/smtp/address.h"

#include <algorithm>
#include <utility>

#include "services/base/domain_name.h"
#include "services/base/ip_address.h"
#include "services/base/unicode.h"
#include "services/smtp/grammar.h"
#include "services/smtp/limits.h"

namespace gatepost::smtp {
namespace {

bool HasBeyondAscii(std::string_view text) { return std::any_of(text.begin(), text.end(), IsBeyondAscii); }

// atext, and with SMTPUTF8 any octet of UTF-8 (RFC 6531 3.3); that it is well-formed is checked on the whole.
bool IsAtomOctet(char c) { return IsAtext(c) || IsBeyondAscii(c); }

bool IsDotString(std::string_view text) {
  bool atom = false;  // the octet before belongs to an atom
  for (char c : text) {
    if (c == '.' ? !atom : !IsAtomOctet(c)) return false;
    atom = c != '.';
  }
  return atom;
}

// Walks over a path from its '<'.
class PathParser {
 public:
  PathParser(std::string_view text, bool utf8) : text_(text), utf8_(utf8) {}

  std::optional<Mailbox> Parse(bool forward) {
    if (!Take('<')) return Fail(AddressError::kNoBrackets);
    if (!forward && Take('>')) return Mailbox();
    if (!SkipSourceRoute()) return std::nullopt;
    Mailbox mailbox;
    if (!TakeLocal(&mailbox.local)) return std::nullopt;
    if (forward && base::EqualsIgnoreCase(text_.substr(0, at_), "<postmaster") && Take('>')) return mailbox;
    if (!Take('@') || !TakeDomain(&mailbox.domain) || !Take('>') || at_ > limits::kPath) return std::nullopt;
    if (!utf8_ && HasBeyondAscii(text_.substr(0, at_))) {
      return Fail(base::IsValidUtf8(text_.substr(0, at_)) ? AddressError::kNotAscii : AddressError::kSyntax);
    }
    // A-labels may be longer than what they stand for.
    if (utf8_ && mailbox.canonical().size() + 2 > limits::kPath) return std::nullopt;
    if (!mailbox.is_ascii() && (!base::IsValidUtf8(mailbox.local) || base::HidesSyntax(mailbox.local))) {
      return std::nullopt;
    }
    return mailbox;
  }

  AddressError error() const { return error_; }
  size_t consumed() const { return at_; }

 private:
  std::optional<Mailbox> Fail(AddressError error) {
    error_ = error;
    return std::nullopt;
  }

  bool Take(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  // "@a,@b:" (RFC 5321 4.1.2, A-d-l; appendix C has it ignored).
  bool SkipSourceRoute() {
    if (at_ >= text_.size() || text_[at_] != '@') return true;
    do {
      std::string domain;
      if (!Take('@') || !TakeDomain(&domain) || domain.front() == '[') return false;
    } while (Take(','));
    return Take(':');
  }

  bool TakeLocal(std::string* local) {
    const size_t start = at_;
    if (Take('"')) {
      while (!Take('"')) {
        const bool pair = Take('\\');
        if (at_ == text_.size()) return false;
        const char c = text_[at_++];
        if (pair ? !IsQuotedPair(c) : !IsQtext(c) && !IsBeyondAscii(c)) return false;
        local->push_back(c);
      }
    } else {
      while (at_ < text_.size() && (text_[at_] == '.' || IsAtomOctet(text_[at_]))) ++at_;
      local->assign(text_.substr(start, at_ - start));
      if (!IsDotString(*local)) return false;
    }
    return at_ - start <= limits::kLocalPart;
  }

  bool TakeDomain(std::string* domain) {
    const size_t start = at_;
    const bool literal = start < text_.size() && text_[start] == '[';
    at_ = std::min(text_.find_first_of(literal ? "]>" : ",:>", start), text_.size());
    if (literal && !Take(']')) return false;
    const std::string_view found = text_.substr(start, at_ - start);
    std::optional<std::string> canonical;
    if (literal) {
      canonical = ParseAddressLiteral(found);
    } else if (!utf8_ && HasBeyondAscii(found)) {
      canonical = std::string(found);  // Parse() refuses it with a better word
    } else {
      canonical = ParseDomain(found, utf8_);
    }
    if (!canonical) return false;
    *domain = *std::move(canonical);
    return true;
  }

  std::string_view text_;
  bool utf8_;
  size_t at_ = 0;
  AddressError error_ = AddressError::kSyntax;
};

int UpperHexValue(char c) {
  if (base::IsDigit(c)) return c - '0';
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

bool Mailbox::is_ascii() const { return !HasBeyondAscii(local); }

bool Mailbox::operator==(const Mailbox& other) const {
  if (domain != other.domain) return false;
  return local == other.local || (!is_ascii() && base::ToNfc(local) == base::ToNfc(other.local));
}

std::string Mailbox::canonical() const {
  std::string text;
  if (IsDotString(local)) {
    text = local;
  } else {
    text.push_back('"');
    for (char c : local) {
      if (c == '"' || c == '\\') text.push_back('\\');
      text.push_back(c);
    }
    text.push_back('"');
  }
  if (!domain.empty()) base::StrAppend(&text, '@', domain);
  return text;
}

PathResult<ReversePath> ParseReversePath(std::string_view text, bool utf8) {
  PathParser parser(text, utf8);
  PathResult<ReversePath> result;
  if (std::optional<Mailbox> mailbox = parser.Parse(/*forward=*/false)) result.path = {*std::move(mailbox)};
  result.error = parser.error();
  result.consumed = parser.consumed();
  return result;
}

PathResult<ForwardPath> ParseForwardPath(std::string_view text, bool utf8) {
  PathParser parser(text, utf8);
  PathResult<ForwardPath> result;
  if (std::optional<Mailbox> mailbox = parser.Parse(/*forward=*/true)) result.path = {*std::move(mailbox)};
  result.error = parser.error();
  result.consumed = parser.consumed();
  return result;
}

std::optional<Mailbox> ParseMailbox(std::string_view text, bool utf8) {
  if (text.starts_with('@')) return std::nullopt;  // no source route
  const std::string path = base::StrCat('<', text, '>');
  PathResult<ForwardPath> result = ParseForwardPath(path, utf8);
  if (!result.path || result.consumed != path.size() || result.path->postmaster_alone()) return std::nullopt;
  return std::move(result.path->mailbox);
}

std::optional<std::string> ParseDomain(std::string_view text, bool utf8) {
  absl::StatusOr<std::string> canonical = base::CanonicalDomain(text, limits::kDomain, utf8);
  return canonical.ok() ? std::optional(*std::move(canonical)) : std::nullopt;
}

std::optional<std::string> ParseAddressLiteral(std::string_view text) {
  if (!text.starts_with('[') || !text.ends_with(']') || text.size() < 3) return std::nullopt;
  text = text.substr(1, text.size() - 2);
  constexpr std::string_view kTag = "IPv6:";
  const bool v6 = base::StartsWithIgnoreCase(text, kTag);
  if (v6) text.remove_prefix(kTag.size());
  if (v6 != (text.find(':') != std::string_view::npos)) return std::nullopt;
  const absl::StatusOr<base::IpAddress> address = base::IpAddress::Parse(text);
  if (!address.ok()) return std::nullopt;
  return base::StrCat('[', address->is_v6() ? kTag : "", address->ToString(), ']');
}

bool IsClientName(std::string_view text) {
  return !text.empty() && text.size() <= limits::kDomain && std::all_of(text.begin(), text.end(), [](char c) {
    return base::IsAlnum(c) || std::string_view("-._:[]").find(c) != std::string_view::npos;
  });
}

std::optional<std::string> DecodeXtext(std::string_view text) {
  std::string octets;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsXchar(text[i])) {
      octets.push_back(text[i]);
      continue;
    }
    if (text[i] != '+' || text.size() - i < 3) return std::nullopt;
    const int high = UpperHexValue(text[i + 1]);
    const int low = UpperHexValue(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    octets.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return octets;
}

std::string EncodeXtext(std::string_view octets) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  for (char c : octets) {
    if (IsXchar(c)) {
      text.push_back(c);
    } else {
      const auto value = static_cast<unsigned char>(c);
      base::StrAppend(&text, '+', kDigits[value >> 4], kDigits[value & 15]);
    }
  }
  return text;
}

}  // namespace gatepost::smtp
