// What the edge holds of the configuration, as the config service sent it, and how a unit changes it: the rules of
// proto/gatepost/config/v1/watch_service.proto on epochs, revisions, resets and removals. Nothing here is compiled or
// judged yet (translate.h does), and nothing does I/O.
//
// A value: copying shares the resources. Thread rule: one thread (the control thread).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gatepost/config/v1/watch_service.pb.h"

namespace gatepost::edge {

struct Resources {
  std::string epoch;  // Empty: no configuration yet.
  int64_t revision = 0;
  // By full name: `virtualServers/...`, `certificates/...`; ticket keys by their virtual server's name.
  std::map<std::string, std::shared_ptr<const config::v1::VirtualServer>> virtual_servers;
  std::map<std::string, std::shared_ptr<const config::v1::Certificate>> certificates;
  std::map<std::string, std::shared_ptr<const config::v1::CertificateKey>> keys;
  std::map<std::string, std::shared_ptr<const config::v1::TicketKeys>> ticket_keys;
};

// What is to be done with a complete chain of units.
enum class Standing {
  kApply,   // It is newer, or a reset.
  kIgnore,  // A revision of our epoch that we have left behind: acknowledged, never applied.
  kRefuse,  // Another epoch without a reset.
};

Standing Judge(const Resources& held, const config::v1::Unit& unit);

// The resources after the whole chain; `held` is left as it is. INVALID_ARGUMENT: pieces that do not belong together,
// or resources without a name. Certificates, keys and ticket keys that no virtual server names any more are forgotten.
absl::StatusOr<Resources> Merge(const Resources& held, std::span<const config::v1::Unit> chain);

// All of it as one unit with `reset`: the form in which a snapshot is kept.
config::v1::Unit ToUnit(const Resources& resources);

}  // namespace gatepost::edge
