// Making the services agree with a file of resources: `apply`, and what makes such a file itself. No state; one thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {

struct ApplyOptions {
  std::string source;    // the file's name, "-" for standard input: for people
  bool dry_run = false;  // the services judge, nothing is changed
  bool diff = false;
  bool prune = false;
  bool yes = false;
};

// Creates what is not there, updates what differs, in the order in which things depend on each other, and says so line
// by line. INVALID_ARGUMENT: a fault of the file, or what a service refuses.
absl::Status ApplyManifest(Invocation* invocation, std::string_view text, const ApplyOptions& options);

}  // namespace gatepost::ctl
