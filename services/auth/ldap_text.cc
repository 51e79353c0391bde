#include "services/auth/ldap_text.h"

#include <ldap.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

constexpr size_t kMostDn = 8'192;
constexpr size_t kMostFilter = 2'048;
constexpr int kMostFilterDepth = 20;

constexpr std::array<std::pair<std::string_view, Placeholder>, 3> kPlaceholders = {
    {{"{login}", Placeholder::kLogin}, {"{local_part}", Placeholder::kLocalPart}, {"{dn}", Placeholder::kDn}}};

// One item between parentheses: `attribute=value`, `attribute:rule:=value`, `attribute>=value` and the like.
bool IsItem(std::string_view item) {
  const size_t equals = item.find('=');
  return equals != item.npos && equals > 0 && base::IsAlnum(item.front());
}

// RFC 4515 by its structure: one filter in parentheses; lists of filters after &, |, !; items without parentheses. What
// remains to be wrong with an item the server says.
bool IsFilter(std::string_view text) {
  if (text.size() > kMostFilter || !base::IsValidUtf8(text) || text.find('\0') != text.npos) return false;
  int depth = 0;
  size_t i = 0;
  while (i < text.size()) {
    if (text[i] == ')') {
      if (--depth < 0) return false;
      ++i;
    } else if (text[i] == '(') {
      if ((depth == 0 && i > 0) || ++depth > kMostFilterDepth) return false;
      ++i;
      if (i < text.size() && (text[i] == '&' || text[i] == '|' || text[i] == '!')) {
        ++i;
        if (i >= text.size() || text[i] != '(') return false;
        continue;
      }
      const size_t end = text.find_first_of("()", i);
      if (end == text.npos || text[end] != ')' || !IsItem(text.substr(i, end - i))) return false;
      i = end;
    } else {
      return false;
    }
  }
  return depth == 0 && i > 0;
}

std::string Lower(const berval& value) {
  return base::AsciiLower(std::string_view(value.bv_val, value.bv_len));
}

// `attribute=value`, the value's length in front so that no value can look like two.
std::string KeyOf(const LDAPAVA& part) {
  const std::string lower = Lower(part.la_value);
  const std::string_view value = base::Trim(lower);
  return base::StrCat(Lower(part.la_attr), '=', value.size(), ':', value);
}

}  // namespace

std::string EscapeFilterValue(std::string_view octets) {
  std::string escaped;
  escaped.reserve(octets.size());
  for (const char c : octets) {
    if (c > ' ' && c < '\x7f' && c != '(' && c != ')' && c != '*' && c != '\\') {
      escaped.push_back(c);
    } else {
      base::StrAppend(&escaped, '\\', base::HexEncode(std::string_view(&c, 1)));
    }
  }
  return escaped;
}

std::optional<FilterTemplate> FilterTemplate::Parse(std::string_view text) {
  std::optional<FilterTemplate> result;
  for (const auto& [name, placeholder] : kPlaceholders) {
    const size_t at = text.find(name);
    if (at == text.npos) continue;
    if (result || text.find(name, at + 1) != text.npos) return std::nullopt;
    result.emplace();
    result->before_ = std::string(text.substr(0, at));
    result->after_ = std::string(text.substr(at + name.size()));
    result->placeholder_ = placeholder;
  }
  // All of a value: a part of one would let `{login}*` match more than the login.
  if (!result || !result->before_.ends_with('=') || !result->after_.starts_with(')') || !IsFilter(result->With("x")))
    return std::nullopt;
  return result;
}

std::string FilterTemplate::With(std::string_view value) const {
  return base::StrCat(before_, EscapeFilterValue(value), after_);
}

std::optional<std::string> DnKey(std::string_view dn) {
  if (dn.empty() || dn.size() > kMostDn || dn.find('\0') != dn.npos || !base::IsValidUtf8(dn)) return std::nullopt;
  LDAPDN parsed = nullptr;
  // libldap reads on until there is a NUL, whatever the length says.
  std::string terminated(dn);
  berval text{terminated.size(), terminated.data()};
  if (ldap_bv2dn(&text, &parsed, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || parsed == nullptr) return std::nullopt;
  std::string key;
  for (LDAPRDN* rdn = parsed; *rdn != nullptr; ++rdn) {
    std::vector<std::string> parts;
    for (LDAPAVA** part = *rdn; *part != nullptr; ++part) parts.push_back(KeyOf(**part));
    std::sort(parts.begin(), parts.end());
    for (const std::string& part : parts) base::StrAppend(&key, part, '+');
    key.push_back(',');
  }
  ldap_dnfree(parsed);
  return key.empty() ? std::nullopt : std::optional<std::string>(std::move(key));
}

}  // namespace gatepost::auth
