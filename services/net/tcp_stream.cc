#include "services/net/tcp_stream.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace gatepost::net {
namespace {

constexpr size_t kPiecesAtOnce = 16;

asio::awaitable<std::error_code> Ready() { co_return std::error_code(); }

}  // namespace

// The deadlines and the one timer that stands for both. The timer is armed only while an operation waits, and left alone when
// a deadline moves later: when it fires too early it is armed anew.
struct TcpStream::Watch : std::enable_shared_from_this<TcpStream::Watch> {
  explicit Watch(const asio::any_io_executor& executor) : timer(executor) {}

  void Begin(TcpStream* owner, bool read) {
    stream = owner;
    (read ? reading : writing) = true;
    Arm();
  }
  void End(bool read) { (read ? reading : writing) = false; }

  MonotonicTime Next() const {
    MonotonicTime next = MonotonicTime::max();
    if (reading) next = std::min(next, read_deadline);
    if (writing) next = std::min(next, write_deadline);
    return next;
  }

  void Arm() {
    const MonotonicTime next = Next();
    if (next == MonotonicTime::max() || (armed && armed_for <= next)) return;
    armed = true;
    armed_for = next;
    timer.expires_at(next);
    timer.async_wait([self = shared_from_this(), next](const std::error_code& error) { self->Fired(error, next); });
  }

  void Fired(const std::error_code& error, MonotonicTime which) {
    // Another wait has taken this one's place, or the stream is gone.
    if (error || stream == nullptr || !armed || which != armed_for) return;
    armed = false;
    if (Next() <= std::chrono::steady_clock::now()) {
      std::error_code ignored;
      stream->socket_.cancel(ignored);  // who waits looks at its deadline
    } else {
      Arm();
    }
  }

  asio::steady_timer timer;
  TcpStream* stream = nullptr;
  MonotonicTime read_deadline = MonotonicTime::max();
  MonotonicTime write_deadline = MonotonicTime::max();
  bool reading = false;
  bool writing = false;
  bool interrupted = false;
  bool armed = false;
  MonotonicTime armed_for{};
};

TcpStream::TcpStream(asio::ip::tcp::socket socket, const base::Endpoint& peer)
    : socket_(std::move(socket)), watch_(std::make_shared<Watch>(socket_.get_executor())), peer_(peer) {}

TcpStream::~TcpStream() {
  watch_->stream = nullptr;
  watch_->timer.cancel();
}

asio::awaitable<std::error_code> TcpStream::Wait(asio::ip::tcp::socket::wait_type what, bool read) {
  for (;;) {
    if (!socket_.is_open()) co_return asio::error::bad_descriptor;
    const MonotonicTime deadline = read ? watch_->read_deadline : watch_->write_deadline;
    if (deadline <= std::chrono::steady_clock::now()) co_return std::make_error_code(std::errc::timed_out);
    watch_->Begin(this, read);
    std::error_code error;
    co_await socket_.async_wait(what, asio::redirect_error(asio::use_awaitable, error));
    watch_->End(read);
    // An interrupt that came too late is over with the wait that it was for: it must not end another one.
    const bool interrupted = read && std::exchange(watch_->interrupted, false);
    if (!error && read) spoke_ = false;
    if (!error) co_return error;
    if (error != asio::error::operation_aborted || !socket_.is_open() || interrupted) co_return error;
    // Cancelled by a deadline: by ours, or by the other direction's, which is none of our business.
  }
}

asio::awaitable<std::error_code> TcpStream::WaitToRead(bool read_deadline) {
  return Wait(asio::ip::tcp::socket::wait_read, read_deadline);
}

asio::awaitable<std::error_code> TcpStream::WaitToWrite(bool read_deadline) {
  return Wait(asio::ip::tcp::socket::wait_write, read_deadline);
}

bool TcpStream::ReadableNow() {
  char octet;
  const ssize_t n = ::recv(socket_.native_handle(), &octet, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool readable = n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  if (readable) spoke_ = false;
  return readable;
}

asio::awaitable<std::error_code> TcpStream::WaitReadable() {
  // Not a coroutine itself: a session that waits would hold its frame.
  return ReadableNow() ? Ready() : WaitToRead(true);  // ReadSome says what it is
}

asio::awaitable<IoResult> TcpStream::ReadSome(std::span<char> space) {
  // Unlike a wait, a receive that waits needs not be told to the kernel each time (epoll_ctl). But it looks first, too: who
  // has just spoken, and has no answer yet, leaves it at that.
  bool look = !std::exchange(spoke_, false);
  for (;;) {
    if (!socket_.is_open()) co_return IoResult{asio::error::bad_descriptor, 0};
    const bool too_late = watch_->read_deadline <= std::chrono::steady_clock::now();
    if (look || too_late) {
      const ssize_t n = ::recv(socket_.native_handle(), space.data(), space.size(), MSG_DONTWAIT);
      if (n > 0) co_return IoResult{{}, static_cast<size_t>(n)};
      if (n == 0) co_return IoResult{asio::error::eof, 0};
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) co_return IoResult{{errno, std::system_category()}, 0};
      if (too_late) co_return IoResult{std::make_error_code(std::errc::timed_out), 0};
    }
    watch_->Begin(this, true);
    std::error_code error;
    const size_t n = co_await socket_.async_receive(asio::buffer(space.data(), space.size()),
                                                    asio::redirect_error(asio::use_awaitable, error));
    watch_->End(true);
    const bool interrupted = std::exchange(watch_->interrupted, false);
    if (!error) co_return IoResult{{}, n};
    if (error != asio::error::operation_aborted || !socket_.is_open() || interrupted) co_return IoResult{error, 0};
    look = false;  // As in Wait().
  }
}

asio::awaitable<std::error_code> TcpStream::Write(std::span<const std::string_view> pieces) {
  return Send(pieces, 0);
}

asio::awaitable<std::error_code> TcpStream::Send(std::span<const std::string_view> pieces, int flags) {
  spoke_ = true;
  size_t offset = 0;  // within the first piece that is left
  while (!pieces.empty()) {
    if (offset == pieces.front().size()) {
      pieces = pieces.subspan(1);
      offset = 0;
      continue;
    }
    if (!socket_.is_open()) co_return asio::error::bad_descriptor;
    std::array<iovec, kPiecesAtOnce> vectors;
    size_t count = 0;
    for (size_t i = 0; i < pieces.size() && count < kPiecesAtOnce; ++i) {
      std::string_view piece = pieces[i];
      if (i == 0) piece.remove_prefix(offset);
      if (!piece.empty()) vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT | flags);
    if (n >= 0) {
      for (size_t left = static_cast<size_t>(n); left > 0;) {
        const size_t step = std::min(left, pieces.front().size() - offset);
        offset += step;
        left -= step;
        if (offset == pieces.front().size()) {
          pieces = pieces.subspan(1);
          offset = 0;
        }
      }
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) co_return std::error_code(errno, std::system_category());
    const std::error_code error = co_await WaitToWrite(false);
    if (error) co_return error;
  }
  co_return std::error_code();
}

void TcpStream::SetReadDeadline(MonotonicTime deadline) {
  watch_->read_deadline = deadline;
  if (watch_->reading) watch_->Arm();
}

void TcpStream::SetWriteDeadline(MonotonicTime deadline) {
  watch_->write_deadline = deadline;
  if (watch_->writing) watch_->Arm();
}

void TcpStream::Interrupt() {
  if (!watch_->reading) return;
  watch_->interrupted = true;
  std::error_code ignored;
  socket_.cancel(ignored);
}

void TcpStream::Close() {
  std::error_code ignored;
  socket_.close(ignored);
}

asio::awaitable<std::error_code> TcpStream::ShutdownGracefully(std::string_view last) {
  // The FIN pushes what waits for more.
  const std::array<std::string_view, 1> pieces{last};
  std::error_code error = co_await Send(pieces, MSG_MORE);
  if (!error) socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  co_return error;
}

base::Endpoint TcpStream::local() const {
  std::error_code error;
  const asio::ip::tcp::endpoint endpoint = socket_.local_endpoint(error);
  return error ? base::Endpoint() : ToEndpoint(endpoint);
}

base::Endpoint ToEndpoint(const asio::ip::tcp::endpoint& endpoint) {
  const asio::ip::address address = endpoint.address();
  if (address.is_v4()) return {base::IpAddress::V4(address.to_v4().to_uint()), endpoint.port()};
  return {base::IpAddress::V6(address.to_v6().to_bytes()), endpoint.port()};
}

asio::ip::tcp::endpoint ToAsio(const base::Endpoint& endpoint) {
  if (endpoint.address.is_v4()) return {asio::ip::address_v4(endpoint.address.v4()), endpoint.port};
  return {asio::ip::address_v6(endpoint.address.octets()), endpoint.port};
}

}  // namespace gatepost::net
