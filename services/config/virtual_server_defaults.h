// The defaults of a virtual server (proto/gatepost/config/v1/virtual_server.proto says them), filled in where a field is
// absent, so that what is stored is what is in force.
#pragma once

#include "gatepost/config/v1/virtual_server.pb.h"

namespace gatepost::config {

// display_name is derived from the id in `name`, which must be set. An enum set to its zero value counts as absent.
void FillDefaults(v1::VirtualServer* server);

}  // namespace gatepost::config
