#include "services/net/proxy_reader.h"

#include <sys/socket.h>

#include <array>
#include <asio/error.hpp>
#include <cerrno>
#include <optional>

namespace gatepost::net {
namespace {

struct Received {
  std::array<char, kMostProxyOctets> octets;
  size_t size = 0;  // taken off the socket
};

// What is there now: nothing, as long as the header is not complete and has no error.
std::optional<ProxyReadResult> Take(int fd, Received* received) {
  const auto receive = [&](size_t most, int flags) {
    return ::recv(fd, received->octets.data() + received->size, most, flags | MSG_DONTWAIT);
  };
  const ssize_t seen = receive(received->octets.size() - received->size, MSG_PEEK);
  if (seen == 0) return ProxyReadResult{asio::error::eof, {}};
  if (seen < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return std::nullopt;
    return ProxyReadResult{{errno, std::system_category()}, {}};
  }
  const size_t known = received->size + static_cast<size_t>(seen);
  const ProxyHeader header = ParseProxyHeader({received->octets.data(), known});
  if (header.state == ProxyHeader::State::kMalformed)
    return ProxyReadResult{std::make_error_code(std::errc::bad_message), {}};
  const bool complete = header.state == ProxyHeader::State::kComplete;
  // As much of what was seen as is the header's. (It is there: nobody else reads from this socket.)
  const size_t end = complete ? header.octets : known;
  receive(end - received->size, 0);
  received->size = end;
  if (complete) return ProxyReadResult{{}, header};
  return std::nullopt;
}

}  // namespace

asio::awaitable<ProxyReadResult> ReadProxyHeader(TcpStream& stream, base::MonotonicTime deadline) {
  stream.SetReadDeadline(deadline);
  Received received;
  std::optional<ProxyReadResult> result;
  while (!result) {
    const std::error_code error = co_await stream.WaitReadable();
    if (error) {
      result = ProxyReadResult{error, {}};
    } else {
      result = Take(stream.descriptor(), &received);
    }
  }
  stream.SetReadDeadline(base::MonotonicTime::max());
  co_return *result;
}

}  // namespace gatepost::net
