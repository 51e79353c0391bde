// A list of clients, compiled: which entry, if any, holds an address. Binary search over disjoint intervals: 10,000 entries are
// looked up in well under a microsecond. Immutable, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "services/base/ip_address.h"
#include "services/policy/virtual_server.h"

namespace gatepost::policy {

class ClientSet {
 public:
  ClientSet() = default;
  explicit ClientSet(const std::vector<ClientEntry>& entries);

  // The index of the narrowest entry that holds the address; of equally narrow ones the first. nullopt: none.
  std::optional<size_t> Find(const base::IpAddress& address) const;

 private:
  // Addresses from `first` up to the next interval's `first` belong to `entry` (-1: to none).
  struct Interval {
    unsigned __int128 first;
    int32_t entry;
  };
  static std::vector<Interval> Flatten(const std::vector<ClientEntry>& entries, bool v4);

  std::vector<Interval> v4_;
  std::vector<Interval> v6_;
};

}  // namespace gatepost::policy
