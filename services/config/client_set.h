// Lists of clients (addresses, subnets, ranges) in canonical form, and what they add up to: whether a relay is open.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/config/violations.h"

namespace gatepost::config {

// An IPv4 or IPv6 address in its canonical form (RFC 5952; IPv4-mapped ones as IPv4). INVALID_ARGUMENT with the reason.
absl::StatusOr<std::string> CanonicalAddress(std::string_view text);

// Whether two listeners of the same pool cannot both be bound: the same port, and the same address or a wildcard of its
// family. Addresses are canonical.
bool Overlap(const v1::Listener& a, const v1::Listener& b);

// Brings entries into canonical form; a violation for each that is not one, not enforced, or there twice.
void NormalizeEntries(google::protobuf::RepeatedPtrField<v1::ClientEntry>* entries, const std::string& path,
                      Violations* violations);

// Whether anonymous clients from more of the Internet than one organisation has (limits.h) may connect and relay, other
// than from this machine itself. Entries that could not be parsed count as nothing.
bool IsOpenRelay(const v1::VirtualServer& server);

}  // namespace gatepost::config
