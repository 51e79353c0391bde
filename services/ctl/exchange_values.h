// Values in the JSON that PowerShell makes of an Exchange object (ConvertTo-Json): the same value comes as text, as a
// number or as an object, depending on the version and on whether the shell was a remote one. Nothing: it cannot be
// read. No state; callable from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/base/ip_address.h"
#include "yaml-cpp/yaml.h"

namespace gatepost::ctl {

// Of an object; null where there is none.
YAML::Node Member(const YAML::Node& value, const char* name);

// null, "", [] or {}.
bool IsNothing(const YAML::Node& value);

// true, false, in text too.
std::optional<bool> ReadSwitch(const YAML::Node& value);

// Text, or an object around it: {Domain: ...}, {Name: ...}, {IPAddressToString: ...}.
std::optional<std::string> ReadText(const YAML::Node& value);

struct Amount {
  bool unlimited = false;
  uint64_t value = 0;
};
// 20, "20", "Unlimited", {IsUnlimited: ..., Value: 20}.
std::optional<Amount> ReadCount(const YAML::Node& value);
// The same, and "36 MB (37,748,736 bytes)", "36MB".
std::optional<Amount> ReadOctets(const YAML::Node& value);

// "00:00:05", "1.02:03:04.5", {Ticks: 50000000}, {TotalSeconds: 5}. Not negative.
std::optional<std::chrono::milliseconds> ReadDuration(const YAML::Node& value);

// A set of flags, or an enum of one: its number, its names in any case with commas between, an array of names. A number
// may have bits without a name.
using FlagNames = std::vector<std::pair<std::string_view, uint32_t>>;
std::optional<uint32_t> ReadFlags(const YAML::Node& value, const FlagNames& names);

// "0.0.0.0:25", "[::]:587", {Address: ..., Port: 25}.
std::optional<base::Endpoint> ReadBinding(const YAML::Node& value);

// "10.0.0.0/8", "10.0.0.1", "0.0.0.0-255.255.255.255", {LowerBound: ..., UpperBound: ...}, {Expression: ...}. A subnet
// is widened to its mask's border.
std::optional<base::IpRange> ReadRange(const YAML::Node& value);

// For people: at most 80 octets of it.
std::string Abridged(const YAML::Node& value);

}  // namespace gatepost::ctl
