#include "services/auth/throttle.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

constexpr int kNarrowBits = 64;
constexpr int kWideBits = 48;

// A login can hold any character, a network none but its own: the network first, so that no two keys are alike.
std::string KeyOf(ThrottleKind kind, std::string_view login, std::string_view network) {
  return base::StrCat(static_cast<int>(kind), " ", network, " ", login);
}

std::string Prefix(const base::IpAddress& client, int bits) {
  return base::StrCat(client.Masked(bits).ToString(), "/", bits);
}

}  // namespace

std::string Throttle::NetworkOf(const base::IpAddress& client) {
  return client.is_v4() ? client.ToString() : Prefix(client, kNarrowBits);
}

bool Throttle::IsNetwork(std::string_view network) {
  const size_t slash = network.find('/');
  const absl::StatusOr<base::IpAddress> address = base::IpAddress::Parse(network.substr(0, slash));
  if (!address.ok()) return false;
  return network == NetworkOf(*address) || (!address->is_v4() && network == Prefix(*address, kWideBits));
}

size_t Throttle::LimitOf(ThrottleKind kind, bool wide) const {
  switch (kind) {
    case ThrottleKind::kPair:
      return figures_.pair;
    case ThrottleKind::kNetwork:
      return wide ? figures_.network * figures_.wide_factor : figures_.network;
    case ThrottleKind::kLogin:
      return figures_.login;
  }
  __builtin_unreachable();
}

void Throttle::DropOld(Counter* counter, base::WallTime now) const {
  const base::WallTime oldest = now - figures_.window;
  const auto first = std::find_if(counter->failures.begin(), counter->failures.end(),
                                  [&](const Failure& failure) { return failure.at > oldest; });
  counter->failures.erase(counter->failures.begin(), first);
}

bool Throttle::Full(ThrottleKind kind, std::string_view login, std::string_view network, base::WallTime now) {
  const auto it = counters_.find(KeyOf(kind, login, network));
  if (it == counters_.end()) return false;
  by_use_.splice(by_use_.begin(), by_use_, it->second.used);
  DropOld(&it->second, now);
  return it->second.failures.size() >= it->second.limit;
}

std::optional<ThrottleKind> Throttle::Judge(std::string_view login, const base::IpAddress& client,
                                            const std::function<bool()>& known, base::WallTime now) {
  const std::string network = NetworkOf(client);
  if (Full(ThrottleKind::kPair, login, network, now)) return ThrottleKind::kPair;
  std::optional<ThrottleKind> full;
  if (Full(ThrottleKind::kNetwork, "", network, now) ||
      (!client.is_v4() && Full(ThrottleKind::kNetwork, "", Prefix(client, kWideBits), now))) {
    full = ThrottleKind::kNetwork;
  } else if (Full(ThrottleKind::kLogin, login, "", now)) {
    full = ThrottleKind::kLogin;
  }
  return full && known() ? std::nullopt : full;
}

void Throttle::CountFailure(std::string_view login, const base::IpAddress& client, FailureTag tag, base::WallTime at) {
  const std::string network = NetworkOf(client);
  Count(ThrottleKind::kPair, login, network, LimitOf(ThrottleKind::kPair, false), tag, at);
  Count(ThrottleKind::kNetwork, "", network, LimitOf(ThrottleKind::kNetwork, false), tag, at);
  if (!client.is_v4()) {
    Count(ThrottleKind::kNetwork, "", Prefix(client, kWideBits), LimitOf(ThrottleKind::kNetwork, true), tag, at);
  }
  Count(ThrottleKind::kLogin, login, "", LimitOf(ThrottleKind::kLogin, false), tag, at);
}

Throttle::Counter& Throttle::Use(ThrottleKind kind, std::string_view login, std::string_view network, size_t limit,
                                 base::WallTime now) {
  std::string key = KeyOf(kind, login, network);
  const auto it = counters_.find(key);
  if (it != counters_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, it->second.used);
    DropOld(&it->second, now);
    return it->second;
  }
  while (counters_.size() >= figures_.counters) {
    const auto oldest = counters_.find(by_use_.back());
    DropOld(&oldest->second, now);
    if (!oldest->second.failures.empty()) ++evicted_;
    counters_.erase(oldest);
    by_use_.pop_back();
  }
  by_use_.push_front(key);
  Counter counter{.kind = kind,
                  .login = std::string(login),
                  .network = std::string(network),
                  .limit = limit,
                  .failures = {},
                  .used = by_use_.begin()};
  return counters_.emplace(std::move(key), std::move(counter)).first->second;
}

void Throttle::Count(ThrottleKind kind, std::string_view login, std::string_view network, size_t limit, FailureTag tag,
                     base::WallTime at) {
  Counter& counter = Use(kind, login, network, limit, at);
  if (at <= counter.cleared) return;
  std::vector<Failure>& failures = counter.failures;
  // Again: the later time holds, whichever is learnt first.
  const auto again = std::find_if(failures.begin(), failures.end(), [tag](const Failure& f) { return f.tag == tag; });
  if (again != failures.end()) {
    at = std::max(at, again->at);
    failures.erase(again);
  }
  // Replicas learn of each other's failures a little late: in order of time all the same.
  const auto place = std::upper_bound(failures.begin(), failures.end(), at,
                                      [](base::WallTime t, const Failure& failure) { return t < failure.at; });
  failures.insert(place, {tag, at});
  // Beyond the figure nothing more has to be known: the latest keep it in force the longest.
  if (failures.size() > counter.limit) failures.erase(failures.begin());
}

void Throttle::Clear(ThrottleKind kind, std::string_view login, std::string_view network, base::WallTime at) {
  const bool wide = network.ends_with(base::StrCat("/", kWideBits));
  Counter& counter = Use(kind, login, network, LimitOf(kind, wide), at);
  counter.cleared = std::max(counter.cleared, at);
  std::erase_if(counter.failures, [at](const Failure& failure) { return failure.at <= at; });
}

std::vector<Throttle::Entry> Throttle::InForce(base::WallTime now) {
  std::vector<Entry> entries;
  for (auto& [key, counter] : counters_) {
    DropOld(&counter, now);
    if (counter.failures.size() < counter.limit) continue;
    entries.push_back({counter.kind, counter.login, counter.network, counter.failures.size(),
                       counter.failures.front().at + figures_.window});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.kind, a.login, a.network) < std::tie(b.kind, b.login, b.network);
  });
  return entries;
}

}  // namespace gatepost::auth
