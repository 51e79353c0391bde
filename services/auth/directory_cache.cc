#include "services/auth/directory_cache.h"

#include "services/auth/limits.h"

namespace gatepost::auth {

std::optional<DirectoryAnswer> DirectoryCache::Find(std::string_view login_key, std::string_view password) const {
  if (ttl_.count() == 0) return std::nullopt;
  const CredentialCache::Key key = keys_.KeyOf(login_key, 0, password);
  absl::MutexLock lock(&mutex_);
  const auto entry = entries_.find(key);
  if (entry == entries_.end() || clock_.Now() - entry->second.added >= ttl_) return std::nullopt;
  return entry->second.answer;
}

void DirectoryCache::Add(std::string_view login_key, std::string_view password, const DirectoryAnswer& answer) {
  if (ttl_.count() == 0) return;
  const CredentialCache::Key key = keys_.KeyOf(login_key, 0, password);
  const base::MonotonicTime now = clock_.Now();
  absl::MutexLock lock(&mutex_);
  entries_.insert_or_assign(key, Entry{answer, now});
  order_.emplace_back(now, key);
  while (!order_.empty() && (entries_.size() > kMostDirectoryCached || order_.size() > 2 * kMostDirectoryCached ||
                             now - order_.front().first >= ttl_)) {
    const auto oldest = entries_.find(order_.front().second);
    // One that was added again has a later place in the order.
    if (oldest != entries_.end() && oldest->second.added == order_.front().first) entries_.erase(oldest);
    order_.pop_front();
  }
}

size_t DirectoryCache::size() const {
  absl::MutexLock lock(&mutex_);
  return entries_.size();
}

}  // namespace gatepost::auth
