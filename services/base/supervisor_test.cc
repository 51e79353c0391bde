#include "services/base/supervisor.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

namespace gatepost::base {
namespace {

// systemd's end of $NOTIFY_SOCKET.
class Listener {
 public:
  explicit Listener(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    EXPECT_EQ(bind(socket_, reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0);
  }
  ~Listener() { close(socket_); }

  // The next datagram; empty: there is none.
  std::string Next() {
    char buffer[100];
    const ssize_t size = recv(socket_, buffer, sizeof(buffer), MSG_DONTWAIT);
    return size < 0 ? std::string() : std::string(buffer, static_cast<size_t>(size));
  }

 private:
  const int socket_;
};

TEST(SupervisorTest, SystemdHearsOnceThatItServesAndThatItEnds) {
  // Not in TempDir(): a socket's path has 107 octets at most.
  const std::string path = "/tmp/gatepost-notify-" + std::to_string(getpid());
  for (const std::string& name : {path, "@gatepost-notify-" + std::to_string(getpid())}) {
    Listener listener(name);
    Supervisor supervisor(name.c_str());
    supervisor.Ready();
    supervisor.Ready();
    EXPECT_EQ(listener.Next(), "READY=1");
    EXPECT_EQ(listener.Next(), "");
    supervisor.Stopping();
    EXPECT_EQ(listener.Next(), "STOPPING=1");
  }
  unlink(path.c_str());
}

TEST(SupervisorTest, WithoutASocketNobodyIsTold) {
  const std::string too_long = "/" + std::string(200, 'x');
  for (const char* socket :
       {static_cast<const char*>(nullptr), "", "relative", "/nonexistent/notify", too_long.c_str()}) {
    Supervisor supervisor(socket);
    supervisor.Ready();
    supervisor.Stopping();
  }
}

}  // namespace
}  // namespace gatepost::base
