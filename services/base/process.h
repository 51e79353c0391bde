// What every program of ours does to its own process at start.
#pragma once

#include <cstdint>

namespace gatepost::base {

// No core of the memory that holds keys and passwords (RLIMIT_CORE 0, not dumpable), and no death by SIGPIPE.
void HardenProcess();

// Raises the soft limit of open files to the hard one; the limit that is in force.
uint64_t RaiseFileLimit();

}  // namespace gatepost::base
