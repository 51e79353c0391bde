// Answers by question, bounded in number and in octets; the least recently used go first. A value past its time stays,
// for who takes an old answer rather than none. Single-threaded.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <list>
#include <string>
#include <utility>

#include "services/base/clock.h"

namespace gatepost::net {

template <typename Value>
class DnsCache {
 public:
  struct Bounds {
    size_t entries;
    size_t octets;  // of keys and values, as told to Keep
  };
  explicit DnsCache(const Bounds& bounds) : bounds_(bounds) {}

  // Whatever its age; nullptr: nothing is kept. Good until the next call.
  const Value* FindAny(const std::string& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->value;
  }
  const Value* FindFresh(const std::string& key, base::MonotonicTime now) {
    const Value* value = FindAny(key);
    return value != nullptr && now < entries_.front().fresh_until ? value : nullptr;
  }
  void Keep(const std::string& key, Value value, size_t octets, base::MonotonicTime fresh_until) {
    if (const auto found = index_.find(key); found != index_.end()) Remove(found->second);
    entries_.push_front({key, std::move(value), key.size() + octets, fresh_until});
    octets_ += entries_.front().octets;
    index_[key] = entries_.begin();
    while (entries_.size() > bounds_.entries || octets_ > bounds_.octets) Remove(std::prev(entries_.end()));
  }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    Value value;
    size_t octets;
    base::MonotonicTime fresh_until;
  };
  using Position = typename std::list<Entry>::iterator;

  void Remove(Position position) {
    octets_ -= position->octets;
    index_.erase(position->key);
    entries_.erase(position);
  }

  const Bounds bounds_;
  std::list<Entry> entries_;  // the most recently used first
  absl::flat_hash_map<std::string, Position> index_;
  size_t octets_ = 0;
};

}  // namespace gatepost::net
