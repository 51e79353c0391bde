#include "services/edge/listener_set.h"

#include <utility>
#include <vector>

#include "services/base/strings.h"
#include "services/edge/limits.h"
#include "services/net/listener.h"

namespace gatepost::edge {
namespace {

std::string_view TlsModeName(policy::TlsMode mode) {
  switch (mode) {
    case policy::TlsMode::kNone:
      return "none";
    case policy::TlsMode::kStartTls:
      return "starttls";
    case policy::TlsMode::kImplicit:
      return "implicit";
  }
  return "unknown";
}

}  // namespace

ListenerSet::ListenerSet(asio::any_io_executor control, std::vector<Worker*> workers, int port_offset, base::Log& log,
                         std::function<void()> on_change)
    : timer_(std::move(control)),
      workers_(std::move(workers)),
      port_offset_(port_offset),
      log_(log),
      on_change_(std::move(on_change)) {}

void ListenerSet::Apply(const Snapshot& snapshot) {
  if (stopped_) return;
  std::map<std::pair<base::Endpoint, int>, Entry> next;
  int position = 0;
  for (const auto& [name, virtual_server] : snapshot.virtual_servers) {
    for (const policy::Listener& listener : virtual_server->settings().listeners) {
      Entry entry;
      entry.virtual_server = name;
      entry.listener = listener;
      if (listener.proxy.required) {
        entry.proxies = std::make_shared<const policy::ClientSet>(
            std::vector<policy::ClientEntry>(listener.proxy.trusted.begin(), listener.proxy.trusted.end()));
      }
      const int port = listener.port == 0 ? 0 : listener.port + port_offset_;
      entry.wanted = {listener.address, static_cast<uint16_t>(port)};
      entry.wanted_open = virtual_server->settings().state != policy::ServerState::kStopped;
      if (port > 65535)
        entry.failure = base::StrCat("port ", listener.port, " and the offset ", port_offset_, " are above 65535");
      // Port 0, and an address that another virtual server has too (the second one will fail), are told apart by
      // position.
      const bool taken = port == 0 || next.contains({entry.wanted, 0});
      next.try_emplace({entry.wanted, taken ? ++position : 0}, std::move(entry));
    }
  }
  for (auto& [key, entry] : entries_) {
    const auto kept = next.find(key);
    if (entry.open && kept != next.end() && kept->second.wanted_open) {
      kept->second.open = true;
      kept->second.bound = entry.bound;
      for (Worker* worker : workers_) {
        worker->Do([worker, &kept] { worker->Rebind(kept->second.bound, kept->second.binding()); });
      }
    } else {
      Close(entry);
    }
  }
  entries_ = std::move(next);
  for (auto& [key, entry] : entries_) {
    if (!entry.open && entry.wanted_open && entry.failure.empty()) Open(entry);
  }
  Retry();
}

void ListenerSet::Open(Entry& entry) {
  const auto fail = [&](const absl::Status& status) {
    entry.failure = base::FromAbsl(status.message());
    for (Worker* worker : workers_) worker->Do([worker, &entry] { worker->Unlisten(entry.bound); });
    log_.Error(
        "listener_failed",
        {{"virtual_server", entry.virtual_server}, {"address", entry.wanted.ToString()}, {"reason", entry.failure}});
  };
  entry.bound = entry.wanted;
  if (const absl::Status free = net::ProbeExclusive(entry.wanted); !free.ok()) return fail(free);
  for (Worker* worker : workers_) {
    // The first one gets the kernel's port where 0 is asked for; the others share it.
    absl::StatusOr<base::Endpoint> bound =
        worker->Do([worker, &entry] { return worker->Listen(entry.bound, entry.binding()); });
    if (!bound.ok()) return fail(bound.status());
    entry.bound = *bound;
  }
  entry.open = true;
  entry.failure.clear();
  log_.Info("listening", {{"virtual_server", entry.virtual_server},
                          {"address", entry.bound.ToString()},
                          {"port", entry.bound.port},
                          {"tls", TlsModeName(entry.listener.tls_mode)}});
}

void ListenerSet::Close(Entry& entry) {
  if (!entry.open) return;
  entry.open = false;
  for (Worker* worker : workers_) worker->Do([worker, &entry] { worker->Unlisten(entry.bound); });
  log_.Info("listener_closed", {{"virtual_server", entry.virtual_server}, {"address", entry.bound.ToString()}});
}

void ListenerSet::Retry() {
  if (stopped_ || failed() == 0) return;
  timer_.expires_after(limits::kListenerRetry);
  timer_.async_wait([this](std::error_code error) {
    if (error || stopped_) return;
    bool opened = false;
    for (auto& [key, entry] : entries_) {
      if (entry.open || !entry.wanted_open || entry.wanted.port < entry.listener.port) continue;
      Open(entry);
      opened = opened || entry.open;
    }
    if (opened) on_change_();
    Retry();
  });
}

void ListenerSet::Stop() {
  stopped_ = true;
  timer_.cancel();
  for (auto& [key, entry] : entries_) {
    entry.open = false;
    entry.wanted_open = false;
  }
}

std::vector<config::v1::ListenerStatus> ListenerSet::Status() const {
  std::vector<config::v1::ListenerStatus> result;
  result.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) {
    config::v1::ListenerStatus& status = result.emplace_back();
    status.set_virtual_server(entry.virtual_server);
    status.set_address(entry.listener.address.ToString());
    status.set_port(entry.open ? entry.bound.port : entry.wanted.port);
    if (!entry.wanted_open) {
      status.set_state(config::v1::ListenerStatus::CLOSED);
    } else if (entry.open) {
      status.set_state(config::v1::ListenerStatus::OPEN);
    } else {
      status.set_state(config::v1::ListenerStatus::FAILED);
      status.set_reason(entry.failure);
    }
  }
  return result;
}

size_t ListenerSet::failed() const {
  size_t count = 0;
  for (const auto& [key, entry] : entries_) count += entry.wanted_open && !entry.open ? 1 : 0;
  return count;
}

}  // namespace gatepost::edge
