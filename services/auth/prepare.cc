#include "services/auth/prepare.h"

#include <gsasl.h>
#include <string.h>

#include "services/base/strings.h"
#include "services/sasl/mechanism.h"

namespace gatepost::auth {
namespace {

std::optional<std::string> Prepare(std::string_view text, size_t most) {
  // SASLprep may shorten a text (soft hyphens go) and lengthen it (NFKC): judged before, for the cost, and after.
  if (text.empty() || text.size() > 4 * most || text.find('\0') != text.npos || !base::IsValidUtf8(text))
    return std::nullopt;
  std::string in(text);
  char* out = nullptr;
  // gsasl 2.2.0 has its flag the wrong way round: GSASL_ALLOW_UNASSIGNED forbids unassigned code points, no flag allows
  // them (PrepareTest fails if that changes).
  const int code = gsasl_saslprep(in.c_str(), static_cast<Gsasl_saslprep_flags>(0), &out, nullptr);
  Wipe(&in);
  if (code != GSASL_OK || out == nullptr) return std::nullopt;
  std::string prepared(out);
  explicit_bzero(out, prepared.size());
  gsasl_free(out);
  if (prepared.empty() || prepared.size() > most) {
    Wipe(&prepared);
    return std::nullopt;
  }
  return prepared;
}

}  // namespace

std::optional<std::string> PrepareLogin(std::string_view login) { return Prepare(login, sasl::kMostLoginOctets); }
std::optional<std::string> PrepareLogin(std::string_view login, std::string_view default_domain) {
  if (default_domain.empty() || login.find('@') != login.npos) return PrepareLogin(login);
  return PrepareLogin(base::StrCat(login, '@', default_domain));
}
std::optional<std::string> PreparePassword(std::string_view password) {
  return Prepare(password, sasl::kMostPasswordOctets);
}
std::string LoginKey(std::string_view prepared_login) { return base::AsciiLower(prepared_login); }

void Wipe(std::string* secret) {
  if (!secret->empty()) explicit_bzero(secret->data(), secret->size());
  secret->clear();
}

}  // namespace gatepost::auth
