// PROXY headers of both versions, from any octets: decided within the limit, the same however it is cut, and what is
// understood is written and read again as the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/base/check.h"
#include "services/net/proxy_header.h"

using gatepost::net::ParseProxyHeader;
using gatepost::net::ProxyHeader;
using State = gatepost::net::ProxyHeader::State;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view octets(reinterpret_cast<const char*>(data), size);
  const ProxyHeader whole = ParseProxyHeader(octets);
  GATEPOST_CHECK(whole.state != State::kNeedMore || size < gatepost::net::kMostProxyOctets);
  GATEPOST_CHECK(whole.state != State::kComplete ||
                 (whole.octets <= size && whole.octets <= gatepost::net::kMostProxyOctets));
  State last = State::kNeedMore;
  for (size_t n = 0; n <= size && n <= gatepost::net::kMostProxyOctets; ++n) {
    const ProxyHeader part = ParseProxyHeader(octets.substr(0, n));
    // Once decided, decided; and complete exactly at the header's last octet.
    GATEPOST_CHECK(last == State::kNeedMore || part.state == last);
    if (part.state == State::kComplete)
      GATEPOST_CHECK(n >= part.octets && (last == State::kComplete || n == part.octets));
    last = part.state;
  }
  GATEPOST_CHECK(last == whole.state);
  if (whole.connection) {
    const std::string written = gatepost::net::WriteProxyHeader(*whole.connection);
    const ProxyHeader again = ParseProxyHeader(written);
    GATEPOST_CHECK(again.state == State::kComplete && again.octets == written.size() &&
                   again.connection == whole.connection);
  }
  return 0;
}
