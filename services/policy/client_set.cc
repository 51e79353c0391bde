#include "services/policy/client_set.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace gatepost::policy {
namespace {

using Number = unsigned __int128;

Number ToNumber(const base::IpAddress& address) {
  Number value = 0;
  for (uint8_t octet : address.octets()) value = value << 8 | octet;
  return value;
}

// Of an entry that is no domain.
struct Span {
  Number first;
  Number last;
  bool v4;
};

Span SpanOf(const ClientEntry& entry) {
  if (const auto* range = std::get_if<base::IpRange>(&entry)) {
    return {ToNumber(range->first), ToNumber(range->last), range->first.is_v4()};
  }
  const auto& prefix = std::get<base::IpPrefix>(entry);
  const int host_bits = prefix.address.bits() - prefix.length;
  const Number hosts = host_bits >= 128 ? ~Number{0} : (Number{1} << host_bits) - 1;
  const Number first = ToNumber(prefix.address);
  return {first, first | hosts, prefix.address.is_v4()};
}

}  // namespace

ClientSet::ClientSet(const std::vector<ClientEntry>& entries)
    : v4_(Flatten(entries, true)), v6_(Flatten(entries, false)) {}

std::vector<ClientSet::Interval> ClientSet::Flatten(const std::vector<ClientEntry>& entries, bool v4) {
  // Sweep over the borders; of the entries open at a place the narrowest decides, then the first.
  struct Border {
    Number at;
    bool opens;
    std::tuple<Number, size_t> key;  // width, index
  };
  std::vector<Border> borders;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (std::holds_alternative<ClientDomain>(entries[i])) continue;
    const Span span = SpanOf(entries[i]);
    if (span.v4 != v4) continue;
    const std::tuple<Number, size_t> key(span.last - span.first, i);
    borders.push_back({span.first, true, key});
    // Behind the very last address there is nothing to close.
    if (span.last != ~Number{0}) borders.push_back({span.last + 1, false, key});
  }
  std::sort(borders.begin(), borders.end(), [](const Border& a, const Border& b) { return a.at < b.at; });
  std::vector<Interval> intervals;
  std::set<std::tuple<Number, size_t>> open;
  for (size_t i = 0; i < borders.size();) {
    const Number at = borders[i].at;
    for (; i < borders.size() && borders[i].at == at; ++i) {
      if (borders[i].opens) {
        open.insert(borders[i].key);
      } else {
        open.erase(borders[i].key);
      }
    }
    const int32_t entry = open.empty() ? -1 : static_cast<int32_t>(std::get<1>(*open.begin()));
    if (intervals.empty() || intervals.back().entry != entry) intervals.push_back({at, entry});
  }
  return intervals;
}

std::optional<size_t> ClientSet::Find(const base::IpAddress& address) const {
  const std::vector<Interval>& intervals = address.is_v4() ? v4_ : v6_;
  const Number value = ToNumber(address);
  auto it = std::upper_bound(intervals.begin(), intervals.end(), value,
                             [](Number v, const Interval& i) { return v < i.first; });
  if (it == intervals.begin()) return std::nullopt;
  --it;
  return it->entry < 0 ? std::nullopt : std::optional<size_t>(static_cast<size_t>(it->entry));
}

}  // namespace gatepost::policy
