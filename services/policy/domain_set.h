// A list of domains, compiled: which entry, if any, holds a domain; the longest match decides. Immutable, thread-safe.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/policy/virtual_server.h"

namespace gatepost::policy {

class DomainSet {
 public:
  DomainSet() = default;
  explicit DomainSet(const std::vector<DomainEntry>& entries);

  // While it is being made: one more entry, of which `index` is told when it is found.
  void Add(const DomainEntry& entry, size_t index);
  bool empty() const { return entries_.empty(); }

  // `domain`: lower-case A-labels. A literal ("[127.0.0.1]") or the empty domain is in no entry. The entry's index.
  std::optional<size_t> Find(std::string_view domain) const;

 private:
  struct Entry {
    size_t index;
    bool include_subdomains;
  };
  absl::flat_hash_map<std::string, Entry> entries_;
  bool any_subdomains_ = false;
};

}  // namespace gatepost::policy
