#include "services/net/ares_channel.h"

#include <arpa/inet.h>

#include <algorithm>
#include <asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <cstring>
#include <utility>

namespace gatepost::net {
namespace {

// The second try waits twice as long: three seconds for one server, the time of a policy decision.
constexpr int kFirstTryMilliseconds = 1000;
constexpr int kTries = 2;
// Fits a datagram on any path (DNS flag day 2020); more comes by TCP.
constexpr int kDatagramOctets = 1232;

}  // namespace

struct AresChannel::Socket {
  Socket(const asio::any_io_executor& executor, int fd) : descriptor(executor, fd) {}
  asio::posix::stream_descriptor descriptor;
  bool want_read = false;
  bool want_write = false;
  bool reading = false;
  bool writing = false;
};

AresChannel::AresChannel(asio::any_io_executor executor) : executor_(std::move(executor)), tick_(executor_) {}

AresChannel::~AresChannel() {
  *alive_ = false;
  if (channel_ != nullptr) ares_destroy(channel_);
  for (auto& [fd, socket] : sockets_) socket->descriptor.release();
}

absl::StatusOr<std::unique_ptr<AresChannel>> AresChannel::Open(asio::any_io_executor executor,
                                                               const std::vector<base::Endpoint>& servers) {
  std::unique_ptr<AresChannel> channel(new AresChannel(std::move(executor)));
  if (absl::Status status = channel->Init(servers); !status.ok()) return status;
  return channel;
}

absl::Status AresChannel::Init(const std::vector<base::Endpoint>& servers) {
  static const int library = ares_library_init(ARES_LIB_INIT_ALL);
  if (library != ARES_SUCCESS) return absl::InternalError("c-ares cannot be initialised");
  ares_options options{};
  options.flags = ARES_FLAG_EDNS | (servers.empty() ? 0 : ARES_FLAG_NOSEARCH);
  options.ednspsz = kDatagramOctets;
  options.timeout = kFirstTryMilliseconds;
  options.tries = kTries;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<AresChannel*>(self)->SocketState(fd, readable != 0, writable != 0);
  };
  options.sock_state_cb_data = this;
  const int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  int status = ares_init_options(&channel_, &options, mask);
  if (status == ARES_SUCCESS && !servers.empty()) {
    std::vector<ares_addr_port_node> nodes(servers.size());
    for (size_t i = 0; i < servers.size(); ++i) {
      ares_addr_port_node& node = nodes[i];
      node.next = i + 1 < nodes.size() ? &nodes[i + 1] : nullptr;
      node.udp_port = node.tcp_port = servers[i].port;
      if (servers[i].address.is_v4()) {
        node.family = AF_INET;
        node.addr.addr4.s_addr = htonl(servers[i].address.v4());
      } else {
        node.family = AF_INET6;
        std::memcpy(&node.addr.addr6, servers[i].address.octets().data(), sizeof node.addr.addr6);
      }
    }
    status = ares_set_servers_ports(channel_, nodes.data());
  }
  if (status != ARES_SUCCESS) return absl::InternalError(ares_strerror(status));
  return absl::OkStatus();
}

void AresChannel::SocketState(int fd, bool readable, bool writable) {
  auto it = sockets_.find(fd);
  if (!readable && !writable) {
    if (it == sockets_.end()) return;
    it->second->descriptor.release();  // c-ares closes it; what waits ends aborted
    sockets_.erase(it);
    return;
  }
  if (it == sockets_.end()) it = sockets_.emplace(fd, std::make_shared<Socket>(executor_, fd)).first;
  it->second->want_read = readable;
  it->second->want_write = writable;
  Watch(fd, it->second);
}

void AresChannel::Watch(int fd, const std::shared_ptr<Socket>& socket) {
  using Descriptor = asio::posix::stream_descriptor;
  if (socket->want_read && !std::exchange(socket->reading, true)) {
    socket->descriptor.async_wait(Descriptor::wait_read,
                                  [this, alive = alive_, fd, socket](const std::error_code& error) {
                                    socket->reading = false;
                                    if (!*alive || error) return;
                                    ares_process_fd(channel_, fd, ARES_SOCKET_BAD);
                                    Again(fd, socket);
                                  });
  }
  if (socket->want_write && !std::exchange(socket->writing, true)) {
    socket->descriptor.async_wait(Descriptor::wait_write,
                                  [this, alive = alive_, fd, socket](const std::error_code& error) {
                                    socket->writing = false;
                                    if (!*alive || error) return;
                                    ares_process_fd(channel_, ARES_SOCKET_BAD, fd);
                                    Again(fd, socket);
                                  });
  }
}

void AresChannel::Again(int fd, const std::shared_ptr<Socket>& socket) {
  const auto it = sockets_.find(fd);
  if (it != sockets_.end() && it->second == socket) Watch(fd, socket);
}

// c-ares resends and gives up by time: it is called while any question is on its way.
void AresChannel::ScheduleTick() {
  timeval longest{1, 0};
  timeval next{};
  const timeval* wait = ares_timeout(channel_, &longest, &next);
  if (sockets_.empty() || std::exchange(ticking_, true)) return;
  tick_.expires_after(std::chrono::seconds(wait->tv_sec) + std::chrono::microseconds(wait->tv_usec) +
                      std::chrono::milliseconds(1));
  tick_.async_wait([this, alive = alive_](const std::error_code& error) {
    if (!*alive) return;
    ticking_ = false;
    if (error) return;
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    ScheduleTick();
  });
}

}  // namespace gatepost::net
