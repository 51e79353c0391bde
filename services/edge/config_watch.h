// The client of the config service's watch (proto/gatepost/config/v1/watch_service.proto): keeps one stream open,
// collects the pieces of a unit, hands over what is complete, answers ACK or NACK, reports listeners. What a unit means
// is the business of its Configuration (resources.h, translate.h, edge.cc).
//
// A stream that ends is opened again after a delay with full jitter; one that is 4 to 5 min old, or whose server
// drains, is replaced by a new one first and then half-closed. Silence is judged by gRPC's keep-alive alone.
//
// Thread rule: everything runs on the control thread's executor; gRPC's threads only post.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gatepost/config/v1/watch_service.grpc.pb.h"
#include "services/base/backoff.h"
#include "services/base/clock.h"
#include "services/base/gate.h"
#include "services/base/random.h"
#include "services/edge/grpc_stream.h"

namespace gatepost::edge {

// Who is asked, and who is told.
class Configuration {
 public:
  virtual ~Configuration() = default;

  using Listeners = std::vector<config::v1::ListenerStatus>;
  // OK with the listeners, or why the unit cannot be applied.
  using Answer = std::function<void(absl::StatusOr<Listeners>)>;

  virtual std::string epoch() const = 0;
  virtual int64_t revision() const = 0;
  // Applies a complete chain as a whole or not at all, then calls `answer`, once, on the control thread. No other chain
  // is offered before. Revisions left behind are answered with OK and nothing is applied.
  virtual void Apply(std::vector<config::v1::Unit> chain, Answer answer) = 0;
  // The service has confirmed that what we hold is current (a unit, or a heartbeat).
  virtual void OnConfirmed() = 0;
  // A stream is open and has spoken, or there is none.
  virtual void OnConnected(bool connected) = 0;
};

class ConfigWatch {
 public:
  struct Options {
    std::string node_id;
    std::string version;
    base::Duration life_least;
    base::Duration life_most;
    base::Duration backoff_least;
    base::Duration backoff_most;
  };
  static Options Defaults();

  // The references outlive the watch. `gate` and `loop` outlive gRPC's streams.
  ConfigWatch(asio::any_io_executor control, std::shared_ptr<grpc::Channel> channel, rpc::CompletionLoop& loop,
              base::Gate& gate, base::Random& random, Configuration& configuration, Options options);
  ~ConfigWatch();

  void Start();
  // No more units; the streams end.
  void Stop();
  // All listeners, after a change of one.
  void Report(const Configuration::Listeners& listeners);

 private:
  using Stream = GrpcStream<config::v1::WatchRequest, config::v1::WatchResponse>;

  // One stream and the pieces of the unit that it is sending.
  struct Channel {
    std::shared_ptr<Stream> stream;
    std::vector<config::v1::Unit> chain;
    size_t octets = 0;
  };
  // A complete unit that waits for its turn.
  struct Complete {
    std::shared_ptr<Stream> stream;
    std::vector<config::v1::Unit> chain;
  };

  void Open();
  void OnMessage(Channel& channel, config::v1::WatchResponse& message);
  void OnEnd(Channel& channel, const grpc::Status& status);
  void OnUnit(Channel& channel, config::v1::Unit& unit);
  void ApplyNext();
  void After(base::Duration delay);
  static void Refuse(Stream& stream, const std::string& nonce, std::string_view reason);

  const asio::any_io_executor executor_;
  const std::unique_ptr<config::v1::WatchService::Stub> stub_;
  rpc::CompletionLoop& loop_;
  base::Gate& gate_;
  base::Random& random_;
  Configuration& configuration_;
  const Options options_;

  std::shared_ptr<Channel> current_;    // The one that has spoken.
  std::shared_ptr<Channel> successor_;  // Opened, silent so far; takes its place with its first message.
  std::deque<Complete> waiting_;
  bool applying_ = false;
  bool stopped_ = false;
  base::Backoff backoff_;
  asio::steady_timer timer_;  // The next time to open a stream.
};

}  // namespace gatepost::edge
