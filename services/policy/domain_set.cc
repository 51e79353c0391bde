#include "services/policy/domain_set.h"

#include "services/base/strings.h"

namespace gatepost::policy {

DomainSet::DomainSet(const std::vector<DomainEntry>& entries) {
  for (size_t i = 0; i < entries.size(); ++i) Add(entries[i], i);
}

void DomainSet::Add(const DomainEntry& entry, size_t index) {
  // The first of two entries with one domain stands; the wider meaning of the two holds.
  auto [it, fresh] = entries_.try_emplace(entry.domain, Entry{index, entry.include_subdomains});
  if (!fresh) it->second.include_subdomains |= entry.include_subdomains;
  any_subdomains_ |= entry.include_subdomains;
}

std::optional<size_t> DomainSet::Find(std::string_view domain) const {
  if (domain.empty() || domain.front() == '[') return std::nullopt;
  bool whole = true;
  for (;;) {
    const auto it = entries_.find(base::ToAbsl(domain));
    if (it != entries_.end() && (whole || it->second.include_subdomains)) return it->second.index;
    // A domain has at most 255 octets, so the loop is bounded.
    const size_t dot = domain.find('.');
    if (!any_subdomains_ || dot == std::string_view::npos) return std::nullopt;
    domain.remove_prefix(dot + 1);
    whole = false;
  }
}

}  // namespace gatepost::policy
