#include "services/auth/scram_secret.h"

#include <nettle/hmac.h>
#include <nettle/pbkdf2.h>
#include <nettle/sha2.h>
#include <string.h>

#include <array>
#include <charconv>

#include "services/auth/limits.h"
#include "services/base/base64.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

using Digest = std::array<uint8_t, SHA256_DIGEST_SIZE>;

constexpr std::string_view kScheme = "SCRAM-SHA-256$";

const uint8_t* Octets(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }
std::string ToString(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

Digest Hmac(const Digest& key, std::string_view text) {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, key.size(), key.data());
  hmac_sha256_update(&context, text.size(), Octets(text));
  Digest digest;
  hmac_sha256_digest(&context, digest.size(), digest.data());
  explicit_bzero(&context, sizeof context);
  return digest;
}

// Takes what stands before `end` from the front, and `end`.
bool TakeUntil(char end, std::string_view* text, std::string_view* taken) {
  const size_t at = text->find(end);
  if (at == text->npos) return false;
  *taken = text->substr(0, at);
  text->remove_prefix(at + 1);
  return true;
}

}  // namespace

sasl::ScramSecret DeriveScramSecret(std::string_view password, std::string_view salt, uint32_t iterations) {
  Digest salted;
  pbkdf2_hmac_sha256(password.size(), Octets(password), iterations, salt.size(), Octets(salt), salted.size(),
                     salted.data());
  Digest client_key = Hmac(salted, "Client Key");
  const Digest server_key = Hmac(salted, "Server Key");
  sha256_ctx hash;
  sha256_init(&hash);
  sha256_update(&hash, client_key.size(), client_key.data());
  Digest stored_key;
  sha256_digest(&hash, stored_key.size(), stored_key.data());
  explicit_bzero(&hash, sizeof hash);
  explicit_bzero(salted.data(), salted.size());
  explicit_bzero(client_key.data(), client_key.size());
  return {.salt = std::string(salt),
          .iterations = iterations,
          .stored_key = ToString(stored_key),
          .server_key = ToString(server_key)};
}

std::string MakeScramSecret(std::string_view password, uint32_t iterations, base::Random& random) {
  std::array<uint8_t, kScramSaltOctets> octets;
  random.Fill(octets);
  const std::string_view salt(reinterpret_cast<const char*>(octets.data()), octets.size());
  const sasl::ScramSecret secret = DeriveScramSecret(password, salt, iterations);
  return base::StrCat(kScheme, iterations, ':', base::Base64Encode(salt), '$', base::Base64Encode(secret.stored_key),
                      ':', base::Base64Encode(secret.server_key));
}

std::optional<sasl::ScramSecret> ParseScramSecret(std::string_view text) {
  if (text.size() > kMostScramText || !text.starts_with(kScheme)) return std::nullopt;
  text.remove_prefix(kScheme.size());
  sasl::ScramSecret secret;
  std::string_view iterations, salt, stored_key;
  if (!TakeUntil(':', &text, &iterations) || !TakeUntil('$', &text, &salt) || !TakeUntil(':', &text, &stored_key))
    return std::nullopt;
  const auto [end, error] =
      std::from_chars(iterations.data(), iterations.data() + iterations.size(), secret.iterations);
  if (error != std::errc() || end != iterations.data() + iterations.size()) return std::nullopt;
  if (secret.iterations < kLeastScramIterations || secret.iterations > kMostScramIterations) return std::nullopt;
  const std::optional<std::string> salt_octets = base::Base64Decode(salt);
  std::optional<std::string> stored = base::Base64Decode(stored_key), server = base::Base64Decode(text);
  if (!salt_octets || salt_octets->size() < 8 || !stored || stored->size() != SHA256_DIGEST_SIZE || !server ||
      server->size() != SHA256_DIGEST_SIZE)
    return std::nullopt;
  secret.salt = *salt_octets;
  secret.stored_key = *std::move(stored);
  secret.server_key = *std::move(server);
  return secret;
}

}  // namespace gatepost::auth
