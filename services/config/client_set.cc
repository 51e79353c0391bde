#include "services/config/client_set.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "services/base/ip_address.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/config/domain_name.h"
#include "services/config/limits.h"
#include "services/config/validate.h"

namespace gatepost::config {
namespace {

using base::IpAddress;
using base::IpPrefix;
using base::IpRange;
using base::StrCat;
using Number = unsigned __int128;

// Both ends included.
struct Interval {
  Number first;
  Number last;
};
// Disjoint and in order, once Merge has seen them.
using Intervals = std::vector<Interval>;

Number MaxOf(int bits) { return bits == 32 ? Number{0xffffffff} : ~Number{0}; }

Number ToNumber(const IpAddress& address) {
  if (address.is_v4()) return address.v4();
  Number number = 0;
  for (const uint8_t octet : address.octets()) number = number << 8 | octet;
  return number;
}

Interval ToInterval(const IpPrefix& prefix) {
  const int host_bits = prefix.address.bits() - prefix.length;
  const Number first = ToNumber(prefix.address);
  const Number size_less_one = host_bits == 128 ? ~Number{0} : (Number{1} << host_bits) - 1;
  return {first, first | size_less_one};
}

Intervals Merge(Intervals intervals) {
  std::sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) { return a.first < b.first; });
  Intervals merged;
  for (const Interval& interval : intervals) {
    if (!merged.empty() && interval.first <= merged.back().last) {
      merged.back().last = std::max(merged.back().last, interval.last);
    } else {
      merged.push_back(interval);
    }
  }
  return merged;
}

Intervals Complement(const Intervals& merged, int bits) {
  Intervals complement;
  Number next = 0;
  for (const Interval& interval : merged) {
    if (interval.first > next) complement.push_back({next, interval.first - 1});
    if (interval.last == MaxOf(bits)) return complement;
    next = interval.last + 1;
  }
  complement.push_back({next, MaxOf(bits)});
  return complement;
}

Intervals Intersect(const Intervals& a, const Intervals& b) {
  Intervals both;
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const Number first = std::max(a[i].first, b[j].first);
    const Number last = std::min(a[i].last, b[j].last);
    if (first <= last) both.push_back({first, last});
    (a[i].last < b[j].last ? i : j) += 1;
  }
  return both;
}

// The addresses of one family that the entries name.
Intervals Named(const google::protobuf::RepeatedPtrField<v1::ClientEntry>& entries, bool v4) {
  Intervals intervals;
  for (const v1::ClientEntry& entry : entries) {
    if (entry.has_address() || entry.has_subnet()) {
      const absl::StatusOr<IpPrefix> prefix = IpPrefix::Parse(entry.has_address() ? entry.address() : entry.subnet());
      if (prefix.ok() && prefix->address.is_v4() == v4) intervals.push_back(ToInterval(*prefix));
    } else if (entry.has_range()) {
      const absl::StatusOr<IpRange> range = IpRange::Parse(entry.range());
      if (range.ok() && range->first.is_v4() == v4)
        intervals.push_back({ToNumber(range->first), ToNumber(range->last)});
    }
  }
  return Merge(std::move(intervals));
}

// Nobody knows how many addresses have names in a domain: a top-level domain counts as everybody, another as nobody
// more than one organisation.
bool NamesEverybody(const google::protobuf::RepeatedPtrField<v1::ClientEntry>& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const v1::ClientEntry& entry) {
    return entry.has_domain() && entry.domain().find('.') == std::string::npos;
  });
}

// The addresses of one family that a list lets through.
Intervals Admitted(v1::ListMode mode, const google::protobuf::RepeatedPtrField<v1::ClientEntry>& entries, bool v4) {
  Intervals named = Named(entries, v4);
  if (mode != v1::ONLY_LIST) return Complement(named, v4 ? 32 : 128);
  return NamesEverybody(entries) ? Complement({}, v4 ? 32 : 128) : named;
}

// What is nobody's part of the Internet: private, link-local, this machine.
const Intervals& Private(bool v4) {
  static const auto* const kV4 = [] {
    Intervals intervals;
    for (const char* text : {"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"})
      intervals.push_back(ToInterval(*IpPrefix::Parse(text)));
    return new Intervals(Merge(std::move(intervals)));
  }();
  static const auto* const kV6 = [] {
    Intervals intervals;
    for (const char* text : {"::1/128", "fc00::/7", "fe80::/10"})
      intervals.push_back(ToInterval(*IpPrefix::Parse(text)));
    return new Intervals(Merge(std::move(intervals)));
  }();
  return v4 ? *kV4 : *kV6;
}

bool IsLarge(const Intervals& intervals, bool v4) {
  const int bits = v4 ? 32 : 128;
  const Number limit = Number{1} << (bits - (v4 ? kOpenRelayIpv4Prefix : kOpenRelayIpv6Prefix));
  Number total = 0;
  for (const Interval& interval : intervals) {
    // The sum cannot overflow: it stops at the limit.
    const Number size_less_one = interval.last - interval.first;
    if (size_less_one >= limit - total) return true;
    total += size_less_one + 1;
  }
  return false;
}

// What an entry names: its canonical text, and what is equal for equal entries however they are written.
struct Canonical {
  std::string text;
  std::tuple<int, Number, Number, std::string> identity;  // bits of the family, first, last; domain
};

Canonical OfInterval(std::string text, int bits, const Interval& interval) {
  return {std::move(text), {bits, interval.first, interval.last, ""}};
}

absl::StatusOr<Canonical> ToCanonical(const v1::ClientEntry& entry) {
  switch (entry.client_case()) {
    case v1::ClientEntry::kAddress: {
      GATEPOST_ASSIGN_OR_RETURN(const IpAddress address, IpAddress::Parse(entry.address()));
      const Number number = ToNumber(address);
      return OfInterval(address.ToString(), address.bits(), {number, number});
    }
    case v1::ClientEntry::kSubnet: {
      GATEPOST_ASSIGN_OR_RETURN(const IpPrefix prefix, IpPrefix::Parse(entry.subnet()));
      return OfInterval(prefix.ToString(), prefix.address.bits(), ToInterval(prefix));
    }
    case v1::ClientEntry::kRange: {
      GATEPOST_ASSIGN_OR_RETURN(const IpRange range, IpRange::Parse(entry.range()));
      return OfInterval(range.ToString(), range.first.bits(), {ToNumber(range.first), ToNumber(range.last)});
    }
    case v1::ClientEntry::kDomain: {
      GATEPOST_ASSIGN_OR_RETURN(const std::string domain, CanonicalDomain(entry.domain()));
      return Canonical{domain, {0, 0, 0, domain}};
    }
    case v1::ClientEntry::CLIENT_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("must have an address, a subnet, a range, a domain or a host name");
}

const char* FieldOf(const v1::ClientEntry& entry) {
  switch (entry.client_case()) {
    case v1::ClientEntry::kAddress:
      return ".address";
    case v1::ClientEntry::kSubnet:
      return ".subnet";
    case v1::ClientEntry::kRange:
      return ".range";
    case v1::ClientEntry::kDomain:
      return ".domain";
    case v1::ClientEntry::CLIENT_NOT_SET:
      break;
  }
  return entry.host_name().empty() ? "" : ".host_name";
}

void SetText(v1::ClientEntry* entry, std::string text) {
  if (entry->has_address()) entry->set_address(std::move(text));
  else if (entry->has_subnet()) entry->set_subnet(std::move(text));
  else if (entry->has_range()) entry->set_range(std::move(text));
  else entry->set_domain(std::move(text));
}

// A host name in the place of an address.
bool IsToLookUp(const v1::ClientEntry& entry) {
  return entry.client_case() == v1::ClientEntry::CLIENT_NOT_SET && !entry.host_name().empty();
}

using Entries = google::protobuf::RepeatedPtrField<v1::ClientEntry>;

class EntryList {
 public:
  EntryList(const HostAnswers& hosts, const std::string& path, Entries* entries, Violations* violations)
      : hosts_(hosts), path_(path), entries_(*entries), violations_(*violations) {}

  void Normalize() {
    bool look_up = false;
    for (int i = 0; i < entries_.size(); ++i) {
      v1::ClientEntry* entry = entries_.Mutable(i);
      CheckText(entry->comment(), kMaxCommentCharacters, StrCat(At(i), ".comment"), &violations_);
      CheckHostName(i, entry);
      if (IsToLookUp(*entry)) {
        look_up = true;
      } else {
        NormalizeEntry(i, entry);
      }
    }
    if (look_up) PutAddresses();
  }

 private:
  std::string At(int index) const { return StrCat(path_, "[", index, "]"); }

  void CheckHostName(int index, v1::ClientEntry* entry) {
    if (entry->host_name().empty()) return;
    const std::string field = StrCat(At(index), ".host_name");
    if (!entry->has_address() && !IsToLookUp(*entry)) {
      violations_.Add(field, "stands alone, or beside the address that was looked up");
      return;
    }
    absl::StatusOr<std::string> name = CanonicalDomain(entry->host_name());
    if (name.ok()) {
      entry->set_host_name(*std::move(name));
    } else {
      violations_.Add(field, base::FromAbsl(name.status().message()));
    }
  }

  void NormalizeEntry(int index, v1::ClientEntry* entry) {
    absl::StatusOr<Canonical> canonical = ToCanonical(*entry);
    const std::string field = StrCat(At(index), FieldOf(*entry));
    if (!canonical.ok()) {
      violations_.Add(field, base::FromAbsl(canonical.status().message()));
      return;
    }
    if (const auto [at, is_new] = seen_.try_emplace(std::move(canonical->identity), index); !is_new) {
      violations_.Add(field, StrCat("is in the list already, as [", at->second, "]"));
      return;
    }
    SetText(entry, std::move(canonical->text));
  }

  // After all others have their places: an address that is there by itself is not there once more.
  void PutAddresses() {
    Entries all;
    std::set<std::string> names;
    for (int i = 0; i < entries_.size(); ++i) {
      if (!IsToLookUp(entries_.Get(i))) {
        all.Add(std::move(*entries_.Mutable(i)));
        continue;
      }
      const v1::ClientEntry& entry = entries_.Get(i);
      const std::string field = StrCat(At(i), ".host_name");
      if (!CanonicalDomain(entry.host_name()).ok()) continue;  // said already
      if (!names.insert(entry.host_name()).second) {
        violations_.Add(field, "is in the list already");
        continue;
      }
      const auto answer = hosts_.find(entry.host_name());
      if (answer == hosts_.end()) {
        violations_.Add(field, StrCat("is not looked up: one request may have ", kMaxHostNames, " host names"));
      } else if (!answer->second.ok()) {
        violations_.Add(field, base::FromAbsl(answer->second.status().message()));
      } else {
        for (const IpAddress& address : *answer->second) AddLookedUp(entry, address, i, &all);
      }
    }
    entries_.Swap(&all);
    if (entries_.size() > kMaxListEntries)
      violations_.Add(path_, StrCat("has ", entries_.size(), " entries with the addresses of its host names, at most ",
                                    kMaxListEntries, " are allowed"));
  }

  void AddLookedUp(const v1::ClientEntry& entry, const IpAddress& address, int index, Entries* all) {
    v1::ClientEntry looked_up = entry;
    looked_up.set_address(address.ToString());
    absl::StatusOr<Canonical> canonical = ToCanonical(looked_up);
    if (canonical.ok() && seen_.try_emplace(std::move(canonical->identity), index).second)
      all->Add(std::move(looked_up));
  }

  const HostAnswers& hosts_;
  const std::string& path_;
  Entries& entries_;
  Violations& violations_;
  std::map<decltype(Canonical::identity), int> seen_;  // where each was first
};

void AddHostNames(const Entries& entries, std::set<std::string>* names) {
  for (const v1::ClientEntry& entry : entries) {
    if (!IsToLookUp(entry) || names->size() >= kMaxHostNames) continue;
    if (absl::StatusOr<std::string> name = CanonicalDomain(entry.host_name()); name.ok())
      names->insert(*std::move(name));
  }
}

}  // namespace

absl::StatusOr<std::string> CanonicalAddress(std::string_view text) {
  const absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
  if (!address.ok()) return address.status();
  return address->ToString();
}

bool Overlap(const v1::Listener& a, const v1::Listener& b) {
  if (a.port() != b.port()) return false;
  const absl::StatusOr<IpAddress> x = IpAddress::Parse(a.address());
  const absl::StatusOr<IpAddress> y = IpAddress::Parse(b.address());
  if (!x.ok() || !y.ok() || x->is_v4() != y->is_v4()) return false;
  return *x == *y || x->IsUnspecified() || y->IsUnspecified();
}

std::vector<std::string> HostNamesToLookUp(const v1::VirtualServer& server) {
  std::set<std::string> names;
  AddHostNames(server.connection_control().entries(), &names);
  AddHostNames(server.relay().entries(), &names);
  return {names.begin(), names.end()};
}

void NormalizeEntries(const HostAnswers& hosts, const std::string& path,
                      google::protobuf::RepeatedPtrField<v1::ClientEntry>* entries, Violations* violations) {
  EntryList(hosts, path, entries, violations).Normalize();
}

bool IsPrivate(const IpAddress& address) {
  const Number number = ToNumber(address);
  const Intervals& intervals = Private(address.is_v4());
  return std::any_of(intervals.begin(), intervals.end(),
                     [number](const Interval& own) { return own.first <= number && number <= own.last; });
}

bool IsOpenRelay(const v1::VirtualServer& server) {
  if (!server.authentication().anonymous()) return false;
  bool v4 = server.listeners().empty();
  bool v6 = v4;
  bool only_loopback = !server.listeners().empty();
  for (const v1::Listener& listener : server.listeners()) {
    const absl::StatusOr<IpAddress> address = IpAddress::Parse(listener.address());
    if (!address.ok()) continue;
    // Behind a proxy the clients are elsewhere, and of any family.
    const bool proxied = listener.proxy_protocol().required();
    v4 = v4 || address->is_v4() || proxied;
    v6 = v6 || address->is_v6() || proxied;
    only_loopback = only_loopback && address->IsLoopback() && !proxied;
  }
  if (only_loopback) return false;
  for (const bool family : {true, false}) {
    if (!(family ? v4 : v6)) continue;
    const v1::ConnectionControl& control = server.connection_control();
    const Intervals connect = Admitted(control.mode(), control.entries(), family);
    const Intervals relay = Admitted(server.relay().mode(), server.relay().entries(), family);
    const Intervals elsewhere = Complement(Private(family), family ? 32 : 128);
    if (IsLarge(Intersect(Intersect(connect, relay), elsewhere), family)) return true;
  }
  return false;
}

}  // namespace gatepost::config
