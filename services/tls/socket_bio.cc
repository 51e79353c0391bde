#include "services/tls/socket_bio.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "services/base/check.h"

namespace gatepost::tls::internal {
namespace {

// Behind a body of so many octets others as large are likely.
constexpr size_t kLargeBody = 8192;

}  // namespace

const BIO_METHOD* SocketBio::Method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    GATEPOST_CHECK(made != nullptr);
    BIO_meth_set_read(made, OnRead);
    BIO_meth_set_write(made, OnWrite);
    BIO_meth_set_ctrl(made, OnControl);
    return made;
  }();
  return method;
}

void SocketBio::Serve(SSL* ssl) {
  BIO* bio = BIO_new(Method());
  GATEPOST_CHECK(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
}

long SocketBio::OnControl(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int SocketBio::OnRead(BIO* bio, char* out, int size) {
  BIO_clear_retry_flags(bio);
  const int n = static_cast<SocketBio*>(BIO_get_data(bio))->Read(out, static_cast<size_t>(size));
  if (n < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
  return n;
}

int SocketBio::OnWrite(BIO* bio, const char* octets, int size) {
  BIO_clear_retry_flags(bio);
  const SocketBio& self = *static_cast<SocketBio*>(BIO_get_data(bio));
  const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (self.more_ ? MSG_MORE : 0);
  ssize_t n = 0;
  do {
    n = ::send(self.tcp_.descriptor(), octets, static_cast<size_t>(size), flags);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

int SocketBio::Read(char* out, size_t size) {
  if (begin_ != end_) return Take(out, size);
  // A header is followed by a body; of a body only what is missing is known to come.
  const bool header = size <= SSL3_RT_HEADER_LENGTH;
  const ssize_t n = header ? Receive(nullptr, 0, kAhead) : Receive(out, size, size < kLargeBody ? kAhead : kAheadInBulk);
  if (n <= 0) return static_cast<int>(n);
  return header ? Take(out, size) : static_cast<int>(std::min(static_cast<size_t>(n), size));
}

int SocketBio::Take(char* out, size_t size) {
  const size_t n = std::min(size, end_ - begin_);
  std::memcpy(out, ahead_.get() + begin_, n);
  begin_ += n;
  if (begin_ == end_) Release();
  return static_cast<int>(n);
}

void SocketBio::Release() {
  ahead_.reset();
  begin_ = end_ = capacity_ = 0;
}

bool SocketBio::Fill() {
  if (HasInput()) return true;
  return Receive(nullptr, 0, kAhead) >= 0 || errno != EAGAIN;
}

ssize_t SocketBio::Receive(char* out, size_t size, size_t ahead) {
  if (ended_) {
    errno = error_;
    return error_ == 0 ? 0 : -1;
  }
  if (drained_) {
    errno = EAGAIN;
    return -1;
  }
  // No exception may pass through BoringSSL.
  ahead_.reset(new (std::nothrow) char[ahead]);
  if (!ahead_) {
    errno = ENOMEM;
    return -1;
  }
  capacity_ = ahead;
  std::array<iovec, 2> space{{{out, size}, {ahead_.get(), ahead}}};
  msghdr message{};
  message.msg_iov = size == 0 ? &space[1] : space.data();
  message.msg_iovlen = size == 0 ? 1 : 2;
  ssize_t n = 0;
  do {
    n = ::recvmsg(tcp_.descriptor(), &message, MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    drained_ = static_cast<size_t>(n) < size + ahead;
    end_ = static_cast<size_t>(n) - std::min(static_cast<size_t>(n), size);
  } else if (n == 0) {
    ended_ = true;
  } else if (errno == EWOULDBLOCK || errno == EAGAIN) {
    errno = EAGAIN;
    drained_ = true;
  } else {
    // A socket tells its error once; BoringSSL asks again.
    ended_ = true;
    error_ = errno;
  }
  if (end_ == 0) {
    const int error = errno;
    Release();
    errno = error;
  }
  return n;
}

}  // namespace gatepost::tls::internal
