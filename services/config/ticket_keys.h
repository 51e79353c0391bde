// Session ticket keys, one set for each virtual server, made here so that every edge of a virtual server can resume what
// another one began, and no other virtual server can.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gatepost/config/v1/watch_service.pb.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/config/repository.h"

namespace gatepost::config {

v1::TicketKey NewTicketKey(base::Random& random);

// Puts a new key before the others and drops those of older generations (limits.h).
void Rotate(v1::TicketKeys* keys, base::Random& random);

// Makes all ticket keys anew, in one commit, when kTicketKeyLifetime has passed since the last time. True: it did.
// A commit that was overtaken by another is tried again.
absl::StatusOr<bool> RotateIfDue(Repository& repository, const base::Clock& clock, base::Random& random);

}  // namespace gatepost::config
