#include "services/base/supervisor.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

namespace gatepost::base {
namespace {

constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 0};

}  // namespace

Supervisor::Supervisor(const char* socket) {
  if (socket == nullptr || (socket[0] != '/' && socket[0] != '@')) return;
  sockaddr_un address{};
  const size_t length = std::strlen(socket);
  if (length >= sizeof(address.sun_path)) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket, length);
  if (socket[0] == '@') address.sun_path[0] = '\0';
  socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return;
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), size) == 0) return;
  close(socket_);
  socket_ = -1;
}

Supervisor::~Supervisor() {
  if (socket_ >= 0) close(socket_);
}

void Supervisor::Ready() {
  if (ready_) return;
  ready_ = true;
  Tell("READY=1");
}

void Supervisor::Stopping() { Tell("STOPPING=1"); }

void Supervisor::Tell(const char* state) {
  if (socket_ >= 0) send(socket_, state, std::strlen(state), MSG_NOSIGNAL);
}

}  // namespace gatepost::base
