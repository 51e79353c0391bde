#include "services/sasl/scram_message.h"

#include <utility>

#include "services/base/strings.h"
#include "services/sasl/claim.h"
#include "services/sasl/mechanism.h"
#include "services/sasl/saslname.h"

namespace gatepost::sasl {
namespace {

using Binding = ScramClientFirst::Binding;

constexpr size_t kMostNonce = 1'024;

bool TakeFlag(std::string_view flag, ScramClientFirst* first) {
  if (flag == "n") return true;
  if (flag == "y") {
    first->binding = Binding::kNotOffered;
    return true;
  }
  if (!flag.starts_with("p=")) return false;
  first->binding = Binding::kUsed;
  first->binding_name = std::string(flag.substr(2));
  for (char c : first->binding_name) {
    if (!base::IsAlnum(c) && c != '-' && c != '.') return false;
  }
  return !first->binding_name.empty();
}

// printable = %x21-2B / %x2D-7E
bool IsNonce(std::string_view text) {
  if (text.empty() || text.size() > kMostNonce) return false;
  for (char c : text) {
    if (c < 0x21 || c > 0x7e || c == ',') return false;
  }
  return true;
}

bool IsAttribute(std::string_view text) { return text.size() >= 3 && base::IsAlpha(text[0]) && text[1] == '='; }

std::optional<std::string> TakeName(std::string_view text) {
  std::optional<std::string> name = DecodeSaslName(text);
  if (!name || !IsLogin(*name)) return std::nullopt;
  return name;
}

}  // namespace

std::optional<ScramClientFirst> ParseScramClientFirst(std::string_view message) {
  if (message.size() > kMostOctets || message.find('\0') != message.npos || !base::IsValidUtf8(message))
    return std::nullopt;
  ScramClientFirst first;
  const std::optional<std::string_view> flag = TakeUntil(',', &message);
  if (!flag || !TakeFlag(*flag, &first)) return std::nullopt;
  const std::optional<std::string_view> authorization = TakeUntil(',', &message);
  if (!authorization) return std::nullopt;
  if (!authorization->empty()) {
    if (!authorization->starts_with("a=")) return std::nullopt;
    std::optional<std::string> name = TakeName(authorization->substr(2));
    if (!name) return std::nullopt;
    first.authorization = *std::move(name);
  }
  // `m=` would stand here, before the name.
  const std::optional<std::string_view> login = TakeUntil(',', &message);
  if (!login || !login->starts_with("n=")) return std::nullopt;
  std::optional<std::string> name = TakeName(login->substr(2));
  if (!name) return std::nullopt;
  first.login = *std::move(name);
  const std::vector<std::string_view> rest = base::Split(message, ',');
  if (!rest[0].starts_with("r=") || !IsNonce(rest[0].substr(2))) return std::nullopt;
  first.nonce = std::string(rest[0].substr(2));
  for (size_t i = 1; i < rest.size(); ++i) {
    if (!IsAttribute(rest[i]) || rest[i][0] == 'm') return std::nullopt;
  }
  return first;
}

}  // namespace gatepost::sasl
