// Filters and distinguished names out of any octets: a value is one value whatever is in it, a template that is taken is
// one filter, a DN's key depends on the name alone.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/auth/ldap_text.h"
#include "services/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gatepost::auth;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string escaped = EscapeFilterValue(input);
  GATEPOST_CHECK(escaped.find_first_of(std::string_view("()*\0 ", 5)) == escaped.npos);
  GATEPOST_CHECK(escaped.size() >= size && escaped.size() <= 3 * size);
  static const FilterTemplate known = *FilterTemplate::Parse("(&(objectClass=person)(mail={login}))");
  const std::string filled = known.With(input);
  GATEPOST_CHECK(std::count(filled.begin(), filled.end(), '(') == 3 && std::count(filled.begin(), filled.end(), ')') == 3);
  if (const auto parsed = FilterTemplate::Parse(input)) {
    const std::string filter = parsed->With(")(*");
    GATEPOST_CHECK(std::count(filter.begin(), filter.end(), '(') == std::count(filter.begin(), filter.end(), ')'));
    GATEPOST_CHECK(filter.starts_with('(') && filter.ends_with(')'));
  }
  if (const auto key = DnKey(input)) GATEPOST_CHECK(!key->empty() && DnKey(input) == key);
  return 0;
}
