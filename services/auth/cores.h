// How many cores the process may use: its affinity, and the quota of its cgroup (version 1 or 2).
#pragma once

namespace gatepost::auth {

// At least 1. A quota of 1.5 cores counts as 1.
int AvailableCores();

}  // namespace gatepost::auth
