// c-ares on an io_context: one channel, its sockets and its clock. Private to this room; who asks uses dns.h or
// resolver.h. Thread rule: the executor's thread.
#pragma once

#include <absl/status/statusor.h>
#include <ares.h>

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <vector>

#include "services/base/ip_address.h"

namespace gatepost::net {

class AresChannel {
 public:
  // `servers`: asked in this order, and then a name is never completed from the system's search list; empty: the
  // system's servers and search list. INTERNAL: c-ares cannot be set up.
  static absl::StatusOr<std::unique_ptr<AresChannel>> Open(asio::any_io_executor executor,
                                                           const std::vector<base::Endpoint>& servers);
  // Calls back who still waits, with ARES_EDESTRUCTION.
  ~AresChannel();
  AresChannel(const AresChannel&) = delete;
  AresChannel& operator=(const AresChannel&) = delete;

  ares_channel raw() { return channel_; }
  // After each question that was put to raw().
  void Asked() { ScheduleTick(); }

 private:
  struct Socket;

  explicit AresChannel(asio::any_io_executor executor);
  absl::Status Init(const std::vector<base::Endpoint>& servers);
  void SocketState(int fd, bool readable, bool writable);
  void Watch(int fd, const std::shared_ptr<Socket>& socket);
  void Again(int fd, const std::shared_ptr<Socket>& socket);
  void ScheduleTick();

  const asio::any_io_executor executor_;
  ares_channel channel_ = nullptr;
  asio::steady_timer tick_;
  bool ticking_ = false;
  std::map<int, std::shared_ptr<Socket>> sockets_;
  // False once this is gone: handlers that are already queued look here first.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace gatepost::net
