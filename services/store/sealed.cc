#include "services/store/sealed.h"

#include <nettle/gcm.h>
#include <nettle/memops.h>
#include <string.h>

#include <cstring>
#include <span>

#include "services/base/file.h"
#include "services/base/strings.h"

namespace gatepost::store {
namespace {

constexpr char kVersion = 1;
constexpr size_t kNonceOctets = GCM_IV_SIZE;
constexpr size_t kTagOctets = GCM_DIGEST_SIZE;
constexpr size_t kOverhead = 1 + kNonceOctets + kTagOctets;

const uint8_t* Octets(std::string_view bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }
uint8_t* Octets(std::string& bytes) { return reinterpret_cast<uint8_t*>(bytes.data()); }

class Gcm {
 public:
  Gcm(const uint8_t* key, std::string_view nonce, std::string_view context) {
    gcm_aes256_set_key(&context_, key);
    gcm_aes256_set_iv(&context_, nonce.size(), Octets(nonce));
    // One call, with the version: a partial block may only come last.
    const std::string data = std::string(1, kVersion) + std::string(context);
    gcm_aes256_update(&context_, data.size(), Octets(std::string_view(data)));
  }
  ~Gcm() { explicit_bzero(&context_, sizeof(context_)); }
  Gcm(const Gcm&) = delete;
  Gcm& operator=(const Gcm&) = delete;

  gcm_aes256_ctx* get() { return &context_; }

 private:
  gcm_aes256_ctx context_;
};

}  // namespace

absl::StatusOr<SealingKey> SealingKey::FromBytes(std::string_view bytes) {
  if (bytes.size() != kOctets) return absl::InvalidArgumentError("a key has 32 octets");
  SealingKey key;
  std::memcpy(key.key_.data(), bytes.data(), kOctets);
  return key;
}

absl::StatusOr<SealingKey> SealingKey::FromFile(const std::string& path) {
  absl::StatusOr<std::string> bytes = base::ReadSecretFile(path, kOctets);
  if (absl::IsFailedPrecondition(bytes.status())) return bytes.status();
  if (absl::IsResourceExhausted(bytes.status()) || (bytes.ok() && bytes->size() != kOctets)) {
    return absl::FailedPreconditionError(base::StrCat("key file ", path, " must hold exactly 32 octets"));
  }
  if (!bytes.ok()) return absl::UnavailableError(bytes.status().message());
  absl::StatusOr<SealingKey> key = FromBytes(*bytes);
  explicit_bzero(bytes->data(), bytes->size());
  return key;
}

SealingKey::~SealingKey() { explicit_bzero(key_.data(), key_.size()); }

std::string SealingKey::Seal(std::string_view context, std::string_view plain, base::Random& random) const {
  std::string sealed(kOverhead + plain.size(), '\0');
  sealed[0] = kVersion;
  random.Fill(std::span<uint8_t>(Octets(sealed) + 1, kNonceOctets));
  Gcm gcm(key_.data(), std::string_view(sealed).substr(1, kNonceOctets), context);
  uint8_t* const out = Octets(sealed) + 1 + kNonceOctets;
  gcm_aes256_encrypt(gcm.get(), plain.size(), out, Octets(plain));
  gcm_aes256_digest(gcm.get(), kTagOctets, out + plain.size());
  return sealed;
}

absl::StatusOr<std::string> SealingKey::Open(std::string_view context, std::string_view sealed) const {
  if (sealed.size() < kOverhead || sealed[0] != kVersion) return absl::DataLossError("not a sealed secret");
  const std::string_view nonce = sealed.substr(1, kNonceOctets);
  const std::string_view cipher = sealed.substr(1 + kNonceOctets, sealed.size() - kOverhead);
  const std::string_view tag = sealed.substr(sealed.size() - kTagOctets);
  Gcm gcm(key_.data(), nonce, context);
  std::string plain(cipher.size(), '\0');
  gcm_aes256_decrypt(gcm.get(), cipher.size(), Octets(plain), Octets(cipher));
  uint8_t expected[kTagOctets];
  gcm_aes256_digest(gcm.get(), kTagOctets, expected);
  if (memeql_sec(expected, Octets(tag), kTagOctets) == 0) {
    explicit_bzero(plain.data(), plain.size());
    return absl::DataLossError("a sealed secret does not open with this key");
  }
  return plain;
}

}  // namespace gatepost::store
