// A file for `apply`: its documents as resources, checked as far as that can be done without a server, in dependency
// order.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/ctl/kind.h"

namespace gatepost::ctl {

struct ManifestEntry {
  const Kind* kind;
  // "virtualServers/submission", in `resource` as well.
  std::string name;
  Resource resource;
};

// INVALID_ARGUMENT (a usage error) with every fault of the file, one per line: no or unknown kind, no name or one of
// another collection, an unknown field, a value of the wrong type, the same name twice.
absl::StatusOr<std::vector<ManifestEntry>> ParseManifest(std::string_view text,
                                                         const std::vector<std::unique_ptr<Kind>>& kinds);

}  // namespace gatepost::ctl
