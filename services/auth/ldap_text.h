// The text forms of LDAP into which octets of strangers go: filters (RFC 4515) and distinguished names (RFC 4514). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gatepost::auth {

// For the place of a value in a filter: whatever the octets are, they match themselves alone. NUL, parentheses, `*`, `\`
// and everything that is not printable ASCII become `\xx`.
std::string EscapeFilterValue(std::string_view octets);

// What a filter's placeholder stands for.
enum class Placeholder { kLogin, kLocalPart, kDn };  // {login}, {local_part}, {dn}

// A filter with one placeholder as a whole value: `(&(objectClass=person)(mail={login}))`.
class FilterTemplate {
 public:
  // nullopt: not a filter by its parentheses, or not exactly one placeholder, or that is not all of a value.
  static std::optional<FilterTemplate> Parse(std::string_view text);

  Placeholder placeholder() const { return placeholder_; }
  // With the value escaped.
  std::string With(std::string_view value) const;

 private:
  std::string before_;
  std::string after_;
  Placeholder placeholder_ = Placeholder::kLogin;
};

// What distinguished names are compared by: without spaces around separators, in lower case (ASCII), escapes written one
// way, the parts of a multi-valued RDN in order. nullopt: not a DN of at most 8,192 octets, or the empty one.
std::optional<std::string> DnKey(std::string_view dn);

}  // namespace gatepost::auth
