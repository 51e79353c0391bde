// The watch's client against a service in this process that does what the test says.
#include "services/edge/config_watch.h"

#include <grpcpp/grpcpp.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "gtest/gtest.h"
#include "services/base/fake_random.h"

namespace gatepost::edge {
namespace {

using config::v1::Unit;
using config::v1::WatchRequest;
using config::v1::WatchResponse;
using namespace std::chrono_literals;

constexpr auto kPatience = 20s;

// A queue between threads.
template <typename T>
class Mailbox {
 public:
  void Put(T value) {
    std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  std::optional<T> Take(std::chrono::milliseconds patience = kPatience) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [&] { return !values_.empty(); })) return std::nullopt;
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> values_;
};

// One stream as the service sees it.
class ServerStream {
 public:
  explicit ServerStream(grpc::ServerReaderWriter<WatchResponse, WatchRequest>* stream) : stream_(stream) {}

  void Send(const WatchResponse& response) { stream_->Write(response); }
  void SendUnit(const Unit& unit) {
    WatchResponse response;
    *response.mutable_unit() = unit;
    Send(response);
  }
  void End() { ended_.Put(true); }

  Mailbox<WatchRequest> requests;
  Mailbox<bool> half_closed;

 private:
  friend class FakeService;
  grpc::ServerReaderWriter<WatchResponse, WatchRequest>* stream_;
  Mailbox<bool> ended_;
};

class FakeService final : public config::v1::WatchService::Service {
 public:
  grpc::Status Watch(grpc::ServerContext* context,
                     grpc::ServerReaderWriter<WatchResponse, WatchRequest>* stream) override {
    auto server = std::make_shared<ServerStream>(stream);
    std::thread reader([server, stream] {
      WatchRequest request;
      while (stream->Read(&request)) server->requests.Put(request);
      server->half_closed.Put(true);
      server->End();
    });
    streams.Put(server);
    server->ended_.Take(60s);
    context->TryCancel();
    reader.join();
    return grpc::Status::OK;
  }
  Mailbox<std::shared_ptr<ServerStream>> streams;
};

class FakeConfiguration final : public Configuration {
 public:
  std::string epoch() const override { return epoch_; }
  int64_t revision() const override { return revision_; }
  void Apply(std::vector<Unit> chain, Answer answer) override {
    chains.Put(chain);
    if (!refusal.empty()) return answer(absl::InvalidArgumentError(refusal));
    epoch_ = chain.front().epoch();
    revision_ = chain.front().revision();
    Listeners listeners(1);
    listeners[0].set_port(2525);
    answer(std::move(listeners));
  }
  void OnConfirmed() override { confirmed.Put(true); }
  void OnConnected(bool connected) override { connections.Put(connected); }

  Mailbox<std::vector<Unit>> chains;
  Mailbox<bool> confirmed;
  Mailbox<bool> connections;
  std::string refusal;

 private:
  std::string epoch_;
  int64_t revision_ = 0;
};

class ConfigWatchTest : public testing::Test {
 protected:
  void StartServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(port_ == 0 ? "127.0.0.1:0" : "127.0.0.1:" + std::to_string(port_),
                             grpc::InsecureServerCredentials(), &port_);
    service_ = std::make_unique<FakeService>();
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }

  void StartWatch(base::Duration life = 1h) {
    auto options = ConfigWatch::Defaults();
    options.node_id = "node-1";
    options.version = "test";
    options.life_least = life;
    options.life_most = life;
    options.backoff_least = 1ms;
    options.backoff_most = 20ms;
    auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port_), grpc::InsecureChannelCredentials());
    watch_ = std::make_unique<ConfigWatch>(control_.get_executor(), channel, loop_, gate_, random_, configuration_, options);
    thread_ = std::thread([this] { control_.run(); });
    asio::post(control_, [this] { watch_->Start(); });
  }

  void TearDown() override {
    if (watch_) asio::post(control_, [this] { watch_->Stop(); });
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    gate_.Close();
    work_.reset();
    control_.stop();
    if (thread_.joinable()) thread_.join();
  }

  std::shared_ptr<ServerStream> NextStream() {
    auto stream = service_->streams.Take();
    return stream ? *stream : nullptr;
  }

  static Unit MakeUnit(int64_t revision, const std::string& nonce, bool more = false) {
    Unit unit;
    unit.set_epoch("e1");
    unit.set_revision(revision);
    unit.set_nonce(nonce);
    unit.set_reset(true);
    unit.set_more(more);
    return unit;
  }

  int port_ = 0;
  std::unique_ptr<FakeService> service_;
  std::unique_ptr<grpc::Server> server_;
  asio::io_context control_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{control_.get_executor()};
  rpc::CompletionLoop loop_;
  base::Gate gate_;
  base::FakeRandom random_;
  FakeConfiguration configuration_;
  std::unique_ptr<ConfigWatch> watch_;
  std::thread thread_;
};

TEST_F(ConfigWatchTest, StartNamesTheNodeAndUnitIsAcknowledgedWithListeners) {
  StartServer();
  StartWatch();
  auto stream = NextStream();
  ASSERT_NE(stream, nullptr);
  const auto start = stream->requests.Take();
  ASSERT_TRUE(start && start->has_start());
  EXPECT_EQ(start->start().node_id(), "node-1");
  EXPECT_EQ(start->start().epoch(), "");

  stream->SendUnit(MakeUnit(5, "n1"));
  const auto ack = stream->requests.Take();
  ASSERT_TRUE(ack && ack->has_ack());
  EXPECT_EQ(ack->ack().nonce(), "n1");
  ASSERT_EQ(ack->ack().listeners_size(), 1);
  EXPECT_EQ(ack->ack().listeners(0).port(), 2525u);
}

// Row 7 of the failures.
TEST_F(ConfigWatchTest, UnitThatCannotBeAppliedIsRefusedWithTheReason) {
  configuration_.refusal = "virtualServers/a: no key";
  StartServer();
  StartWatch();
  auto stream = NextStream();
  ASSERT_NE(stream, nullptr);
  stream->requests.Take();
  stream->SendUnit(MakeUnit(5, "n1"));
  const auto nack = stream->requests.Take();
  ASSERT_TRUE(nack && nack->has_nack());
  EXPECT_EQ(nack->nack().nonce(), "n1");
  EXPECT_EQ(nack->nack().reason(), "virtualServers/a: no key");
}

TEST_F(ConfigWatchTest, PiecesAreHandedOverTogetherAndAnsweredOnce) {
  StartServer();
  StartWatch();
  auto stream = NextStream();
  ASSERT_NE(stream, nullptr);
  stream->requests.Take();
  stream->SendUnit(MakeUnit(5, "n1", true));
  stream->SendUnit(MakeUnit(5, "n1", true));
  stream->SendUnit(MakeUnit(5, "n1"));
  const auto chain = configuration_.chains.Take();
  ASSERT_TRUE(chain);
  EXPECT_EQ(chain->size(), 3u);
  ASSERT_TRUE(stream->requests.Take()->has_ack());
  stream->SendUnit(MakeUnit(6, "n2"));
  const auto ack = stream->requests.Take();
  ASSERT_TRUE(ack && ack->has_ack());
  EXPECT_EQ(ack->ack().nonce(), "n2");
}

TEST_F(ConfigWatchTest, HeartbeatConfirmsWhatIsHeldAndIsNotAnswered) {
  StartServer();
  StartWatch();
  auto stream = NextStream();
  ASSERT_NE(stream, nullptr);
  stream->requests.Take();
  stream->SendUnit(MakeUnit(5, "n1"));
  ASSERT_TRUE(stream->requests.Take()->has_ack());
  ASSERT_TRUE(configuration_.confirmed.Take());
  stream->SendUnit(MakeUnit(5, ""));
  ASSERT_TRUE(configuration_.confirmed.Take());
  stream->SendUnit(MakeUnit(6, "n2"));
  const auto next = stream->requests.Take();
  ASSERT_TRUE(next && next->has_ack());
  EXPECT_EQ(next->ack().nonce(), "n2");
}

// Rows 4 and 10 of the failures: the service goes and comes back.
TEST_F(ConfigWatchTest, ReconnectsAndStatesWhatItHolds) {
  StartServer();
  StartWatch();
  auto stream = NextStream();
  ASSERT_NE(stream, nullptr);
  stream->requests.Take();
  stream->SendUnit(MakeUnit(5, "n1"));
  ASSERT_TRUE(stream->requests.Take()->has_ack());
  ASSERT_EQ(configuration_.connections.Take(), true);
  stream->End();
  stream.reset();
  EXPECT_EQ(configuration_.connections.Take(), false);
  auto again = NextStream();
  ASSERT_NE(again, nullptr);
  const auto start = again->requests.Take();
  ASSERT_TRUE(start && start->has_start());
  EXPECT_EQ(start->start().epoch(), "e1");
  EXPECT_EQ(start->start().revision(), 5);
}

TEST_F(ConfigWatchTest, DrainingServerIsLeftForANewStreamFirst) {
  StartServer();
  StartWatch();
  auto stream = NextStream();
  ASSERT_NE(stream, nullptr);
  stream->requests.Take();
  stream->SendUnit(MakeUnit(5, "n1"));
  ASSERT_TRUE(stream->requests.Take()->has_ack());
  WatchResponse draining;
  draining.mutable_draining();
  stream->Send(draining);
  auto successor = NextStream();
  ASSERT_NE(successor, nullptr);
  successor->requests.Take();
  successor->SendUnit(MakeUnit(5, ""));
  EXPECT_TRUE(stream->half_closed.Take());
  successor->SendUnit(MakeUnit(6, "n2"));
  EXPECT_TRUE(successor->requests.Take()->has_ack());
}

TEST_F(ConfigWatchTest, OldStreamIsReplacedByItself) {
  StartServer();
  StartWatch(50ms);
  auto stream = NextStream();
  ASSERT_NE(stream, nullptr);
  stream->requests.Take();
  stream->SendUnit(MakeUnit(5, "n1"));
  auto successor = NextStream();
  ASSERT_NE(successor, nullptr);
  successor->SendUnit(MakeUnit(5, ""));
  EXPECT_TRUE(stream->half_closed.Take());
}

}  // namespace
}  // namespace gatepost::edge
