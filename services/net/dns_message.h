// DNS on the wire (RFC 1035), as far as a client of a resolver needs it: what an answer says to a question, and the
// names that questions are about. Pure. Answers are untrusted: bounded, and a name in one is a host name or is dropped.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/ip_address.h"

namespace gatepost::net {

enum class DnsType : uint16_t { kA = 1, kPtr = 12, kAaaa = 28 };

// Of an answer's records, what is looked at; there is `more` beyond it.
inline constexpr size_t kMostDnsRecords = 32;

// The records of the type asked for, at the end of the question's chain of CNAMEs. None of them: there is no such data.
struct DnsRecords {
  std::vector<base::IpAddress> addresses;  // A, AAAA
  // PTR: host names (letters, digits, hyphens) in lower case without final dot; others are left out.
  std::vector<std::string> names;
  bool more = false;
  // The least of all records that were used; 0 where none was.
  std::chrono::seconds ttl{0};

  bool empty() const { return addresses.empty() && names.empty(); }
};

// `message`: an answer to `name` and `type` whose code is 0. Nothing: malformed. A loop or a chain of more than eight
// CNAMEs leads to no record.
std::optional<DnsRecords> ParseDnsAnswer(std::string_view message, std::string_view name, DnsType type);

// Whether DNS can be asked for it as a host: labels of 1 to 63 letters, digits and inner hyphens,
// 253 octets, the last label not of digits alone (it would be read as an address).
bool IsHostName(std::string_view name);

// "1.2.0.192.in-addr.arpa", "1.0.(...).8.b.d.0.1.0.0.2.ip6.arpa".
std::string ReverseName(const base::IpAddress& address);
// Of a block list (RFC 5782 2.1, 2.4): "1.2.0.192.zone", or the 32 nibbles of an IPv6 address.
std::string BlockListName(const base::IpAddress& address, std::string_view zone);

}  // namespace gatepost::net
