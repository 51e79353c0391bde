// Lists of clients (addresses, subnets, ranges) in canonical form, and what they add up to: whether a relay is open.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/base/ip_address.h"
#include "services/config/host_lookup.h"
#include "services/config/violations.h"

namespace gatepost::config {

// An IPv4 or IPv6 address in its canonical form (RFC 5952; IPv4-mapped ones as IPv4). INVALID_ARGUMENT with the reason.
absl::StatusOr<std::string> CanonicalAddress(std::string_view text);

// Whether two listeners of the same pool cannot both be bound: the same port, and the same address or a wildcard of its
// family. Addresses are canonical.
bool Overlap(const v1::Listener& a, const v1::Listener& b);

// The host names that stand in the place of an address, canonical, each once, kMaxHostNames at most: what is to be
// looked up before the server can be judged.
std::vector<std::string> HostNamesToLookUp(const v1::VirtualServer& server);

// Brings entries into canonical form, and puts in the place of a host name the addresses that `hosts` has of it, those
// that are not in the list already. A violation for each that is no entry, is there twice however it is written, or was
// not looked up; fields are those of the list as it was given.
void NormalizeEntries(const HostAnswers& hosts, const std::string& path,
                      google::protobuf::RepeatedPtrField<v1::ClientEntry>* entries, Violations* violations);

// Whether it is nobody's part of the Internet: private, link-local, this machine.
bool IsPrivate(const base::IpAddress& address);

// Whether anonymous clients from more of the Internet than one organisation has (limits.h) may connect and relay, other
// than from this machine itself. Entries that could not be parsed count as nothing.
bool IsOpenRelay(const v1::VirtualServer& server);

}  // namespace gatepost::config
