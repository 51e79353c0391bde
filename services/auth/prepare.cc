#include "services/auth/prepare.h"

#include <gsasl.h>
#include <string.h>

#include <memory>

#include "services/base/strings.h"
#include "services/base/wipe.h"
#include "services/sasl/mechanism.h"

namespace gatepost::auth {
namespace {

// SASLprep's answer, in memory of its own.
struct Freed {
  void operator()(char* text) const {
    explicit_bzero(text, strlen(text));
    gsasl_free(text);
  }
};

// Of a Text: std::string or base::Secret.
template <typename Text>
std::optional<Text> Prepare(std::string_view text, size_t most) {
  // Of printable ASCII SASLprep maps, normalises and prohibits nothing.
  if (base::IsPrintableAscii(text)) return text.empty() || text.size() > most ? std::nullopt : std::optional<Text>(text);
  // It may shorten a text (soft hyphens go) and lengthen it (NFKC): judged before, for the cost, and after.
  if (text.size() > 4 * most || text.find('\0') != text.npos || !base::IsValidUtf8(text)) return std::nullopt;
  std::string in(text);
  char* out = nullptr;
  // gsasl 2.2.0 has its flag the wrong way round: GSASL_ALLOW_UNASSIGNED forbids unassigned code points, no flag allows
  // them (PrepareTest fails if that changes).
  const int code = gsasl_saslprep(in.c_str(), static_cast<Gsasl_saslprep_flags>(0), &out, nullptr);
  base::Wipe(&in);
  const std::unique_ptr<char, Freed> prepared(out);
  if (code != GSASL_OK || out == nullptr || *out == '\0' || strlen(out) > most) return std::nullopt;
  return Text(std::string_view(out));
}

}  // namespace

std::optional<std::string> PrepareLogin(std::string_view login) {
  return Prepare<std::string>(login, sasl::kMostLoginOctets);
}
std::optional<std::string> PrepareLogin(std::string_view login, std::string_view default_domain) {
  if (default_domain.empty() || login.find('@') != login.npos) return PrepareLogin(login);
  return PrepareLogin(base::StrCat(login, '@', default_domain));
}
std::optional<base::Secret> PreparePassword(std::string_view password) {
  return Prepare<base::Secret>(password, sasl::kMostPasswordOctets);
}
std::string LoginKey(std::string_view prepared_login) { return base::AsciiLower(prepared_login); }

}  // namespace gatepost::auth
