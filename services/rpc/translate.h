// From the API's VirtualServer to policy's: the one place where the proto and the domain form meet, for the edge that
// serves it and for the config service that simulates it.
//
// Fail closed: an absent field is its default; a value that this release does not know (a later version's enum), and a
// feature that it does not enforce, is an error, never ignored. The whole unit is then refused (NACK) and the edge goes
// on with what it has. Pure.
#pragma once

#include "absl/status/statusor.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/policy/virtual_server.h"

namespace gatepost::rpc {

// INVALID_ARGUMENT: names the virtual server and the field, `virtualServers/a: relay.mode: ...`.
absl::StatusOr<policy::VirtualServer> Translate(const config::v1::VirtualServer& virtual_server);

// `a` of `virtualServers/a`.
std::string_view IdOf(std::string_view name);

}  // namespace gatepost::rpc
