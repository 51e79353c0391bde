#include "services/net/proxy_header.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <tuple>
#include <vector>

#include "services/base/strings.h"

namespace gatepost::net {
namespace {

using State = ProxyHeader::State;

constexpr std::string_view kV1Start = "PROXY ";
constexpr std::string_view kV2Signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kV2Fixed = 16;  // signature, version and command, family and transport, length

constexpr uint8_t kLocal = 0x20;
constexpr uint8_t kProxy = 0x21;
constexpr uint8_t kUnspecified = 0x00;
constexpr uint8_t kTcp4 = 0x11;
constexpr uint8_t kTcp6 = 0x21;
constexpr uint8_t kChecksumType = 0x03;
constexpr size_t kChecksumOctets = 4;

ProxyHeader NeedMore() { return {}; }
ProxyHeader Malformed() { return {.state = State::kMalformed, .octets = 0, .connection = std::nullopt}; }
ProxyHeader Complete(size_t octets, std::optional<ProxiedConnection> connection) {
  return {.state = State::kComplete, .octets = octets, .connection = connection};
}

uint8_t OctetAt(std::string_view octets, size_t at) { return static_cast<uint8_t>(octets[at]); }
uint16_t Read16(std::string_view octets, size_t at) {
  return static_cast<uint16_t>(OctetAt(octets, at) << 8 | OctetAt(octets, at + 1));
}
uint32_t Read32(std::string_view octets, size_t at) {
  return static_cast<uint32_t>(Read16(octets, at)) << 16 | Read16(octets, at + 2);
}

// Castagnoli's polynomial, reflected; a header is too short for a table to pay.
uint32_t Crc32c(std::string_view before, std::string_view zeroed, std::string_view after) {
  uint32_t crc = ~0u;
  const auto add = [&crc](uint8_t octet) {
    crc ^= octet;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
  };
  for (const char c : before) add(static_cast<uint8_t>(c));
  for (size_t i = 0; i < zeroed.size(); ++i) add(0);
  for (const char c : after) add(static_cast<uint8_t>(c));
  return ~crc;
}

// "TCP4" and "TCP6": two addresses and two ports, one space between.
std::optional<ProxiedConnection> ParseV1Addresses(const std::vector<std::string_view>& words) {
  if (words.size() != 5) return std::nullopt;
  const bool v6 = words[0] == "TCP6";
  if (!v6 && words[0] != "TCP4") return std::nullopt;
  ProxiedConnection connection;
  for (const auto& [address, port, endpoint] :
       {std::tuple(words[1], words[3], &connection.source), std::tuple(words[2], words[4], &connection.destination)}) {
    // Decided by the text: an IPv4-mapped address is written as IPv6 and is IPv4.
    if ((address.find(':') != std::string_view::npos) != v6) return std::nullopt;
    const absl::StatusOr<base::IpAddress> parsed_address = base::IpAddress::Parse(address);
    const std::optional<uint16_t> parsed_port = base::ParsePort(port);
    if (!parsed_address.ok() || !parsed_port) return std::nullopt;
    *endpoint = {*parsed_address, *parsed_port};
  }
  return connection;
}

ProxyHeader ParseV1(std::string_view octets) {
  const std::string_view window = octets.substr(0, kMostProxyV1Octets);
  const auto not_text = [](char c) { return c < 0x20 || c > 0x7e; };
  const auto end = static_cast<size_t>(std::find_if(window.begin(), window.end(), not_text) - window.begin());
  if (end == window.size()) return window.size() == kMostProxyV1Octets ? Malformed() : NeedMore();
  if (window[end] != '\r') return Malformed();
  if (end + 1 == window.size()) return window.size() == kMostProxyV1Octets ? Malformed() : NeedMore();
  if (window[end + 1] != '\n') return Malformed();
  const std::vector<std::string_view> words = base::Split(window.substr(kV1Start.size(), end - kV1Start.size()), ' ');
  // What follows UNKNOWN is to be ignored.
  if (words[0] == "UNKNOWN") return Complete(end + 2, std::nullopt);
  const std::optional<ProxiedConnection> connection = ParseV1Addresses(words);
  return connection ? Complete(end + 2, connection) : Malformed();
}

// Type, length, value until the end of the header, which is all of `header`.
bool AdditionsAreSound(std::string_view header, size_t at) {
  bool checksum_seen = false;
  while (at < header.size()) {
    if (header.size() - at < 3) return false;
    const uint8_t type = OctetAt(header, at);
    const size_t length = Read16(header, at + 1);
    at += 3;
    if (header.size() - at < length) return false;
    if (type == kChecksumType) {
      if (checksum_seen || length != kChecksumOctets) return false;
      checksum_seen = true;
      const std::string_view value = header.substr(at, length);
      if (Read32(value, 0) != Crc32c(header.substr(0, at), value, header.substr(at + length))) return false;
    }
    at += length;
  }
  return true;
}

base::IpAddress ReadAddress(std::string_view octets, size_t at, bool v6) {
  if (!v6) return base::IpAddress::V4(Read32(octets, at));
  std::array<uint8_t, 16> address;
  std::copy_n(octets.begin() + static_cast<std::ptrdiff_t>(at), address.size(), address.begin());
  return base::IpAddress::V6(address);
}

ProxyHeader ParseV2(std::string_view octets) {
  if (octets.size() > 12 && OctetAt(octets, 12) != kLocal && OctetAt(octets, 12) != kProxy) return Malformed();
  if (octets.size() < kV2Fixed) return NeedMore();
  const bool local = OctetAt(octets, 12) == kLocal;
  const uint8_t family = OctetAt(octets, 13);
  const size_t size = kV2Fixed + Read16(octets, 14);
  const bool v6 = family == kTcp6;
  const size_t address_octets = v6 ? 16 : 4;
  const size_t addresses_end = kV2Fixed + 2 * address_octets + 4;
  const bool ignored = local || family == kUnspecified;
  if (size > kMostProxyOctets) return Malformed();
  if (!ignored && ((family != kTcp4 && family != kTcp6) || size < addresses_end)) return Malformed();
  if (octets.size() < size) return NeedMore();
  if (ignored) return Complete(size, std::nullopt);
  if (!AdditionsAreSound(octets.substr(0, size), addresses_end)) return Malformed();
  const size_t ports = kV2Fixed + 2 * address_octets;
  return Complete(size, ProxiedConnection{.source = {ReadAddress(octets, kV2Fixed, v6), Read16(octets, ports)},
                                          .destination = {ReadAddress(octets, kV2Fixed + address_octets, v6),
                                                          Read16(octets, ports + 2)}});
}

bool BeginsWith(std::string_view octets, std::string_view start) {
  return octets.substr(0, start.size()) == start.substr(0, octets.size());
}

void Append16(std::string* out, size_t value) {
  out->push_back(static_cast<char>(value >> 8));
  out->push_back(static_cast<char>(value));
}

void AppendAddress(std::string* out, const base::IpAddress& address, bool v6) {
  std::array<uint8_t, 16> octets = address.octets();
  if (address.is_v4()) octets[10] = octets[11] = 0xff;
  out->append(octets.begin() + (v6 ? 0 : 12), octets.end());
}

}  // namespace

ProxyHeader ParseProxyHeader(std::string_view octets) {
  if (BeginsWith(octets, kV1Start)) return octets.size() < kV1Start.size() ? NeedMore() : ParseV1(octets);
  if (BeginsWith(octets, kV2Signature)) return octets.size() < kV2Signature.size() ? NeedMore() : ParseV2(octets);
  return Malformed();
}

std::string WriteProxyHeader(const ProxiedConnection& connection) {
  const bool v6 = connection.source.address.is_v6() || connection.destination.address.is_v6();
  std::string header(kV2Signature);
  header.push_back(static_cast<char>(kProxy));
  header.push_back(static_cast<char>(v6 ? kTcp6 : kTcp4));
  Append16(&header, v6 ? 36 : 12);
  AppendAddress(&header, connection.source.address, v6);
  AppendAddress(&header, connection.destination.address, v6);
  Append16(&header, connection.source.port);
  Append16(&header, connection.destination.port);
  return header;
}

std::string WriteLocalProxyHeader() {
  std::string header(kV2Signature);
  header.push_back(static_cast<char>(kLocal));
  header.push_back(static_cast<char>(kUnspecified));
  Append16(&header, 0);
  return header;
}

}  // namespace gatepost::net
