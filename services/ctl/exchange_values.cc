#include "services/ctl/exchange_values.h"

#include <algorithm>
#include <charconv>

#include "services/base/strings.h"
#include "services/ctl/yaml.h"

namespace gatepost::ctl {
namespace {

using base::AsciiLower;
using base::IpAddress;
using base::IpPrefix;
using base::IpRange;
using base::Trim;
using std::chrono::milliseconds;

std::optional<uint64_t> ToNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<IpAddress> ReadAddress(const YAML::Node& value) {
  if (value.IsScalar()) {
    if (const auto address = IpAddress::Parse(value.Scalar()); address.ok()) return *address;
    return std::nullopt;
  }
  const YAML::Node text = Member(value, "IPAddressToString");
  if (!IsNothing(text)) return ReadAddress(text);
  // .NET's IPAddress of IPv4: four octets in the order of the wire, the first one lowest.
  const YAML::Node member = Member(value, "Address");
  if (!member.IsScalar()) return std::nullopt;
  const std::optional<uint64_t> number = ToNumber(member.Scalar());
  if (!number) return ReadAddress(member);
  if (*number > 0xffffffff) return std::nullopt;
  const auto octets = static_cast<uint32_t>(*number);
  return IpAddress::V4(octets << 24 | (octets & 0xff00) << 8 | (octets >> 8 & 0xff00) | octets >> 24);
}

// "36 MB", "36MB", "512 B".
std::optional<uint64_t> ReadQuantity(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && base::IsDigit(text[digits])) ++digits;
  const std::optional<uint64_t> number = ToNumber(text.substr(0, digits));
  const std::string unit = AsciiLower(Trim(text.substr(digits)));
  if (!number) return std::nullopt;
  for (const auto& [name, shift] : {std::pair{"", 0}, std::pair{"b", 0}, std::pair{"kb", 10}, std::pair{"mb", 20},
                                    std::pair{"gb", 30}, std::pair{"tb", 40}}) {
    if (unit == name && *number <= UINT64_MAX >> shift) return *number << shift;
  }
  return std::nullopt;
}

// "36 MB (37,748,736 bytes)": the exact number is in the brackets.
std::optional<uint64_t> ReadOctetsText(std::string_view text) {
  const size_t open = text.find('(');
  if (open == std::string_view::npos) return ReadQuantity(Trim(text));
  std::string digits;
  for (const char c : text.substr(open + 1)) {
    if (base::IsDigit(c)) digits.push_back(c);
    if (c != ',' && c != '.' && !base::IsDigit(c)) break;
  }
  return ToNumber(digits);
}

using TextReader = std::optional<uint64_t> (*)(std::string_view);

std::optional<Amount> ReadAmount(const YAML::Node& value, TextReader read) {
  if (value.IsScalar()) {
    if (AsciiLower(value.Scalar()) == "unlimited") return Amount{.unlimited = true, .value = 0};
    const std::optional<uint64_t> number = read(Trim(value.Scalar()));
    return number ? std::optional<Amount>({.unlimited = false, .value = *number}) : std::nullopt;
  }
  if (ReadSwitch(Member(value, "IsUnlimited")).value_or(false)) return Amount{.unlimited = true, .value = 0};
  const YAML::Node inner = Member(value, "Value");
  return IsNothing(inner) ? std::nullopt : ReadAmount(inner, read);
}

// "5" or "05.25", in milliseconds.
std::optional<uint64_t> ReadSeconds(std::string_view text) {
  const size_t point = text.find('.');
  const std::optional<uint64_t> seconds = ToNumber(text.substr(0, point));
  if (!seconds || *seconds > 1'000'000'000) return std::nullopt;
  if (point == std::string_view::npos) return *seconds * 1000;
  std::string fraction(text.substr(point + 1, 3));
  fraction.resize(3, '0');
  const std::optional<uint64_t> thousandths = ToNumber(fraction);
  return thousandths ? std::optional<uint64_t>(*seconds * 1000 + *thousandths) : std::nullopt;
}

// "[days.]hours:minutes:seconds[.fraction]".
std::optional<milliseconds> ReadDurationText(std::string_view text) {
  const std::vector<std::string_view> parts = base::Split(text, ':');
  if (parts.size() != 3) return std::nullopt;
  const size_t point = parts[0].find('.');
  const std::optional<uint64_t> days = point == std::string_view::npos ? 0 : ToNumber(parts[0].substr(0, point));
  const std::optional<uint64_t> hours =
      ToNumber(point == std::string_view::npos ? parts[0] : parts[0].substr(point + 1));
  const std::optional<uint64_t> minutes = ToNumber(parts[1]);
  const std::optional<uint64_t> seconds = ReadSeconds(parts[2]);
  if (!days || !hours || !minutes || !seconds || *days > 100'000 || *hours > 23 || *minutes > 59) return std::nullopt;
  return milliseconds(((*days * 24 + *hours) * 60 + *minutes) * 60'000 + *seconds);
}

std::optional<uint32_t> FlagOf(std::string_view name, const FlagNames& names) {
  for (const auto& [known, flag] : names)
    if (AsciiLower(Trim(name)) == AsciiLower(known)) return flag;
  return std::nullopt;
}

std::optional<IpRange> ToRange(std::string_view text) {
  if (const auto range = IpRange::Parse(text); range.ok()) return *range;
  std::string subnet(text);
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
    const auto address = IpAddress::Parse(Trim(text.substr(0, slash)));
    const std::optional<uint64_t> length = ToNumber(Trim(text.substr(slash + 1)));
    if (address.ok() && length && *length <= static_cast<uint64_t>(address->bits()))
      subnet = IpPrefix{address->Masked(static_cast<int>(*length)), static_cast<int>(*length)}.ToString();
  }
  const auto prefix = IpPrefix::Parse(subnet);
  if (!prefix.ok()) return std::nullopt;
  std::array<uint8_t, 16> last = prefix->address.octets();
  const size_t offset = prefix->address.is_v4() ? 96 : 0;
  for (size_t bit = offset + static_cast<size_t>(prefix->length); bit < 128; ++bit)
    last[bit / 8] |= static_cast<uint8_t>(0x80 >> (bit % 8));
  if (prefix->address.is_v6()) return IpRange{prefix->address, IpAddress::V6(last)};
  uint32_t v4 = 0;
  for (size_t i = 12; i < 16; ++i) v4 = v4 << 8 | last[i];
  return IpRange{prefix->address, IpAddress::V4(v4)};
}

}  // namespace

YAML::Node Member(const YAML::Node& value, const char* name) {
  if (!value.IsMap()) return YAML::Node(YAML::NodeType::Null);
  const YAML::Node member = value[name];
  return member ? member : YAML::Node(YAML::NodeType::Null);
}

bool IsNothing(const YAML::Node& value) {
  if (!value.IsDefined() || value.IsNull()) return true;
  if (value.IsScalar()) return value.Scalar().empty();
  return value.size() == 0;
}

std::optional<bool> ReadSwitch(const YAML::Node& value) {
  if (!value.IsScalar()) return std::nullopt;
  const std::string text = AsciiLower(value.Scalar());
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

std::optional<std::string> ReadText(const YAML::Node& value) {
  if (value.IsScalar()) return value.Scalar();
  for (const char* name : {"Domain", "Name", "IPAddressToString", "Value"}) {
    const YAML::Node member = Member(value, name);
    if (member.IsScalar() && !member.Scalar().empty()) return member.Scalar();
  }
  return std::nullopt;
}

std::optional<Amount> ReadCount(const YAML::Node& value) { return ReadAmount(value, ToNumber); }

std::optional<Amount> ReadOctets(const YAML::Node& value) { return ReadAmount(value, ReadOctetsText); }

std::optional<milliseconds> ReadDuration(const YAML::Node& value) {
  if (value.IsScalar()) return ReadDurationText(value.Scalar());
  if (const YAML::Node ticks = Member(value, "Ticks"); ticks.IsScalar()) {
    // Of 100 ns.
    const std::optional<uint64_t> number = ToNumber(ticks.Scalar());
    if (!number || *number / 10'000 > 8'640'000'000'000) return std::nullopt;
    return milliseconds(*number / 10'000);
  }
  const YAML::Node seconds = Member(value, "TotalSeconds");
  const std::optional<uint64_t> number = seconds.IsScalar() ? ReadSeconds(seconds.Scalar()) : std::nullopt;
  return number ? std::optional<milliseconds>(*number) : std::nullopt;
}

std::optional<uint32_t> ReadFlags(const YAML::Node& value, const FlagNames& names) {
  if (value.IsMap()) {
    const YAML::Node inner = Member(value, "Value");
    return IsNothing(inner) ? std::nullopt : ReadFlags(inner, names);
  }
  uint32_t flags = 0;
  if (value.IsSequence()) {
    for (const YAML::Node& name : value) {
      const std::optional<uint32_t> flag = name.IsScalar() ? ReadFlags(name, names) : std::nullopt;
      if (!flag) return std::nullopt;
      flags |= *flag;
    }
    return flags;
  }
  if (!value.IsScalar()) return std::nullopt;
  if (const std::optional<uint64_t> number = ToNumber(value.Scalar()); number && *number <= UINT32_MAX)
    return static_cast<uint32_t>(*number);
  for (const std::string_view name : base::Split(value.Scalar(), ',')) {
    const std::optional<uint32_t> flag = FlagOf(name, names);
    if (!flag) return std::nullopt;
    flags |= *flag;
  }
  return flags;
}

std::optional<base::Endpoint> ReadBinding(const YAML::Node& value) {
  if (value.IsScalar()) {
    if (const auto endpoint = base::Endpoint::Parse(value.Scalar()); endpoint.ok()) return *endpoint;
    return std::nullopt;
  }
  const std::optional<IpAddress> address = ReadAddress(Member(value, "Address"));
  const YAML::Node port = Member(value, "Port");
  const std::optional<uint16_t> number = port.IsScalar() ? base::ParsePort(port.Scalar()) : std::nullopt;
  if (!address || !number) return std::nullopt;
  return base::Endpoint{*address, *number};
}

std::optional<IpRange> ReadRange(const YAML::Node& value) {
  if (value.IsScalar()) return ToRange(Trim(value.Scalar()));
  const std::optional<IpAddress> first = ReadAddress(Member(value, "LowerBound"));
  const std::optional<IpAddress> last = ReadAddress(Member(value, "UpperBound"));
  if (first && last && first->is_v4() == last->is_v4() && *first <= *last) return IpRange{*first, *last};
  const YAML::Node expression = Member(value, "Expression");
  return expression.IsScalar() ? ToRange(Trim(expression.Scalar())) : std::nullopt;
}

std::string Abridged(const YAML::Node& value) {
  constexpr size_t kMost = 80;
  std::string text = value.IsScalar() ? value.Scalar() : ToJson(value).value_or("...");
  if (text.size() <= kMost) return text;
  size_t end = kMost - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // no half character
  return text.substr(0, end) + "...";
}

}  // namespace gatepost::ctl
