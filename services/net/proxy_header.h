// The PROXY protocol's header, versions 1 and 2 (HAProxy, proxy-protocol.txt): read from who connects to us, written to
// a next hop. Pure: octets in, a value out. Strict: what the specification does not allow is malformed, and so is what
// a TCP proxy has no use for (UDP, AF_UNIX). Whether the sender may speak for others is not decided here.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "services/base/ip_address.h"

namespace gatepost::net {

// Version 1, with CR LF: the specification's longest line.
inline constexpr size_t kMostProxyV1Octets = 107;
// Any version (limits.md, "PROXY header").
inline constexpr size_t kMostProxyOctets = 536;

// The connection that the proxy took, from its client's point of view.
struct ProxiedConnection {
  base::Endpoint source;
  base::Endpoint destination;
  friend bool operator==(const ProxiedConnection&, const ProxiedConnection&) = default;
};

struct ProxyHeader {
  enum class State {
    kNeedMore,   // all of the octets belong to a header that is not complete
    kComplete,   // the first `octets` are the header, what follows is the client's
    kMalformed,  // whatever follows
  };
  State state = State::kNeedMore;
  size_t octets = 0;
  // Nothing: the proxy speaks for itself (LOCAL, UNKNOWN, unspecified): the client is the socket's peer.
  std::optional<ProxiedConnection> connection;
};

// `octets`: what has been received so far, from the first octet on. Never kNeedMore at kMostProxyOctets or beyond. An
// IPv4-mapped IPv6 address is the IPv4 address. A checksum (CRC32c), where there is one, is verified; other additions
// are skipped.
ProxyHeader ParseProxyHeader(std::string_view octets);

// Version 2. IPv4 beside IPv6 is written as IPv4-mapped.
std::string WriteProxyHeader(const ProxiedConnection& connection);
// Version 2, LOCAL: a connection of our own (a probe).
std::string WriteLocalProxyHeader();

}  // namespace gatepost::net
