#include "services/auth/application_password.h"

#include <nettle/hmac.h>
#include <string.h>

#include <cstdint>

#include "services/base/strings.h"
#include "services/base/wipe.h"

namespace gatepost::auth {
namespace {

constexpr size_t kGroups = 7;
constexpr size_t kGroup = 4;

}  // namespace

std::string MakeApplicationPassword(base::Random& random) {
  std::string characters = base::RandomId(random, kGroups * kGroup);
  std::string password;
  for (size_t i = 0; i < kGroups; ++i) {
    if (i > 0) password += '-';
    password.append(characters, i * kGroup, kGroup);
  }
  base::Wipe(&characters);
  return password;
}

std::string ApplicationPasswordDigest(std::string_view key, std::string_view password) {
  std::string plain;
  plain.reserve(password.size());
  for (const char c : password) {
    if (c != '-' && c != ' ') plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, key.size(), reinterpret_cast<const uint8_t*>(key.data()));
  hmac_sha256_update(&context, plain.size(), reinterpret_cast<const uint8_t*>(plain.data()));
  base::Wipe(&plain);
  std::string digest(SHA256_DIGEST_SIZE, '\0');
  hmac_sha256_digest(&context, digest.size(), reinterpret_cast<uint8_t*>(digest.data()));
  explicit_bzero(&context, sizeof context);
  return base::HexEncode(digest);
}

}  // namespace gatepost::auth
