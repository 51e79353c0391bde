// Connecting to a next hop, one address at a time, by a deadline.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <memory>
#include <system_error>

#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/net/stream.h"
#include "services/net/tcp_stream.h"

namespace gatepost::net {

struct ConnectResult {
  std::error_code ec;
  std::unique_ptr<TcpStream> stream;  // when there is no error
};

// std::errc::timed_out past the deadline; the kernel's error else.
asio::awaitable<ConnectResult> Connect(base::Endpoint endpoint, base::MonotonicTime deadline);

}  // namespace gatepost::net
