#include "services/edge/resources.h"

#include <set>
#include <utility>

namespace gatepost::edge {
namespace {

using config::v1::Secret;
using config::v1::Unit;

void Forget(Resources& resources) {
  std::set<std::string> named;
  for (const auto& [name, virtual_server] : resources.virtual_servers) {
    named.insert(virtual_server->certificates().begin(), virtual_server->certificates().end());
  }
  std::erase_if(resources.certificates, [&](const auto& entry) { return !named.contains(entry.first); });
  std::erase_if(resources.keys, [&](const auto& entry) { return !named.contains(entry.first); });
  std::erase_if(resources.ticket_keys,
                [&](const auto& entry) { return !resources.virtual_servers.contains(entry.first); });
}

}  // namespace

Standing Judge(const Resources& held, const Unit& unit) {
  if (unit.epoch().empty()) return Standing::kRefuse;
  if (unit.epoch() != held.epoch) return unit.reset() ? Standing::kApply : Standing::kRefuse;
  return unit.revision() < held.revision ? Standing::kIgnore : Standing::kApply;
}

absl::StatusOr<Resources> Merge(const Resources& held, std::span<const Unit> chain) {
  if (chain.empty()) return absl::InvalidArgumentError("an empty chain of units");
  Resources next;
  if (!chain.front().reset()) next = held;
  next.epoch = chain.front().epoch();
  next.revision = chain.front().revision();
  for (size_t i = 0; i < chain.size(); ++i) {
    const Unit& unit = chain[i];
    if (unit.epoch() != next.epoch || unit.revision() != next.revision || unit.reset() != chain.front().reset() ||
        unit.more() != (i + 1 < chain.size())) {
      return absl::InvalidArgumentError("the pieces of a unit do not belong together");
    }
    for (const std::string& name : unit.removed()) {
      next.virtual_servers.erase(name);
      next.certificates.erase(name);
      next.keys.erase(name);
    }
    for (const auto& virtual_server : unit.virtual_servers()) {
      if (virtual_server.name().empty()) return absl::InvalidArgumentError("a virtual server without a name");
      next.virtual_servers[virtual_server.name()] = std::make_shared<config::v1::VirtualServer>(virtual_server);
    }
    for (const auto& certificate : unit.certificates()) {
      if (certificate.name().empty()) return absl::InvalidArgumentError("a certificate without a name");
      next.certificates[certificate.name()] = std::make_shared<config::v1::Certificate>(certificate);
    }
    for (const Secret& secret : unit.secrets()) {
      switch (secret.secret_case()) {
        case Secret::kCertificateKey:
          next.keys[secret.certificate_key().certificate()] =
              std::make_shared<config::v1::CertificateKey>(secret.certificate_key());
          break;
        case Secret::kTicketKeys:
          next.ticket_keys[secret.ticket_keys().virtual_server()] =
              std::make_shared<config::v1::TicketKeys>(secret.ticket_keys());
          break;
        case Secret::SECRET_NOT_SET:
          break;  // A kind of secret of a later version: nothing that we know refers to it.
      }
    }
  }
  Forget(next);
  return next;
}

Unit ToUnit(const Resources& resources) {
  Unit unit;
  unit.set_epoch(resources.epoch);
  unit.set_revision(resources.revision);
  unit.set_reset(true);
  for (const auto& [name, virtual_server] : resources.virtual_servers) *unit.add_virtual_servers() = *virtual_server;
  for (const auto& [name, certificate] : resources.certificates) *unit.add_certificates() = *certificate;
  for (const auto& [name, key] : resources.keys) *unit.add_secrets()->mutable_certificate_key() = *key;
  for (const auto& [name, keys] : resources.ticket_keys) *unit.add_secrets()->mutable_ticket_keys() = *keys;
  return unit;
}

}  // namespace gatepost::edge
