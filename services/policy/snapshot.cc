#include "services/policy/snapshot.h"

#include <utility>

#include "services/base/strings.h"

namespace gatepost::policy {
namespace {

// limits.md, "Control plane": held here too, so that no source of policy can cost more than it may.
constexpr size_t kListeners = 32;
constexpr size_t kEntries = 10'000;
constexpr int kFewestRecipients = 100;

absl::Status Refuse(const VirtualServer& settings, std::string_view field, std::string_view why) {
  return absl::InvalidArgumentError(base::ToAbsl(base::StrCat("virtual server \"", settings.id, "\": ", field, " ", why)));
}

}  // namespace

CompiledVirtualServer::CompiledVirtualServer(VirtualServer settings)
    : settings_(std::move(settings)),
      connection_entries_(settings_.connection_control.entries),
      relay_entries_(settings_.relay.list.entries),
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
  if (settings.local_domains.size() > kEntries) return Refuse(settings, "local_domains", "has more than 10,000 entries");
  if (settings.connection_control.entries.size() > kEntries) {
    return Refuse(settings, "connection_control.entries", "has more than 10,000 entries");
  }
  if (settings.relay.list.entries.size() > kEntries) return Refuse(settings, "relay.entries", "has more than 10,000 entries");
  if (settings.limits.recipients < kFewestRecipients) {
    return Refuse(settings, "message_limits.max_recipients", "is below 100 (RFC 5321 4.5.3.1.8)");
  }
  return std::shared_ptr<const CompiledVirtualServer>(new CompiledVirtualServer(std::move(settings)));
}

}  // namespace gatepost::policy
