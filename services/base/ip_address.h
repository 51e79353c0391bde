// IP addresses, prefixes, ranges, endpoints as values: parsed strictly, written canonically (RFC 5952), compared. No sockets.
// ::ffff:a.b.c.d is a.b.c.d everywhere; scoped addresses (fe80::1%eth0) are refused.
#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatepost::base {

class IpAddress {
 public:
  // 0.0.0.0
  constexpr IpAddress() = default;
  static constexpr IpAddress V4(uint32_t host_order) {
    IpAddress address;
    for (size_t i = 0; i < 4; ++i) address.octets_[12 + i] = static_cast<uint8_t>(host_order >> (24 - 8 * i));
    return address;
  }
  // Network order; an IPv4-mapped one becomes IPv4.
  static IpAddress V6(const std::array<uint8_t, 16>& octets);
  // Dotted decimal with four parts and no leading zeros, or RFC 4291 2.2. INVALID_ARGUMENT says what is wrong.
  static absl::StatusOr<IpAddress> Parse(std::string_view text);

  constexpr bool is_v4() const { return v4_; }
  constexpr bool is_v6() const { return !v4_; }
  bool IsLoopback() const;
  // 0.0.0.0 or ::, the wildcard.
  bool IsUnspecified() const;
  // IPv4: host order.
  uint32_t v4() const;
  // All 128 bits, network order; for IPv4 the last four.
  constexpr const std::array<uint8_t, 16>& octets() const { return octets_; }
  // 32 or 128.
  constexpr int bits() const { return v4_ ? 32 : 128; }
  // The first `length` bits, the rest zero.
  IpAddress Masked(int length) const;

  std::string ToString() const;

  // IPv4 before IPv6, then by value.
  friend constexpr std::strong_ordering operator<=>(const IpAddress& a, const IpAddress& b) {
    if (a.v4_ != b.v4_) return a.v4_ ? std::strong_ordering::less : std::strong_ordering::greater;
    return a.octets_ <=> b.octets_;
  }
  friend constexpr bool operator==(const IpAddress& a, const IpAddress& b) = default;

 private:
  std::array<uint8_t, 16> octets_{};
  bool v4_ = true;
};

// A subnet.
struct IpPrefix {
  IpAddress address;  // the bits beyond `length` are zero
  int length = 0;

  // "10.0.0.0/8", "10.0.0.0/255.0.0.0", "2001:db8::/32"; an address alone is a prefix of all its bits. INVALID_ARGUMENT for
  // bits beyond the mask, or a mask that is no mask.
  static absl::StatusOr<IpPrefix> Parse(std::string_view text);
  bool Contains(const IpAddress& other) const;
  std::string ToString() const;
  friend constexpr auto operator<=>(const IpPrefix&, const IpPrefix&) = default;
};

// Both ends included.
struct IpRange {
  IpAddress first;
  IpAddress last;

  // "192.0.2.10-192.0.2.20": one family, first not above last.
  static absl::StatusOr<IpRange> Parse(std::string_view text);
  bool Contains(const IpAddress& other) const;
  std::string ToString() const;
};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;

  // "192.0.2.1:25", "[2001:db8::1]:25".
  static absl::StatusOr<Endpoint> Parse(std::string_view text);
  std::string ToString() const;
  friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// 0 to 65535 in decimal without sign or leading zeros.
std::optional<uint16_t> ParsePort(std::string_view text);

}  // namespace gatepost::base
