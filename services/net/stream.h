// A byte stream to one peer: the seam between sessions and sockets. Implementations: TcpStream, tls::TlsStream, LoopbackStream.
//
// Thread rule: one io_context thread; at most one read and one write at a time. Operations are coroutines that end before the
// stream is destroyed: who owns the stream awaits them. A deadline does not race the operation: it ends it, with
// std::errc::timed_out. Deadlines cost nothing to move, so a session sets one before every command.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/error.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>

#include "services/base/clock.h"
#include "services/base/ip_address.h"

namespace gatepost::net {

using base::MonotonicTime;

// Errors that no errno has.
enum class StreamError {
  kTruncated = 1,     // TLS ended without close_notify: what came before may not be all of it
  kTls = 2,           // the peer broke TLS, or refused it by an alert
  kVerification = 3,  // the peer's certificate does not verify, or is another name's
};
const std::error_category& StreamCategory();
inline std::error_code make_error_code(StreamError error) { return {static_cast<int>(error), StreamCategory()}; }

struct IoResult {
  std::error_code ec;
  size_t n = 0;  // never 0 without an error
};

class Stream {
 public:
  virtual ~Stream() = default;

  // Some octets. The end is asio::error::eof: by FIN, or under TLS by close_notify alone.
  virtual asio::awaitable<IoResult> ReadSome(std::span<char> space) = 0;
  // Until ReadSome would not wait: no buffer is held while the peer thinks.
  virtual asio::awaitable<std::error_code> WaitReadable() = 0;
  // Whether ReadSome would not wait now: octets, the end, or an error are there. For who must not be answered too early.
  virtual bool ReadableNow() = 0;
  // All of the pieces, as few packets and TLS records as they fit into.
  virtual asio::awaitable<std::error_code> Write(std::span<const std::string_view> pieces) = 0;

  // Absolute; MonotonicTime::max(): none. They hold until they are set again.
  virtual void SetReadDeadline(MonotonicTime deadline) = 0;
  virtual void SetWriteDeadline(MonotonicTime deadline) = 0;

  // Ends a read or WaitReadable that waits now with operation_aborted; the stream stays usable.
  virtual void Interrupt() = 0;
  // At once; what waits ends with an error.
  virtual void Close() = 0;
  // `last`, close_notify and FIN, in one packet if they fit into one; reading goes on. Bounded by the write deadline.
  virtual asio::awaitable<std::error_code> ShutdownGracefully(std::string_view last) = 0;

  virtual base::Endpoint peer() const = 0;
  virtual base::Endpoint local() const = 0;
};

}  // namespace gatepost::net

template <>
struct std::is_error_code_enum<gatepost::net::StreamError> : std::true_type {};
