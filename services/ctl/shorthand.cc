#include "services/ctl/shorthand.h"

#include <algorithm>

#include "services/base/ip_address.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {
namespace {

using base::StrCat;
using config::v1::ClientEntry;
using config::v1::Listener;
using config::v1::VirtualServer;

// "HOST:PORT" or "[v6]:PORT".
absl::Status SplitHostPort(std::string_view option, std::string_view text, std::string* host, uint32_t* port) {
  const std::string wrong = StrCat(option, " takes ADDRESS:PORT, such as 192.0.2.1:587 or [::1]:587, not '", text, "'");
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return UsageError(wrong);
  std::string_view name = text.substr(0, colon);
  if (name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  } else if (name.find(':') != std::string_view::npos) {
    return UsageError(wrong);
  }
  const std::optional<uint16_t> number = base::ParsePort(text.substr(colon + 1));
  if (!number || *number == 0) return UsageError(wrong);
  *host = std::string(name);
  *port = *number;
  return absl::OkStatus();
}

absl::Status AddListener(const std::string& listen, VirtualServer* server) {
  const size_t comma = listen.find(',');
  const std::string mode = comma == std::string::npos ? "starttls" : listen.substr(comma + 1);
  Listener* listener = server->add_listeners();
  uint32_t port = 0;
  GATEPOST_RETURN_IF_ERROR(SplitHostPort("--listen", listen.substr(0, comma), listener->mutable_address(), &port));
  listener->set_port(port);
  if (mode == "none") {
    listener->set_tls_mode(Listener::NONE);
  } else if (mode == "starttls") {
    listener->set_tls_mode(Listener::STARTTLS);
  } else if (mode == "implicit") {
    listener->set_tls_mode(Listener::IMPLICIT);
  } else {
    return UsageError(StrCat("--listen ", listen, ": behind the comma stands none, starttls or implicit"));
  }
  return absl::OkStatus();
}

absl::Status AddEntries(std::string_view option, const std::vector<std::string>& texts, ClientEntries* entries) {
  for (const std::string& text : texts) {
    GATEPOST_ASSIGN_OR_RETURN(*entries->Add(), ParseEntry(option, text));
  }
  return absl::OkStatus();
}

// Equal for equal entries, however they are written; an entry of the service is in this form.
std::string Identity(const ClientEntry& entry) {
  const std::string& address = entry.has_address() ? entry.address() : entry.subnet();
  if (entry.has_address() || entry.has_subnet()) {
    const absl::StatusOr<base::IpPrefix> prefix = base::IpPrefix::Parse(address);
    return prefix.ok() ? prefix->ToString() : address;
  }
  if (entry.has_range()) {
    const absl::StatusOr<base::IpRange> range = base::IpRange::Parse(entry.range());
    return range.ok() ? range->ToString() : entry.range();
  }
  return StrCat("domain:", base::AsciiLower(entry.domain()));
}

}  // namespace

void AddSurroundingOptions(CLI::App* command, Shorthand* shorthand) {
  Repeatable(command->add_option("--certificate", shorthand->certificates,
                                 "The id of a certificate (gatepostctl certificate list). Repeatable"));
  Repeatable(command->add_option("--local-domain", shorthand->local_domains,
                                 "A domain whose recipients are accepted from everybody. Repeatable"));
  Repeatable(command->add_option("--next-hop", shorthand->next_hops,
                                 "HOST:PORT of the mail server that takes the mail; tried in this order. Repeatable"));
}

void AddShorthandOptions(CLI::App* command, Shorthand* shorthand) {
  command->add_option("--fqdn", shorthand->fqdn, "The name that users type into their mail client");
  Repeatable(command->add_option(
      "--listen", shorthand->listen,
      "ADDRESS:PORT[,none|starttls|implicit]: where it listens, and how TLS begins (starttls). Repeatable"));
  AddSurroundingOptions(command, shorthand);
  Repeatable(command->add_option("--connection-entry", shorthand->connection_entries,
                                 StrCat("Who may not connect: ", kEntryForms, ". Repeatable")));
  Repeatable(command->add_option("--relay-entry", shorthand->relay_entries,
                                 StrCat("Who may send to other domains: ", kEntryForms, ". Repeatable")));
  command->add_flag("--anonymous", shorthand->anonymous, "Clients need not authenticate");
  command->add_flag("--require-secure-channel", shorthand->require_secure_channel, "Nothing is done before TLS");
}

absl::Status ApplyShorthand(const Shorthand& shorthand, VirtualServer* server) {
  if (!shorthand.fqdn.empty()) server->set_fqdn(shorthand.fqdn);
  for (const std::string& listen : shorthand.listen) GATEPOST_RETURN_IF_ERROR(AddListener(listen, server));
  for (const std::string& certificate : shorthand.certificates)
    server->add_certificates(NameOf("certificates", certificate));
  for (const std::string& domain : shorthand.local_domains) server->add_local_domains()->set_domain(domain);
  for (const std::string& next_hop : shorthand.next_hops) {
    config::v1::NextHop* hop = server->mutable_delivery()->mutable_default_route()->add_next_hops();
    uint32_t port = 0;
    GATEPOST_RETURN_IF_ERROR(SplitHostPort("--next-hop", next_hop, hop->mutable_host(), &port));
    hop->set_port(port);
  }
  if (!shorthand.connection_entries.empty())
    GATEPOST_RETURN_IF_ERROR(AddEntries("--connection-entry", shorthand.connection_entries,
                                        server->mutable_connection_control()->mutable_entries()));
  if (!shorthand.relay_entries.empty())
    GATEPOST_RETURN_IF_ERROR(
        AddEntries("--relay-entry", shorthand.relay_entries, server->mutable_relay()->mutable_entries()));
  if (shorthand.anonymous) server->mutable_authentication()->set_anonymous(true);
  if (shorthand.require_secure_channel) server->mutable_tls()->set_require_secure_channel(true);
  return absl::OkStatus();
}

absl::StatusOr<ClientEntry> ParseEntry(std::string_view option, const std::string& text) {
  ClientEntry entry;
  if (text.starts_with("host:")) {
    entry.set_host_name(text.substr(5));
    return entry;
  }
  if (text.starts_with("domain:")) {
    entry.set_domain(text.substr(7));
    return entry;
  }
  if (text.find('/') != std::string::npos) {
    const absl::StatusOr<base::IpPrefix> subnet = base::IpPrefix::Parse(text);
    if (!subnet.ok()) return UsageError(StrCat(option, ": ", base::FromAbsl(subnet.status().message())));
    entry.set_subnet(subnet->ToString());
    return entry;
  }
  if (const absl::StatusOr<base::IpAddress> address = base::IpAddress::Parse(text); address.ok()) {
    entry.set_address(address->ToString());
    return entry;
  }
  if (const absl::StatusOr<base::IpRange> range = base::IpRange::Parse(text); range.ok()) {
    entry.set_range(range->ToString());
    return entry;
  }
  return UsageError(StrCat(option, " takes ", kEntryForms, ", not '", text, "'"));
}

int RemoveEntry(const ClientEntry& entry, ClientEntries* entries) {
  const int before = entries->size();
  const std::string name = base::AsciiLower(entry.host_name());
  const auto is_meant = [&](const ClientEntry& own) {
    return name.empty() ? Identity(own) == Identity(entry) : own.host_name() == name;
  };
  entries->erase(std::remove_if(entries->begin(), entries->end(), is_meant), entries->end());
  return before - entries->size();
}

}  // namespace gatepost::ctl
