#include "services/policy/limiter.h"

#include <algorithm>

namespace gatepost::policy {
namespace {

std::array<uint8_t, 17> KeyOf(const base::IpAddress& source) {
  std::array<uint8_t, 17> key{};
  std::copy(source.octets().begin(), source.octets().end(), key.begin());
  key[16] = source.is_v4() ? 4 : 6;
  return key;
}

}  // namespace

base::IpAddress ConnectionLimiter::SourceOf(const base::IpAddress& client) {
  return client.is_v4() ? client : client.Masked(64);
}

ConnectionLimiter::Place ConnectionLimiter::Enter(const base::IpAddress& client, uint32_t per_source, uint32_t total) {
  const base::IpAddress source = SourceOf(client);
  const std::array<uint8_t, 17> key = KeyOf(source);
  absl::MutexLock lock(&mutex_);
  if (total != 0 && total_ >= total) return Place();
  const auto it = sources_.find(key);
  if (it != sources_.end()) {
    if (per_source != 0 && it->second >= per_source) return Place();
    ++it->second;
  } else {
    sources_.emplace(key, 1);
  }
  ++total_;
  return Place(this, source);
}

void ConnectionLimiter::Leave(const base::IpAddress& source) {
  absl::MutexLock lock(&mutex_);
  const auto it = sources_.find(KeyOf(source));
  if (it != sources_.end() && --it->second == 0) sources_.erase(it);
  --total_;
}

uint64_t ConnectionLimiter::connections() const {
  absl::MutexLock lock(&mutex_);
  return total_;
}

}  // namespace gatepost::policy
