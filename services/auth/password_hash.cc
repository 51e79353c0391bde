#include "services/auth/password_hash.h"

#include <argon2.h>

#include <array>
#include <charconv>

#include "services/auth/limits.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

constexpr size_t kSaltOctets = 16;
constexpr size_t kHashOctets = 32;
constexpr size_t kMostText = 256;

// Takes "name=" and a number in [least, most] from the front.
bool TakeNumber(std::string_view* text, std::string_view name, uint32_t least, uint32_t most) {
  if (!text->starts_with(name)) return false;
  text->remove_prefix(name.size());
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || value < least || value > most) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return true;
}

std::string Encode(std::string_view password, std::span<const uint8_t> salt, int* code) {
  std::array<char, kMostText> text = {};
  *code = argon2id_hash_encoded(kArgonPasses, kArgonMemoryKib, kArgonLanes, password.data(), password.size(),
                                salt.data(), salt.size(), kHashOctets, text.data(), text.size());
  return std::string(text.data());
}

}  // namespace

absl::StatusOr<std::string> HashPassword(std::string_view password, base::Random& random) {
  std::array<uint8_t, kSaltOctets> salt;
  random.Fill(salt);
  int code = ARGON2_OK;
  std::string text = Encode(password, salt, &code);
  if (code != ARGON2_OK)
    return absl::ResourceExhaustedError(base::ToAbsl(base::StrCat("argon2id: ", argon2_error_message(code))));
  return text;
}

bool IsVerifiable(std::string_view text) {
  return text.size() < kMostText && text.find('\0') == text.npos && TakeNumber(&text, "$argon2id$v=", 19, 19) &&
         TakeNumber(&text, "$m=", 8, kMostArgonMemoryKib) && TakeNumber(&text, ",t=", 1, kMostArgonPasses) &&
         TakeNumber(&text, ",p=", 1, kMostArgonLanes) && text.starts_with('$');
}

absl::StatusOr<bool> VerifyPassword(std::string_view text, std::string_view password) {
  if (!IsVerifiable(text)) return absl::DataLossError("a stored verifier is damaged");
  const std::string terminated(text);
  switch (const int code = argon2id_verify(terminated.c_str(), password.data(), password.size()); code) {
    case ARGON2_OK:
      return true;
    case ARGON2_VERIFY_MISMATCH:
      return false;
    case ARGON2_MEMORY_ALLOCATION_ERROR:
    case ARGON2_THREAD_FAIL:
      return absl::ResourceExhaustedError("argon2id: no memory");
    default:
      return absl::DataLossError("a stored verifier is damaged");
  }
}

std::string MakeDecoy(base::Random& random) {
  // Salt and hash are random: the hash of no password that anybody could find.
  std::array<uint8_t, kSaltOctets> salt;
  std::array<uint8_t, kHashOctets> password;
  random.Fill(salt);
  random.Fill(password);
  int code = ARGON2_OK;
  return Encode(std::string_view(reinterpret_cast<const char*>(password.data()), password.size()), salt, &code);
}

}  // namespace gatepost::auth
