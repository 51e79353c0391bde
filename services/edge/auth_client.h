// The client of the auth service's Authenticate: a few long-lived streams of one worker, each carrying many exchanges.
//
// An exchange lives on the stream where it began. Whatever is not an explicit answer to a question that was asked is
// "cannot say" (AuthUnavailable): a deadline of 5 s, a stream that ends, an answer out of turn. Answers to unknown
// exchanges are dropped and counted. A stream whose answers stay away several times in a row is not asked for a while
// (circuit_breaker.h): who comes then hears so at once. A stream that is 4 to 5 min old, or whose server drains, gets a
// successor first; it then takes no new exchange and is half-closed when empty.
//
// Thread rule: the worker's thread; gRPC's threads only post. Exchanges must not outlive the client.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "gatepost/auth/v1/sasl_service.grpc.pb.h"
#include "services/base/backoff.h"
#include "services/base/clock.h"
#include "services/base/gate.h"
#include "services/base/random.h"
#include "services/edge/auth_exchange.h"
#include "services/edge/circuit_breaker.h"
#include "services/edge/grpc_stream.h"
#include "services/edge/one_shot.h"

namespace gatepost::edge {

class AuthClient final : public AuthService {
 public:
  struct Options {
    int streams;
    size_t exchanges_per_stream;
    base::Duration answer;
    base::Duration life_least;
    base::Duration life_most;
    base::Duration backoff_least;
    base::Duration backoff_most;
    CircuitBreaker::Options circuit;
  };
  static Options Defaults();

  struct Callbacks {
    std::function<void(const std::string& user, base::WallTime since)> on_revoked;
    std::function<void()> on_stray_answer;       // counted
    std::function<void(int change)> on_stream;   // one more, or less, that has spoken
    std::function<void(int change)> on_circuit;  // one more stream, or less, that is not asked for want of answers
  };

  // The references outlive the client; `gate` and `loop` outlive gRPC's streams.
  AuthClient(asio::any_io_executor worker, std::shared_ptr<grpc::Channel> channel, rpc::CompletionLoop& loop,
             base::Gate& gate, const base::Clock& clock, base::Random& random, Options options, Callbacks callbacks);
  ~AuthClient() override;

  void Start();
  // The streams end; exchanges end with "cannot say".
  void Stop();

  std::unique_ptr<AuthExchange> Begin(const AuthContext& context) override;
  std::vector<std::string> mechanisms() const override { return mechanisms_; }

 private:
  class Exchange;
  using Stream = GrpcStream<auth::v1::AuthenticateRequest, auth::v1::AuthenticateResponse>;

  // One stream.
  struct Line {
    Line(CircuitBreaker::Options options, base::Random& random) : circuit(options, random) {}
    std::shared_ptr<Stream> stream;
    std::unordered_map<uint64_t, Exchange*> exchanges;
    bool spoken = false;
    bool retiring = false;
    bool ended = false;
    CircuitBreaker circuit;
  };
  // The place of one stream and its successors.
  struct Slot {
    std::shared_ptr<Line> current;
    std::shared_ptr<Line> successor;
    std::unique_ptr<asio::steady_timer> timer;  // the next time to open a stream
    base::Backoff backoff;
  };

  void Open(Slot& slot);
  void After(Slot& slot, base::Duration delay);
  void OnMessage(Slot& slot, const std::shared_ptr<Line>& line, auth::v1::AuthenticateResponse& message);
  void OnEnd(Slot& slot, const std::shared_ptr<Line>& line);
  void OnAnswer(Line& line, auth::v1::AuthenticateResponse& message);
  void Retire(const std::shared_ptr<Line>& line);
  void Forget(Line& line, uint64_t id);
  bool Usable(Line& line) const;
  void CountFailure(Line& line);

  const asio::any_io_executor executor_;
  const std::unique_ptr<auth::v1::SaslService::Stub> stub_;
  rpc::CompletionLoop& loop_;
  base::Gate& gate_;
  const base::Clock& clock_;
  base::Random& random_;
  const Options options_;
  const Callbacks callbacks_;

  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::weak_ptr<Line>> retired_;  // They end by themselves; Stop() ends them too.
  size_t next_slot_ = 0;
  uint64_t last_id_ = 0;
  std::vector<std::string> mechanisms_;
  bool stopped_ = false;
};

}  // namespace gatepost::edge
