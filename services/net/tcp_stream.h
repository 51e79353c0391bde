// A Stream over a TCP socket. System calls first, waiting only when they would block: a busy session costs no event loop.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <memory>

#include "services/net/stream.h"

namespace gatepost::net {

class TcpStream final : public Stream {
 public:
  // A connected socket with TCP_NODELAY, as Listener and Connect() give it; `peer`: its other end.
  TcpStream(asio::ip::tcp::socket socket, const base::Endpoint& peer);
  ~TcpStream() override;

  asio::awaitable<IoResult> ReadSome(std::span<char> space) override;
  asio::awaitable<std::error_code> WaitReadable() override;
  bool ReadableNow() override;
  asio::awaitable<std::error_code> Write(std::span<const std::string_view> pieces) override;
  void SetReadDeadline(MonotonicTime deadline) override;
  void SetWriteDeadline(MonotonicTime deadline) override;
  void Interrupt() override;
  void Close() override;
  asio::awaitable<std::error_code> ShutdownGracefully(std::string_view last) override;
  base::Endpoint peer() const override { return peer_; }
  // A system call; 0.0.0.0:0 when the connection is gone.
  base::Endpoint local() const override;

  // For TlsStream, which reads and writes the descriptor itself: waits by the deadline of the direction named.
  asio::awaitable<std::error_code> WaitToRead(bool read_deadline);
  asio::awaitable<std::error_code> WaitToWrite(bool read_deadline);
  int descriptor() { return socket_.native_handle(); }
  bool is_open() const { return socket_.is_open(); }

 private:
  struct Watch;  // shared with the timer's handler, which may run after the stream is gone

  asio::awaitable<std::error_code> Wait(asio::ip::tcp::socket::wait_type what, bool read_deadline);
  // `flags`: of send(2).
  asio::awaitable<std::error_code> Send(std::span<const std::string_view> pieces, int flags);

  asio::ip::tcp::socket socket_;
  std::shared_ptr<Watch> watch_;
  bool spoke_ = false;  // Write() came last: nothing is known to be there to read
  const base::Endpoint peer_;
};

base::Endpoint ToEndpoint(const asio::ip::tcp::endpoint& endpoint);
asio::ip::tcp::endpoint ToAsio(const base::Endpoint& endpoint);

}  // namespace gatepost::net
