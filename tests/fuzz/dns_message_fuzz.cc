// Answers of DNS, from any octets: bounded, and every name in them is a host name. The first octet chooses the type
// asked for.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "services/base/check.h"
#include "services/net/dns_message.h"

using gatepost::net::DnsRecords;
using gatepost::net::DnsType;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr DnsType kTypes[] = {DnsType::kA, DnsType::kPtr, DnsType::kAaaa};
  const DnsType type = kTypes[data[0] % 3];
  const std::string_view message(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::optional<DnsRecords> records = gatepost::net::ParseDnsAnswer(message, "a.example", type);
  if (!records) return 0;
  GATEPOST_CHECK(records->names.size() + records->addresses.size() <= gatepost::net::kMostDnsRecords);
  GATEPOST_CHECK(type == DnsType::kPtr ? records->addresses.empty() : records->names.empty());
  for (const std::string& name : records->names) {
    GATEPOST_CHECK(gatepost::net::IsHostName(name));
    for (const char c : name) GATEPOST_CHECK(c > 0x20 && c < 0x7f && (c < 'A' || c > 'Z'));
  }
  return 0;
}
