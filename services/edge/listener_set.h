// The listening sockets of an edge: what the configuration asks for, on every worker, and what became of each.
//
// A listener's port is the resource's plus --port-offset. Before a port is shared among our workers it is bound once
// exclusively: a port that another process holds is never shared. A listener that fails stays `failed` with its reason
// and is tried again every 5 s; nothing else suffers. An address and port that only changes its virtual server or TLS
// mode stays open.
//
// Thread rule: the control thread.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gatepost/config/v1/edge.pb.h"
#include "services/base/ip_address.h"
#include "services/base/log.h"
#include "services/edge/virtual_server_runtime.h"
#include "services/edge/worker.h"

namespace gatepost::edge {

class ListenerSet {
 public:
  // `workers` outlive the set. `on_change`: a listener that had failed has opened.
  ListenerSet(asio::any_io_executor control, std::vector<Worker*> workers, int port_offset, base::Log& log,
              std::function<void()> on_change);

  // Opens what is new, closes what is gone; what is to be closed is closed before anything is opened.
  void Apply(const Snapshot& snapshot);
  // The edge drains: nothing is opened any more. (Worker::Drain closes the sockets.)
  void Stop();

  std::vector<config::v1::ListenerStatus> Status() const;
  size_t failed() const;

 private:
  struct Entry {
    std::string virtual_server;                        // name
    policy::Listener listener;                         // as configured
    std::shared_ptr<const policy::ClientSet> proxies;  // of the listener, compiled
    base::Endpoint wanted;                             // with the offset
    base::Endpoint bound;                              // while open
    bool wanted_open = true;                           // false: its virtual server is stopped
    bool open = false;
    std::string failure;
    Worker::Binding binding() const { return {virtual_server, listener.tls_mode, proxies}; }
  };

  void Open(Entry& entry);
  void Close(Entry& entry);
  void Retry();

  asio::steady_timer timer_;
  const std::vector<Worker*> workers_;
  const int port_offset_;
  base::Log& log_;
  const std::function<void()> on_change_;
  // By wanted endpoint and, for port 0 (tests), by position.
  std::map<std::pair<base::Endpoint, int>, Entry> entries_;
  bool stopped_ = false;
};

}  // namespace gatepost::edge
