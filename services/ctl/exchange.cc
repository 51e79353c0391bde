#include "services/ctl/exchange.h"

#include <algorithm>
#include <set>
#include <utility>

#include "services/base/domain_name.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/ctl/cli.h"
#include "services/ctl/exchange_connector.h"
#include "services/ctl/yaml.h"

namespace gatepost::ctl {
namespace {

using base::StrCat;
using config::v1::Certificate;
using config::v1::Listener;
using config::v1::VirtualServer;

constexpr char kStandIn[] = "certificates/exchange-import";
constexpr size_t kMaxIdOctets = 63;
constexpr int kMaxNames = 100;  // of a certificate that the service makes

// "Default Frontend MAIL01" -> "default-frontend-mail01", and a number behind it if that is taken.
std::string MakeId(std::string_view name, std::set<std::string>* taken) {
  std::string id;
  for (const char c : base::AsciiLower(name)) {
    if (base::IsAlnum(c)) {
      id.push_back(c);
    } else if (!id.empty() && id.back() != '-') {
      id.push_back('-');
    }
  }
  if (id.empty() || base::IsDigit(id.front())) id.insert(0, "connector-");
  const auto cut = [](std::string text, size_t most) {
    text.resize(std::min(text.size(), most));
    while (text.back() == '-') text.pop_back();
    return text;
  };
  std::string unique = cut(id, kMaxIdOctets);
  for (int number = 2; !taken->insert(unique).second; ++number) {
    const std::string suffix = StrCat("-", number);
    unique = cut(id, kMaxIdOctets - suffix.size()) + suffix;
  }
  return unique;
}

bool Overlap(const Listener& a, const Listener& b) {
  if (a.port() != b.port()) return false;
  const auto x = base::IpAddress::Parse(a.address());
  const auto y = base::IpAddress::Parse(b.address());
  if (!x.ok() || !y.ok() || x->is_v4() != y->is_v4()) return false;
  return *x == *y || x->IsUnspecified() || y->IsUnspecified();
}

// Exchange chooses among connectors of one address by the client's; here an address and port has one virtual server.
// The one for everybody keeps it, else the first.
void KeepListenersApart(const std::vector<bool>& for_everybody, std::vector<ImportedConnector>* connectors) {
  std::vector<size_t> order;
  for (const bool everybody : {true, false})
    for (size_t i = 0; i < connectors->size(); ++i)
      if (for_everybody[i] == everybody) order.push_back(i);
  std::vector<std::pair<const Listener*, const ImportedConnector*>> kept;
  for (const size_t i : order) {
    ImportedConnector& own = (*connectors)[i];
    google::protobuf::RepeatedPtrField<Listener> listeners;
    listeners.Swap(own.server.mutable_listeners());
    for (const Listener& listener : listeners) {
      const auto other = std::find_if(kept.begin(), kept.end(), [&](const auto& rival) {
        return rival.second != &own && Overlap(*rival.first, listener);
      });
      if (other == kept.end()) {
        *own.server.add_listeners() = listener;
      } else {
        own.notes.push_back(StrCat("Bindings: ", listener.address(), " port ", listener.port(), " is ",
                                   other->second->title,
                                   "'s too, and an address and port has one virtual server: not imported; give it an "
                                   "address or port of its own"));
      }
    }
    for (const Listener& listener : own.server.listeners()) kept.emplace_back(&listener, &own);
  }
}

bool OffersTls(const VirtualServer& server) {
  return std::any_of(server.listeners().begin(), server.listeners().end(),
                     [](const Listener& own) { return own.tls_mode() != Listener::NONE; });
}

// Self-signed, as Exchange's own is before somebody installs another one.
std::optional<Certificate> StandIn(std::vector<ImportedConnector>* connectors) {
  Certificate certificate;
  certificate.set_name(kStandIn);
  certificate.set_display_name("Stands in for the certificate of Exchange");
  std::set<std::string> names;
  for (ImportedConnector& connector : *connectors) {
    if (!OffersTls(connector.server)) continue;
    connector.server.add_certificates(kStandIn);
    if (const auto name = base::CanonicalDomain(connector.server.fqdn(), 253); name.ok()) names.insert(*name);
  }
  if (names.empty()) return std::nullopt;
  for (const std::string& name : names)
    if (certificate.self_signed().dns_names_size() < kMaxNames) certificate.mutable_self_signed()->add_dns_names(name);
  return certificate;
}

}  // namespace

absl::StatusOr<ExchangeImport> ImportExchange(std::string_view json, const Shorthand& surroundings) {
  auto documents = LoadStream(json);
  if (!documents.ok()) return UsageError(StrCat("not JSON: ", base::FromAbsl(documents.status().message())));
  if (documents->empty()) return UsageError("no connector in it; Get-ReceiveConnector | ConvertTo-Json -Depth 4");
  ExchangeImport import;
  std::vector<bool> for_everybody;
  std::set<std::string> ids;
  for (size_t i = 0; i < documents->size(); ++i) {
    const YAML::Node& properties = (*documents)[i];
    const std::string which = StrCat("connector ", i + 1);
    if (!properties.IsMap())
      return UsageError(StrCat(which, " is no object; Get-ReceiveConnector | ConvertTo-Json -Depth 4"));
    if (auto well_formed = ToJson(properties); !well_formed.ok())
      return UsageError(StrCat(which, ": ", base::FromAbsl(well_formed.status().message())));
    if (IsNothing(Member(properties, "Name")) && IsNothing(Member(properties, "Identity")))
      return UsageError(StrCat(which, " has no Name: is this what Get-ReceiveConnector | ConvertTo-Json says?"));
    ExchangeConnector connector(properties);
    import.connectors.push_back(connector.Convert());
    for_everybody.push_back(connector.for_everybody());
    VirtualServer& server = import.connectors.back().server;
    server.set_name(NameOf("virtualServers", MakeId(server.display_name(), &ids)));
  }
  KeepListenersApart(for_everybody, &import.connectors);
  for (ImportedConnector& connector : import.connectors) {
    Shorthand own = surroundings;
    if (!OffersTls(connector.server)) own.certificates.clear();
    GATEPOST_RETURN_IF_ERROR(ApplyShorthand(own, &connector.server));
  }
  if (surroundings.certificates.empty()) {
    import.certificate = StandIn(&import.connectors);
    if (import.certificate)
      import.notes.push_back(StrCat("Exchange's certificate is not in the file: ", kStandIn,
                                    ", self-signed, stands in for it; or name yours with --certificate"));
  }
  if (surroundings.local_domains.empty())
    import.notes.push_back("accepted domains are not in the file (Get-AcceptedDomain): give --local-domain");
  if (surroundings.next_hops.empty())
    import.notes.push_back("without --next-hop HOST:PORT of a mail server, mail is answered with 451");
  return import;
}

}  // namespace gatepost::ctl
