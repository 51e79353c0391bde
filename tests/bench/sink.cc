// A fast SMTP sink for measurements: takes every message, keeps none, answers at once. One thread, epoll, plain TCP.
//   sink [--port N]     prints "PORT\n" and runs until SIGTERM
// It speaks just enough: EHLO with PIPELINING, SIZE, 8BITMIME, ENHANCEDSTATUSCODES; MAIL, RCPT, DATA, RSET, NOOP, QUIT.
// Not an oracle: the recorder of the tests is.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace {

constexpr std::string_view kGreeting = "220 sink.example ESMTP\r\n";
constexpr std::string_view kHello =
    "250-sink.example\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n";

struct Connection {
  std::string line;      // an unfinished command
  bool in_data = false;
  size_t matched = 2;    // how much of CR LF . CR LF the data ends with; data begins as though behind CR LF
};

// Finds the end of data in `octets`; returns how many octets belong to it, and whether it was the end.
size_t Data(Connection& connection, std::string_view octets, bool* ended) {
  constexpr std::string_view kEnd = "\r\n.\r\n";
  size_t i = 0;
  while (i < octets.size()) {
    if (connection.matched == 0) {
      const void* cr = std::memchr(octets.data() + i, '\r', octets.size() - i);
      if (cr == nullptr) return octets.size();
      i = static_cast<size_t>(static_cast<const char*>(cr) - octets.data());
    }
    char c = octets[i++];
    if (c == kEnd[connection.matched]) {
      if (++connection.matched == kEnd.size()) {
        *ended = true;
        return i;
      }
    } else {
      connection.matched = c == '\r' ? 1 : 0;
    }
  }
  return i;
}

// Handles all of `octets`; appends replies. False: close after writing.
bool Input(Connection& connection, std::string_view octets, std::string* out) {
  while (!octets.empty()) {
    if (connection.in_data) {
      bool ended = false;
      octets.remove_prefix(Data(connection, octets, &ended));
      if (ended) {
        connection.in_data = false;
        out->append("250 2.0.0 Ok\r\n");
      }
      continue;
    }
    size_t end = octets.find('\n');
    if (end == std::string_view::npos) {
      connection.line.append(octets);
      return connection.line.size() < 65536;
    }
    std::string_view line = octets.substr(0, end);
    if (!connection.line.empty()) line = connection.line.append(line);
    octets.remove_prefix(end + 1);
    if (line.starts_with("EHLO") || line.starts_with("HELO")) {
      out->append(kHello);
    } else if (line.starts_with("MAIL")) {
      out->append("250 2.1.0 Ok\r\n");
    } else if (line.starts_with("RCPT")) {
      out->append("250 2.1.5 Ok\r\n");
    } else if (line.starts_with("DATA")) {
      out->append("354 Go\r\n");
      connection.in_data = true;
      connection.matched = 2;
    } else if (line.starts_with("QUIT")) {
      out->append("221 2.0.0 Bye\r\n");
      return false;
    } else {
      out->append("250 2.0.0 Ok\r\n");
    }
    connection.line.clear();
  }
  return true;
}

volatile sig_atomic_t stopping = 0;

}  // namespace

int main(int argc, char** argv) {
  uint16_t port = 0;
  if (argc == 3 && std::string_view(argv[1]) == "--port") port = static_cast<uint16_t>(std::atoi(argv[2]));
  struct sigaction action {};
  action.sa_handler = [](int) { stopping = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener, 4096) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    std::perror("sink");
    return 1;
  }
  std::printf("%u\n", ntohs(address.sin_port));
  std::fflush(stdout);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener;
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  std::unordered_map<int, Connection> connections;
  auto buffer = std::make_unique<char[]>(1 << 18);
  epoll_event events[256];
  std::string out;
  while (stopping == 0) {
    int count = epoll_wait(poll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        for (;;) {
          int accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
          if (accepted < 0) break;
          setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          event.events = EPOLLIN;
          event.data.fd = accepted;
          epoll_ctl(poll, EPOLL_CTL_ADD, accepted, &event);
          connections[accepted] = Connection();
          if (write(accepted, kGreeting.data(), kGreeting.size()) < 0) continue;
        }
        continue;
      }
      ssize_t n = read(fd, buffer.get(), 1 << 18);
      bool keep = n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
      if (n > 0) {
        out.clear();
        keep = Input(connections[fd], std::string_view(buffer.get(), static_cast<size_t>(n)), &out);
        // Replies are small; a peer that does not read them is of no interest here.
        if (!out.empty() && write(fd, out.data(), out.size()) < 0) keep = false;
      }
      if (!keep) {
        connections.erase(fd);
        close(fd);
      }
    }
  }
  return 0;
}
