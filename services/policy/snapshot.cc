#include "services/policy/snapshot.h"

#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::policy {
namespace {

// limits.md, "Control plane": held here too, so that no source of policy can cost more than it may.
constexpr size_t kListeners = 32;
constexpr size_t kEntries = 10'000;
constexpr size_t kBlockLists = 32;
constexpr int kFewestRecipients = 100;

absl::Status Refuse(const VirtualServer& settings, std::string_view field, std::string_view why) {
  return absl::InvalidArgumentError(
      base::ToAbsl(base::StrCat("virtual server \"", settings.id, "\": ", field, " ", why)));
}

// A name in another form would never match: nothing would be refused, and nothing said.
bool IsCanonicalDomain(std::string_view domain) {
  return !domain.empty() && domain.size() <= 253 && domain.front() != '[' && domain.back() != '.' &&
         base::IsPrintableAscii(domain) && domain == base::AsciiLower(domain);
}

// A subnet without bits beyond its mask, or a range of one family in order: what the parsers of base/ip_address.h make.
bool IsWellFormed(const ClientEntry& entry) {
  if (const auto* range = std::get_if<base::IpRange>(&entry)) {
    return range->first.is_v4() == range->last.is_v4() && range->first <= range->last;
  }
  if (const auto* domain = std::get_if<ClientDomain>(&entry)) return IsCanonicalDomain(domain->domain);
  const auto& prefix = std::get<base::IpPrefix>(entry);
  return prefix.length >= 0 && prefix.length <= prefix.address.bits() &&
         prefix.address.Masked(prefix.length) == prefix.address;
}

absl::Status CheckEntries(const VirtualServer& settings, const std::vector<ClientEntry>& entries,
                          std::string_view field) {
  if (entries.size() > kEntries) return Refuse(settings, field, "has more than 10,000 entries");
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!IsWellFormed(entries[i]))
      return Refuse(settings, base::StrCat(field, "[", i, "]"), "is neither a subnet nor a range nor a lower-case domain");
  }
  return absl::OkStatus();
}

}  // namespace

CompiledClientList::CompiledClientList(const std::vector<ClientEntry>& entries) : addresses(entries) {
  for (size_t i = 0; i < entries.size(); ++i) {
    if (const auto* domain = std::get_if<ClientDomain>(&entries[i])) domains.Add({domain->domain, true}, i);
  }
}

CompiledVirtualServer::CompiledVirtualServer(VirtualServer settings)
    : settings_(std::move(settings)),
      connection_list_(settings_.connection_control.entries),
      relay_list_(settings_.relay.list.entries),
      local_domains_(settings_.local_domains) {}

absl::StatusOr<std::shared_ptr<const CompiledVirtualServer>> CompiledVirtualServer::Compile(VirtualServer settings) {
  if (settings.id.empty()) return Refuse(settings, "name", "is empty");
  if (settings.fqdn.empty() || settings.fqdn.size() > 253 || !base::IsPrintableAscii(settings.fqdn)) {
    return Refuse(settings, "fqdn", "is not a host name");
  }
  if (settings.banner_text.size() > 200 || !base::IsPrintableAscii(settings.banner_text)) {
    return Refuse(settings, "banner_text", "is not printable ASCII of at most 200 octets");
  }
  if (settings.listeners.size() > kListeners) return Refuse(settings, "listeners", "has more than 32 entries");
  if (settings.local_domains.size() > kEntries)
    return Refuse(settings, "local_domains", "has more than 10,000 entries");
  for (size_t i = 0; i < settings.local_domains.size(); ++i) {
    if (!IsCanonicalDomain(settings.local_domains[i].domain))
      return Refuse(settings, base::StrCat("local_domains[", i, "].domain"), "is not a lower-case domain");
  }
  GATEPOST_RETURN_IF_ERROR(CheckEntries(settings, settings.connection_control.entries, "connection_control.entries"));
  GATEPOST_RETURN_IF_ERROR(CheckEntries(settings, settings.relay.list.entries, "relay.entries"));
  if (settings.authentication.submit.principals.size() > kEntries)
    return Refuse(settings, "authentication.submit.principals", "has more than 10,000 entries");
  if (settings.relay.authenticated.principals.size() > kEntries)
    return Refuse(settings, "relay.authenticated.principals", "has more than 10,000 entries");
  if (settings.filters.block_lists.size() > kBlockLists)
    return Refuse(settings, "filters.block_lists", "has more than 32 entries");
  for (size_t i = 0; i < settings.filters.block_lists.size(); ++i) {
    if (!IsCanonicalDomain(settings.filters.block_lists[i].zone))
      return Refuse(settings, base::StrCat("filters.block_lists[", i, "].zone"), "is not a lower-case domain");
  }
  if (settings.limits.recipients < kFewestRecipients) {
    return Refuse(settings, "message_limits.max_recipients", "is below 100 (RFC 5321 4.5.3.1.8)");
  }
  return std::shared_ptr<const CompiledVirtualServer>(new CompiledVirtualServer(std::move(settings)));
}

}  // namespace gatepost::policy
