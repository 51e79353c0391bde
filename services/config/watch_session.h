// One edge's watch as a machine without I/O: what arrives goes in, what is to be written comes out
// (proto/gatepost/config/v1/watch_service.proto says the rules). One unit is in flight; what changes meanwhile is told by
// the next one. Holds a shared unit and a few numbers, whatever an edge does or fails to do.
// Not thread-safe. What an edge says of itself is passed on to the registry.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "gatepost/config/v1/watch_service.pb.h"
#include "services/base/clock.h"
#include "services/config/edge_registry.h"
#include "services/config/unit_builder.h"

namespace gatepost::config {

class WatchSession {
 public:
  // `epoch` is the store's. `registry` outlives the session.
  WatchSession(EdgeRegistry& registry, std::string pool, std::string epoch, base::MonotonicTime now)
      : registry_(registry), pool_(std::move(pool)), epoch_(std::move(epoch)), progress_(now) {}
  ~WatchSession();
  WatchSession(const WatchSession&) = delete;
  WatchSession& operator=(const WatchSession&) = delete;

  // Not OK: the stream ends with this.
  absl::Status OnMessage(v1::WatchRequest* message, base::MonotonicTime now);

  // Whether the edge should be sent a unit, the store being at `current`. It is then built from base().
  bool WantsUnit(int64_t current) const;
  // The revision that the edge holds; none: it must be sent everything.
  std::optional<int64_t> base() const { return base_; }
  void Send(std::shared_ptr<const Chain> chain, base::MonotonicTime now);

  // Another stream of this node took over: no more units.
  void Supersede() { superseded_ = true; }
  // The service is about to stop: says so, once, and sends no more units.
  void Drain() { draining_ = true; }

  // The next message to write; null: nothing now. It stays as it is until Written().
  const v1::WatchResponse* Next(int64_t current, base::MonotonicTime now);
  void Written(base::MonotonicTime now);

  // DEADLINE_EXCEEDED: the edge did not answer in time, or never said Start.
  absl::Status CheckDeadline(base::MonotonicTime now) const;

  bool started() const { return started_; }
  const std::string& node_id() const { return node_id_; }
  const std::string& pool() const { return pool_; }

  // What has happened since the last call, for metrics and the log.
  enum class Event { kNone, kAcked, kNacked };
  Event TakeEvent();
  const std::string& nack_reason() const { return nack_reason_; }

 private:
  absl::Status OnStart(const v1::WatchRequest::Start& start, base::MonotonicTime now);
  absl::Status OnAck(v1::WatchRequest::Ack* ack, base::MonotonicTime now);
  absl::Status OnNack(const v1::WatchRequest::Nack& nack, base::MonotonicTime now);
  // The unit in flight was answered with this nonce.
  absl::Status Answered(const std::string& nonce, base::MonotonicTime now);

  EdgeRegistry& registry_;
  const std::string pool_;
  const std::string epoch_;

  bool started_ = false;
  bool superseded_ = false;
  bool draining_ = false;
  bool said_draining_ = false;
  std::string node_id_;
  std::optional<int64_t> base_;
  std::optional<int64_t> refused_;  // The revision of the last unit it refused.

  std::shared_ptr<const Chain> in_flight_;  // Until it is answered.
  size_t next_piece_ = 0;
  std::shared_ptr<const Chain> writing_;  // Whose piece is being written: an answer may overtake the end of its writing.
  base::MonotonicTime progress_;  // When the unit in flight last got on; the start of the stream before Start.
  base::MonotonicTime heartbeat_due_{};
  v1::WatchResponse own_;  // A heartbeat, or Draining.
  Event event_ = Event::kNone;
  std::string nack_reason_;
};

}  // namespace gatepost::config
