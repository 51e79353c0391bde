// One connection of a load generator: a non-blocking socket, TLS or none, octets out, whole replies in. The peer's
// certificate is not verified. One thread; edge-triggered epoll: whoever is told of an event goes on until nothing
// moves.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#ifndef OPENSSL_IS_BORINGSSL
#error "compiled against OpenSSL's headers: the dependency on @boringssl//:ssl is missing"
#endif

namespace gatepost::bench {

class Connection {
 public:
  enum class Progress { kDone, kLater, kFailed };

  Connection() = default;
  ~Connection() { Close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Begins to connect and enters the epoll set with `tag`. `source`: an address of ours, host order; 0: the kernel's
  // choice. False: error() says why.
  bool Open(const char* host, int port, int poll, void* tag, uint32_t source = 0) {
    Close();
    error_.clear();
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return Fail("socket");
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (source != 0) {
      // Without this a bound socket takes its port of all destinations' at once, and they run out.
      setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
      sockaddr_in from{};
      from.sin_family = AF_INET;
      from.sin_addr.s_addr = htonl(source);
      if (bind(fd_, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0) return Fail(std::strerror(errno));
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) return Fail("the host is not an IPv4 address");
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
      return Fail(std::strerror(errno));
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.ptr = tag;
    epoll_ctl(poll, EPOLL_CTL_ADD, fd_, &event);
    return true;
  }

  // Closes, if it is open; `reset`: by RST. What was read and not taken is forgotten.
  void Close(bool reset = false) {
    if (ssl_ != nullptr) SSL_free(std::exchange(ssl_, nullptr));
    if (fd_ >= 0) {
      const linger at_once{1, 0};
      if (reset) setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      close(std::exchange(fd_, -1));
    }
    in_.clear();
    out_.clear();
    taken_ = written_ = 0;
  }
  bool open() const { return fd_ >= 0; }

  Progress Connected() {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return Failed(std::strerror(error));
    sockaddr_in peer;
    length = sizeof peer;
    return getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &length) == 0 ? Progress::kDone : Progress::kLater;
  }

  // The first call begins it.
  Progress Handshake(SSL_CTX* context) {
    if (ssl_ == nullptr) {
      ssl_ = SSL_new(context);
      SSL_set_fd(ssl_, fd_);
      SSL_set_connect_state(ssl_);
    }
    const int result = SSL_do_handshake(ssl_);
    if (result == 1) return Progress::kDone;
    return Later(result) ? Progress::kLater : Failed("TLS handshake");
  }

  void Say(std::string_view octets) { out_.append(octets); }

  // kDone: all is written.
  Progress Flush() {
    while (written_ < out_.size()) {
      const size_t left = out_.size() - written_;
      ssize_t n;
      if (ssl_ != nullptr) {
        n = SSL_write(ssl_, out_.data() + written_, static_cast<int>(std::min<size_t>(left, 16384)));
        if (n <= 0) return Later(static_cast<int>(n)) ? Progress::kLater : Failed("TLS write");
      } else {
        n = write(fd_, out_.data() + written_, left);
        if (n < 0) return errno == EAGAIN ? Progress::kLater : Failed(std::strerror(errno));
      }
      written_ += static_cast<size_t>(n);
    }
    out_.clear();
    written_ = 0;
    return Progress::kDone;
  }

  // One whole reply without its last CR LF, good until the next call; or empty: none yet, or failed().
  std::string_view Reply() {
    in_.erase(0, std::exchange(taken_, 0));
    for (;;) {
      for (size_t begin = 0;;) {
        const size_t end = in_.find("\r\n", begin);
        if (end == std::string::npos) break;
        if (end - begin < 4 || in_[begin + 3] != '-') {
          taken_ = end + 2;
          return std::string_view(in_).substr(0, end);
        }
        begin = end + 2;
      }
      char buffer[4096];
      ssize_t n;
      if (ssl_ != nullptr) {
        n = SSL_read(ssl_, buffer, sizeof buffer);
        if (n <= 0 && Later(static_cast<int>(n))) return {};
      } else {
        n = read(fd_, buffer, sizeof buffer);
        if (n < 0 && errno == EAGAIN) return {};
      }
      if (n <= 0) {
        Fail(n < 0 && ssl_ == nullptr ? std::strerror(errno) : "closed by the peer");
        return {};
      }
      in_.append(buffer, static_cast<size_t>(n));
    }
  }

  bool failed() const { return !error_.empty(); }
  const std::string& error() const { return error_; }

 private:
  bool Later(int result) const {
    const int error = SSL_get_error(ssl_, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }
  bool Fail(std::string_view why) {
    error_ = why;
    return false;
  }
  Progress Failed(std::string_view why) {
    error_ = why;
    return Progress::kFailed;
  }

  int fd_ = -1;
  SSL* ssl_ = nullptr;
  std::string in_, out_;
  size_t taken_ = 0, written_ = 0;
  std::string error_;
};

}  // namespace gatepost::bench
