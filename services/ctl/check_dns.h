// gatepostctl virtual-server check-dns: what DNS says about the name that users type.
#pragma once

#include "services/ctl/cli.h"

namespace gatepost::ctl {

// Adds the verb.
void AddCheckDns(CLI::App* noun, Invocation* invocation);

}  // namespace gatepost::ctl
