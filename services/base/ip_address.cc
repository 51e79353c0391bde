#include "services/base/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "services/base/check.h"
#include "services/base/strings.h"

namespace gatepost::base {
namespace {

absl::Status Invalid(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(ToAbsl(StrCat("\"", text.substr(0, 100), "\" ", why)));
}

std::optional<int> ParseSmall(std::string_view text, int most) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  int value = 0;
  for (char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value <= most ? std::optional<int>(value) : std::nullopt;
}

std::optional<uint32_t> ParseV4(std::string_view text) {
  uint32_t value = 0;
  int parts = 0;
  for (std::string_view part : Split(text, '.')) {
    const std::optional<int> octet = ParseSmall(part, 255);
    if (!octet || ++parts > 4) return std::nullopt;
    value = value << 8 | static_cast<uint32_t>(*octet);
  }
  return parts == 4 ? std::optional<uint32_t>(value) : std::nullopt;
}

}  // namespace

IpAddress IpAddress::V6(const std::array<uint8_t, 16>& octets) {
  static constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  IpAddress address;
  if (std::equal(kMapped.begin(), kMapped.end(), octets.begin())) {
    std::copy(octets.begin() + 12, octets.end(), address.octets_.begin() + 12);
    return address;
  }
  address.octets_ = octets;
  address.v4_ = false;
  return address;
}

absl::StatusOr<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.find(':') == std::string_view::npos) {
    const std::optional<uint32_t> v4 = ParseV4(text);
    if (!v4) return Invalid(text, "is not an IP address");
    return V4(*v4);
  }
  if (text.find('%') != std::string_view::npos) return Invalid(text, "has a scope; scoped addresses are not supported");
  // inet_pton accepts exactly RFC 4291 2.2; it stops at NUL, which no address holds.
  if (text.size() > 45 || text.find('\0') != std::string_view::npos) return Invalid(text, "is not an IP address");
  std::array<uint8_t, 16> octets{};
  if (inet_pton(AF_INET6, std::string(text).c_str(), octets.data()) != 1) return Invalid(text, "is not an IP address");
  return V6(octets);
}

bool IpAddress::IsLoopback() const {
  if (v4_) return octets_[12] == 127;
  return std::all_of(octets_.begin(), octets_.end() - 1, [](uint8_t o) { return o == 0; }) && octets_[15] == 1;
}

bool IpAddress::IsUnspecified() const {
  return std::all_of(octets_.begin(), octets_.end(), [](uint8_t o) { return o == 0; });
}

uint32_t IpAddress::v4() const {
  GATEPOST_CHECK(v4_);
  uint32_t value = 0;
  for (size_t i = 12; i < 16; ++i) value = value << 8 | octets_[i];
  return value;
}

IpAddress IpAddress::Masked(int length) const {
  GATEPOST_CHECK(length >= 0 && length <= bits());
  IpAddress masked = *this;
  const int offset = v4_ ? 96 : 0;
  for (int bit = length; bit < bits(); ++bit) {
    const int position = offset + bit;
    masked.octets_[static_cast<size_t>(position / 8)] &= static_cast<uint8_t>(~(0x80 >> (position % 8)));
  }
  return masked;
}

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN];
  if (v4_) return inet_ntop(AF_INET, octets_.data() + 12, text, sizeof text);
  return inet_ntop(AF_INET6, octets_.data(), text, sizeof text);
}

absl::StatusOr<IpPrefix> IpPrefix::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  absl::StatusOr<IpAddress> address = IpAddress::Parse(text.substr(0, slash));
  if (!address.ok()) return address.status();
  IpPrefix prefix{*address, address->bits()};
  if (slash != std::string_view::npos) {
    const std::string_view mask = text.substr(slash + 1);
    // The length behind ::ffff:a.b.c.d counts all 128 bits: /104 is IPv4's /8, and what is shorter than /96 is no IPv4
    // subnet.
    const bool mapped = address->is_v4() && text.substr(0, slash).find(':') != std::string_view::npos;
    const int skipped = mapped ? 96 : 0;
    if (const std::optional<int> length = ParseSmall(mask, skipped + address->bits()); length && *length >= skipped) {
      prefix.length = *length - skipped;
    } else if (const std::optional<uint32_t> bits = address->is_v4() && !mapped ? ParseV4(mask) : std::nullopt) {
      if ((~*bits & (~*bits + 1)) != 0) return Invalid(mask, "is not a mask: its ones must come before its zeros");
      prefix.length = __builtin_popcount(*bits);
    } else {
      return Invalid(text, "has neither a prefix length nor a mask behind the slash");
    }
  }
  if (prefix.address.Masked(prefix.length) != prefix.address) {
    return Invalid(text, StrCat("has bits beyond its mask; the subnet is ",
                                IpPrefix{prefix.address.Masked(prefix.length), prefix.length}.ToString()));
  }
  return prefix;
}

bool IpPrefix::Contains(const IpAddress& other) const {
  return other.is_v4() == address.is_v4() && other.Masked(length) == address;
}

std::string IpPrefix::ToString() const { return StrCat(address.ToString(), "/", length); }

absl::StatusOr<IpRange> IpRange::Parse(std::string_view text) {
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return Invalid(text, "is not a range (first-last)");
  absl::StatusOr<IpAddress> first = IpAddress::Parse(Trim(text.substr(0, dash)));
  if (!first.ok()) return first.status();
  absl::StatusOr<IpAddress> last = IpAddress::Parse(Trim(text.substr(dash + 1)));
  if (!last.ok()) return last.status();
  if (first->is_v4() != last->is_v4()) return Invalid(text, "mixes IPv4 and IPv6");
  if (*last < *first) return Invalid(text, "ends before it begins");
  return IpRange{*first, *last};
}

bool IpRange::Contains(const IpAddress& other) const {
  return other.is_v4() == first.is_v4() && first <= other && other <= last;
}

std::string IpRange::ToString() const { return StrCat(first.ToString(), "-", last.ToString()); }

absl::StatusOr<Endpoint> Endpoint::Parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Invalid(text, "is not ADDRESS:PORT");
  std::string_view host = text.substr(0, colon);
  const std::optional<uint16_t> port = ParsePort(text.substr(colon + 1));
  if (!port) return Invalid(text, "has no port from 0 to 65535");
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  absl::StatusOr<IpAddress> address = IpAddress::Parse(host);
  if (!address.ok()) return address.status();
  if (bracketed != (host.find(':') != std::string_view::npos))
    return Invalid(text, "needs brackets around an IPv6 address, and around no other");
  return Endpoint{*address, *port};
}

std::string Endpoint::ToString() const {
  if (address.is_v4()) return StrCat(address.ToString(), ":", port);
  return StrCat("[", address.ToString(), "]:", port);
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  const std::optional<int> port = ParseSmall(text, 65535);
  return port ? std::optional<uint16_t>(static_cast<uint16_t>(*port)) : std::nullopt;
}

}  // namespace gatepost::base
