// Reads a PROXY header off a connection, and not an octet beyond it: what follows is the session's, or the TLS
// handshake's.
#pragma once

#include <asio/awaitable.hpp>
#include <system_error>

#include "services/base/clock.h"
#include "services/net/proxy_header.h"
#include "services/net/tcp_stream.h"

namespace gatepost::net {

struct ProxyReadResult {
  // std::errc::bad_message: what came is no PROXY header; std::errc::timed_out; asio::error::eof; the kernel's error.
  std::error_code ec;
  ProxyHeader header;  // complete, when there is no error
};

// By `deadline` as a whole. The stream's read deadline is none afterwards.
asio::awaitable<ProxyReadResult> ReadProxyHeader(TcpStream& stream, base::MonotonicTime deadline);

}  // namespace gatepost::net
