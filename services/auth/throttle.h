// The counters of the brute-force defence (limits.md, Authentication; threats.md A7): how many different wrong passwords a
// login has had within the window, from one network, and in total, and how many failures one network has had. Beyond a
// figure the answer is "not now", without asking the verifier, and the owner is not locked out: a pair of login and
// network that has logged in lately is exempt from all but its own counter.
//
// A network is an IPv4 address or an IPv6 /64; an IPv6 /48 has a counter of its own, at ten times the figure. A wrong
// password that comes again counts once. Names that nobody has are counted alike. Memory is bounded: counters are let go
// least recently used first. Pure: times are the caller's. Not thread-safe; throttle_ledger.h shares it with other
// replicas and locks.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/clock.h"
#include "services/base/ip_address.h"

namespace gatepost::auth {

struct ThrottleFigures {
  size_t pair = 10;
  size_t network = 100;
  size_t login = 50;
  // Of an IPv6 /48: `network` times this.
  size_t wide_factor = 10;
  std::chrono::minutes window{5};
  size_t counters = 100'000;
};

enum class ThrottleKind : uint8_t { kPair, kNetwork, kLogin };

// What a failure is told apart by: 8 octets of an HMAC of login and password, or random ones where no password is known.
using FailureTag = uint64_t;

class Throttle {
 public:
  explicit Throttle(ThrottleFigures figures = {}) : figures_(figures) {}

  // The counter that forbids an attempt now; nothing: go on. `login`: its key (prepare.h). `known`: whether the pair has
  // logged in lately; asked only if that decides.
  std::optional<ThrottleKind> Judge(std::string_view login, const base::IpAddress& client,
                                    const std::function<bool()>& known, base::WallTime now);

  void CountFailure(std::string_view login, const base::IpAddress& client, FailureTag tag, base::WallTime at);

  // Forgets the failures of a counter up to `at`; what it does not name is empty.
  void Clear(ThrottleKind kind, std::string_view login, std::string_view network, base::WallTime at);

  struct Entry {
    ThrottleKind kind = ThrottleKind::kPair;
    std::string login;    // empty: a network's
    std::string network;  // `192.0.2.1`, `2001:db8::/64`, `2001:db8::/48`; empty: a login's
    size_t failures = 0;
    base::WallTime until;  // when the oldest of the failures that forbid leaves the window
  };
  // The counters that forbid now, by kind, login and network.
  std::vector<Entry> InForce(base::WallTime now);

  size_t counters() const { return counters_.size(); }
  // Let go while their failures still counted.
  uint64_t evicted() const { return evicted_; }

  // Whether it can be the name of a counter's network.
  static bool IsNetwork(std::string_view network);
  // The network's name: `192.0.2.1`, `2001:db8::/64`.
  static std::string NetworkOf(const base::IpAddress& client);

 private:
  struct Failure {
    FailureTag tag;
    base::WallTime at;
  };
  struct Counter {
    ThrottleKind kind;
    std::string login;
    std::string network;
    size_t limit;
    std::vector<Failure> failures;  // in order of time, at most `limit`
    base::WallTime cleared{};       // what is not later does not count, whenever it is learnt
    std::list<std::string>::iterator used;
  };

  // Makes the counter if need be; it is the most recently used one then.
  Counter& Use(ThrottleKind kind, std::string_view login, std::string_view network, size_t limit, base::WallTime now);
  void Count(ThrottleKind kind, std::string_view login, std::string_view network, size_t limit, FailureTag tag,
             base::WallTime at);
  // Whether the counter has reached its figure.
  bool Full(ThrottleKind kind, std::string_view login, std::string_view network, base::WallTime now);
  void DropOld(Counter* counter, base::WallTime now) const;
  size_t LimitOf(ThrottleKind kind, bool wide) const;

  const ThrottleFigures figures_;
  std::list<std::string> by_use_;  // the most recently used first
  absl::flat_hash_map<std::string, Counter> counters_;
  uint64_t evicted_ = 0;
};

}  // namespace gatepost::auth
