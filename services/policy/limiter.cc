#include "services/policy/limiter.h"

#include <algorithm>
#include <chrono>

namespace gatepost::policy {
namespace {

constexpr base::Duration kMinute = std::chrono::minutes(1);

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

bool ConnectionLimiter::CountNew(const base::IpAddress& client, uint32_t per_minute, base::MonotonicTime now) {
  if (per_minute == 0) return true;
  const Key key = KeyOf(SourceOf(client));
  absl::MutexLock lock(&mutex_);
  if (!recent_.contains(key)) MakeRoom(now);
  const auto it = recent_.try_emplace(key, Minute{now, 0}).first;
  if (now - it->second.began >= kMinute) it->second = {now, 0};
  if (it->second.connections >= per_minute) return false;
  ++it->second.connections;
  return true;
}

// A sweep costs what a minute's sources cost; it is due only when they are as many as are kept.
void ConnectionLimiter::MakeRoom(base::MonotonicTime now) {
  if (recent_.size() < kRecentSources) return;
  absl::erase_if(recent_, [now](const auto& source) { return now - source.second.began >= kMinute; });
  // So many within one minute: they start again, nothing grows, and the next sweep is far away.
  if (recent_.size() > kRecentSources / 2) recent_.clear();
}

size_t ConnectionLimiter::recent_sources() const {
  absl::MutexLock lock(&mutex_);
  return recent_.size();
}

uint64_t ConnectionLimiter::connections() const {
  absl::MutexLock lock(&mutex_);
  return total_;
}

}  // namespace gatepost::policy
