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

// nullptr: refused.
std::unique_ptr<char, Freed> Prepare(std::string_view text, size_t most) {
  // SASLprep may shorten a text (soft hyphens go) and lengthen it (NFKC): judged before, for the cost, and after.
  if (text.empty() || text.size() > 4 * most || text.find('\0') != text.npos || !base::IsValidUtf8(text)) return nullptr;
  std::string in(text);
  char* out = nullptr;
  // gsasl 2.2.0 has its flag the wrong way round: GSASL_ALLOW_UNASSIGNED forbids unassigned code points, no flag allows
  // them (PrepareTest fails if that changes).
  const int code = gsasl_saslprep(in.c_str(), static_cast<Gsasl_saslprep_flags>(0), &out, nullptr);
  base::Wipe(&in);
  std::unique_ptr<char, Freed> prepared(out);
  if (code != GSASL_OK || out == nullptr || *out == '\0' || strlen(out) > most) return nullptr;
  return prepared;
}

}  // namespace

std::optional<std::string> PrepareLogin(std::string_view login) {
  const auto prepared = Prepare(login, sasl::kMostLoginOctets);
  if (prepared == nullptr) return std::nullopt;
  return std::string(prepared.get());
}
std::optional<std::string> PrepareLogin(std::string_view login, std::string_view default_domain) {
  if (default_domain.empty() || login.find('@') != login.npos) return PrepareLogin(login);
  return PrepareLogin(base::StrCat(login, '@', default_domain));
}
std::optional<base::Secret> PreparePassword(std::string_view password) {
  const auto prepared = Prepare(password, sasl::kMostPasswordOctets);
  if (prepared == nullptr) return std::nullopt;
  return base::Secret(std::string_view(prepared.get()));
}
std::string LoginKey(std::string_view prepared_login) { return base::AsciiLower(prepared_login); }

}  // namespace gatepost::auth
