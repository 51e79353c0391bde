// base/backoff.h under the edge's own names.
#pragma once

#include "services/base/backoff.h"

namespace gatepost::edge {

using base::Backoff;
using base::UniformDelay;

}  // namespace gatepost::edge
