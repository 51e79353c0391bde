// SimulateSession between the API and smtp/simulate.h: the facts that a request states, judged, and what came of them.
// Pure; knows neither the store nor gRPC.
#pragma once

#include "absl/status/statusor.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/config/violations.h"
#include "services/policy/virtual_server.h"
#include "services/smtp/simulate.h"

namespace gatepost::config {

// The session that a request describes, but for its policy. Violations are those of everything but `candidate`; with
// one the answer is good for nothing.
smtp::SimulatedSession ReadSession(const v1::SimulateSessionRequest& request, Violations* violations);

// What happens to `session` on `server`, a complete virtual server, whose block lists list `client`.
// INTERNAL: `server` cannot be served, which validation should have said.
absl::StatusOr<v1::SimulateSessionResponse> Simulated(const v1::VirtualServer& server,
                                                      const v1::SimulatedClient& client,
                                                      smtp::SimulatedSession session);

}  // namespace gatepost::config
