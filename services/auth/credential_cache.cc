#include "services/auth/credential_cache.h"

#include <nettle/hmac.h>

#include <cstring>

#include "services/auth/limits.h"

namespace gatepost::auth {

CredentialCache::CredentialCache(const base::Clock& clock, base::Random& random) : clock_(clock) {
  random.Fill(secret_);
}

size_t CredentialCache::Hash::operator()(const Key& key) const {
  // The key is an HMAC: any part of it is as good as a hash.
  size_t hash = 0;
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

CredentialCache::Key CredentialCache::KeyOf(std::string_view user, int64_t revision, std::string_view password) const {
  ++runs_;
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, secret_.size(), secret_.data());
  const uint64_t lengths[] = {user.size(), static_cast<uint64_t>(revision)};
  hmac_sha256_update(&context, sizeof lengths, reinterpret_cast<const uint8_t*>(lengths));
  hmac_sha256_update(&context, user.size(), reinterpret_cast<const uint8_t*>(user.data()));
  hmac_sha256_update(&context, password.size(), reinterpret_cast<const uint8_t*>(password.data()));
  Key key;
  hmac_sha256_digest(&context, key.size(), key.data());
  explicit_bzero(&context, sizeof context);
  return key;
}

bool CredentialCache::Contains(const Key& key) const {
  absl::MutexLock lock(&mutex_);
  const auto entry = entries_.find(key);
  return entry != entries_.end() && clock_.Now() - entry->second < kCacheTime;
}

void CredentialCache::Add(const Key& key) {
  absl::MutexLock lock(&mutex_);
  const base::MonotonicTime now = clock_.Now();
  entries_[key] = now;
  order_.emplace_back(now, key);
  Trim();
}

void CredentialCache::Trim() {
  const base::MonotonicTime now = clock_.Now();
  while (!order_.empty() && (entries_.size() > kMostCached || order_.size() > 2 * kMostCached ||
                             now - order_.front().first >= kCacheTime)) {
    const auto& [added, key] = order_.front();
    // An entry that was added again has a later place in the order.
    if (const auto entry = entries_.find(key); entry != entries_.end() && entry->second == added) entries_.erase(entry);
    order_.pop_front();
  }
}

size_t CredentialCache::size() const {
  absl::MutexLock lock(&mutex_);
  return entries_.size();
}

}  // namespace gatepost::auth
