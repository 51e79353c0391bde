// A next hop for tests: a listening socket on loopback and a script that is run for each connection on a thread of its
// own. It says exactly what the script says, when it says it.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace gatepost::edge {

class FakeUpstream {
 public:
  // One connection. Everything that came is kept.
  class Peer {
   public:
    explicit Peer(int fd) : fd_(fd) {
      const int one = 1;
      ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    ~Peer() { ::close(fd_); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    void Say(std::string_view octets) { (void)!::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL); }
    // The next line without CR LF; "" at the end of the connection.
    std::string Line() { return Until("\r\n"); }
    // The next so many octets; fewer at the end of the connection.
    std::string Octets(size_t count) {
      while (received_.size() - position_ < count && Read()) {
      }
      std::string result = received_.substr(position_, count);
      position_ += result.size();
      return result;
    }
    // The message up to its end, without the dot's line.
    std::string Body() { return Until("\r\n.\r\n"); }
    // Until the other end closes.
    void Drain() {
      while (Read()) {
      }
    }
    // The connection ends with a reset.
    void Reset() {
      const linger off{1, 0};
      ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &off, sizeof off);
    }
    int descriptor() const { return fd_; }
    const std::string& received() const { return received_; }

    // EHLO, MAIL, RCPT answered as by a willing server, then the line that follows.
    std::string UpToData(
        std::string_view hello = "250-up.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250 8BITMIME\r\n") {
      Say("220 up.example ESMTP\r\n");
      Line();
      Say(hello);
      return Envelope();
    }

    // MAIL and RCPT answered, then the line that follows.
    std::string Envelope() {
      Line();
      Say("250 2.1.0 ok\r\n");
      Line();
      Say("250 2.1.5 ok\r\n");
      return Line();
    }

   private:
    bool Read() {
      char octets[4096];
      const ssize_t n = ::recv(fd_, octets, sizeof octets, 0);
      if (n <= 0) return false;
      received_.append(octets, static_cast<size_t>(n));
      return true;
    }
    std::string Until(std::string_view end) {
      size_t found;
      while ((found = received_.find(end, position_)) == std::string::npos) {
        if (!Read()) return "";
      }
      std::string result = received_.substr(position_, found - position_);
      position_ = found + end.size();
      return result;
    }

    const int fd_;
    std::string received_;
    size_t position_ = 0;
  };

  // `script` is called with the number of the connection, from 0.
  explicit FakeUpstream(std::function<void(Peer&, int)> script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener_, 64) != 0)
      std::abort();
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }

  ~FakeUpstream() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
    ::close(listener_);
  }

  uint16_t port() const { return port_; }
  // What each connection sent, once it has ended; waits for `count` of them.
  std::vector<std::string> Received(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return received_.size() >= count; });
    return received_;
  }

 private:
  void Accept() {
    for (int number = 0;; ++number) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      threads_.emplace_back([this, fd, number] {
        std::string received;
        {
          Peer peer(fd);
          script_(peer, number);
          received = peer.received();
        }
        std::lock_guard lock(mutex_);
        received_.push_back(std::move(received));
        changed_.notify_all();
      });
    }
  }

  const std::function<void(Peer&, int)> script_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> received_;
};

}  // namespace gatepost::edge
