// Applies configuration to this edge: judges a unit, compiles it as a whole, hands the snapshot to every worker, opens
// and closes listeners, keeps the last good snapshot. What cannot be compiled changes nothing.
//
// Sessions are not touched by a change, but for those of virtual servers that no longer accept: they end between
// transactions. Thread rule: the control thread.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/edge/compiler.h"
#include "services/edge/config_watch.h"
#include "services/edge/listener_set.h"
#include "services/edge/metrics.h"
#include "services/edge/resources.h"
#include "services/edge/snapshot_store.h"
#include "services/edge/worker.h"

namespace gatepost::edge {

class Configurator final : public Configuration {
 public:
  // All of it outlives the configurator.
  struct Parts {
    asio::any_io_executor control;
    std::vector<Worker*> workers;
    ListenerSet& listeners;
    Compiler& compiler;
    SnapshotStore* store;  // nullptr: in memory alone
    const EdgeMetrics& metrics;
    CertificateExpiry& expiry;
    base::Log& log;
    const base::Clock& clock;
    // A snapshot has been applied.
    std::function<void(const std::shared_ptr<const Snapshot>&)> on_applied;
  };
  explicit Configurator(Parts parts);

  // What the disk holds, if anything. False: there is nothing that can be used (and the log says why).
  bool LoadStored();
  // A fixed configuration, for an edge without a config service.
  absl::Status ApplyFixed(config::v1::Unit unit);
  // Writes what has not been written yet.
  void Flush();

  std::string epoch() const override { return resources_.epoch; }
  int64_t revision() const override { return resources_.revision; }
  void Apply(std::vector<config::v1::Unit> chain, Answer answer) override;
  void OnConfirmed() override;
  void OnConnected(bool connected) override;

  // The age of what we hold, for metrics; to be called now and then.
  void UpdateMetrics();

 private:
  absl::Status ApplyChain(std::span<const config::v1::Unit> chain);
  void ShowExpiry();
  void SaveLater();

  const Parts parts_;
  Resources resources_;
  base::MonotonicTime confirmed_;
  bool confirmed_once_ = false;
  bool unsaved_ = false;
  bool saving_ = false;
  asio::steady_timer save_timer_;
};

}  // namespace gatepost::edge
