// The auth service's client against a service in this process that does what the test says. Row 12 of the failures, A13
// of the threats: whatever is not an answer to what was asked is "cannot say", never success and never a wrong
// password.
#include "services/edge/auth_client.h"

#include <grpcpp/grpcpp.h>

#include <asio/co_spawn.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/use_future.hpp>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "gtest/gtest.h"
#include "services/base/fake_random.h"

namespace gatepost::edge {
namespace {

using auth::v1::AuthenticateRequest;
using auth::v1::AuthenticateResponse;
using namespace std::chrono_literals;

template <typename T>
class Mailbox {
 public:
  void Put(T value) {
    std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  std::optional<T> Take(std::chrono::milliseconds patience = 20s) {
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

struct ServerStream {
  grpc::ServerReaderWriter<AuthenticateResponse, AuthenticateRequest>* stream;
  Mailbox<AuthenticateRequest> requests;
  Mailbox<bool> half_closed;
  Mailbox<bool> end;

  void Send(const AuthenticateResponse& response) { stream->Write(response); }
  void SendMechanisms(const std::vector<std::string>& mechanisms) {
    AuthenticateResponse response;
    for (const auto& mechanism : mechanisms) response.mutable_mechanisms()->add_names(mechanism);
    Send(response);
  }
  void SendSuccess(uint64_t id) {
    AuthenticateResponse response;
    response.set_exchange_id(id);
    response.mutable_success()->set_user("users/alice");
    response.mutable_success()->set_login("alice@example.com");
    response.mutable_success()->set_may_relay(true);
    response.mutable_success()->add_groups("groups/staff");
    response.mutable_success()->add_addresses("sales@example.com");
    response.mutable_success()->add_senders("@example.com");
    Send(response);
  }
};

class FakeService final : public auth::v1::SaslService::Service {
 public:
  grpc::Status Authenticate(grpc::ServerContext* context,
                            grpc::ServerReaderWriter<AuthenticateResponse, AuthenticateRequest>* stream) override {
    auto server = std::make_shared<ServerStream>();
    server->stream = stream;
    std::thread reader([server, stream] {
      AuthenticateRequest request;
      while (stream->Read(&request)) server->requests.Put(request);
      server->half_closed.Put(true);
      server->end.Put(true);
    });
    streams.Put(server);
    server->end.Take(60s);
    context->TryCancel();
    reader.join();
    return grpc::Status::OK;
  }
  Mailbox<std::shared_ptr<ServerStream>> streams;
};

class AuthClientTest : public testing::Test {
 protected:
  void SetUp() override {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    thread_ = std::thread([this] { worker_.run(); });
    options_ = AuthClient::Defaults();
    options_.streams = 1;
    options_.life_least = options_.life_most = 1h;
    options_.backoff_least = 1ms;
    options_.backoff_most = 20ms;
  }

  void StartClient() {
    auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port_), grpc::InsecureChannelCredentials());
    AuthClient::Callbacks callbacks{
        .on_revoked = [this](const std::string& user, base::WallTime) { revoked_.Put(user); },
        .on_stray_answer = [this] { stray_.Put(true); },
        .on_stream = [this](int change) { streams_.Put(change); },
        .on_circuit = [this](int change) { circuits_.Put(change); }};
    OnWorker([&] {
      client_ = std::make_unique<AuthClient>(worker_.get_executor(), channel, loop_, gate_, clock_, random_, options_,
                                             std::move(callbacks));
      client_->Start();
    });
  }

  // A stream whose client has heard what it serves.
  std::shared_ptr<ServerStream> Spoken() {
    auto stream = service_.streams.Take();
    if (!stream) return nullptr;
    (*stream)->SendMechanisms({"PLAIN", "LOGIN"});
    EXPECT_EQ(streams_.Take(), 1);
    return *stream;
  }

  void TearDown() override {
    if (client_) OnWorker([&] { client_->Stop(); });
    server_->Shutdown(std::chrono::system_clock::now());
    gate_.Close();
    if (client_) OnWorker([&] { client_.reset(); });
    work_.reset();
    worker_.stop();
    thread_.join();
  }

  template <typename Work>
  void OnWorker(Work work) {
    std::packaged_task<void()> task(work);
    auto done = task.get_future();
    asio::post(worker_, [&task] { task(); });  // (Asio would take the future of a packaged_task for itself.)
    done.get();
  }

  // One exchange from its start: the answer to the initial response.
  static asio::awaitable<smtp::AuthAnswer> Plain(AuthClient* client) {
    auto exchange = client->Begin({.virtual_server = "virtualServers/a", .session_id = "s1", .address = "192.0.2.1"});
    if (!exchange) co_return smtp::AuthAnswer{smtp::AuthUnavailable{}};
    smtp::AuthAnswer answer = co_await exchange->Start("PLAIN", "\0u\0p");
    co_return answer;
  }
  static asio::awaitable<smtp::AuthAnswer> Login(AuthClient* client) {
    auto exchange = client->Begin({.virtual_server = "virtualServers/a", .session_id = "s1", .address = "192.0.2.1"});
    if (!exchange) co_return smtp::AuthAnswer{smtp::AuthUnavailable{}};
    smtp::AuthAnswer answer = co_await exchange->Start("LOGIN", std::nullopt);
    while (std::holds_alternative<smtp::AuthChallenge>(answer.answer)) answer = co_await exchange->Respond("word");
    co_return answer;
  }
  template <typename Exchange>
  std::future<smtp::AuthAnswer> Run(Exchange exchange) {
    return asio::co_spawn(worker_, exchange(client_.get()), asio::use_future);
  }
  template <typename Kind>
  static bool Is(const smtp::AuthAnswer& answer) {
    return std::holds_alternative<Kind>(answer.answer);
  }

  int port_ = 0;
  FakeService service_;
  std::unique_ptr<grpc::Server> server_;
  asio::io_context worker_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{worker_.get_executor()};
  std::thread thread_;
  rpc::CompletionLoop loop_;
  base::Gate gate_;
  base::SystemClock clock_;
  base::FakeRandom random_;
  AuthClient::Options options_;
  std::unique_ptr<AuthClient> client_;
  Mailbox<std::string> revoked_;
  Mailbox<bool> stray_;
  Mailbox<int> streams_;
  Mailbox<int> circuits_;
};

TEST_F(AuthClientTest, SuccessCarriesTheIdentity) {
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  auto answer = Run(Plain);
  const auto request = stream->requests.Take();
  ASSERT_TRUE(request && request->has_start());
  EXPECT_EQ(request->start().mechanism(), "PLAIN");
  EXPECT_EQ(request->start().virtual_server(), "virtualServers/a");
  stream->SendSuccess(request->exchange_id());
  const smtp::AuthAnswer result = answer.get();
  ASSERT_TRUE(Is<smtp::AuthSuccess>(result));
  const policy::Identity& identity = std::get<smtp::AuthSuccess>(result.answer).identity;
  EXPECT_EQ(identity.login, "alice@example.com");
  EXPECT_EQ(identity.groups, std::vector<std::string>{"groups/staff"});
  EXPECT_EQ(identity.addresses, std::vector<std::string>{"sales@example.com"});
  EXPECT_EQ(identity.senders, std::vector<std::string>{"@example.com"});
}

TEST_F(AuthClientTest, ChallengesGoOnOnTheSameExchange) {
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  auto answer = Run(Login);
  auto request = stream->requests.Take();
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->start().has_initial_response());
  const uint64_t id = request->exchange_id();
  for (const char* prompt : {"Username:", "Password:"}) {
    AuthenticateResponse challenge;
    challenge.set_exchange_id(id);
    challenge.mutable_challenge()->set_data(prompt);
    stream->Send(challenge);
    request = stream->requests.Take();
    ASSERT_TRUE(request);
    EXPECT_EQ(request->exchange_id(), id);
    EXPECT_EQ(request->response().data(), "word");
  }
  AuthenticateResponse failure;
  failure.set_exchange_id(id);
  failure.mutable_failure()->set_category(auth::v1::Failure::CREDENTIALS);
  stream->Send(failure);
  EXPECT_TRUE(Is<smtp::AuthFailure>(answer.get()));
}

TEST_F(AuthClientTest, NoServiceIsUnavailableAtOnce) {
  server_->Shutdown(std::chrono::system_clock::now());
  StartClient();
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(Run(Plain).get()));
}

TEST_F(AuthClientTest, SlowAnswerIsUnavailableAndLateSuccessCountsForNothing) {
  options_.answer = 50ms;
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  auto answer = Run(Plain);
  const auto request = stream->requests.Take();
  ASSERT_TRUE(request);
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(answer.get()));
  const auto cancel = stream->requests.Take();
  ASSERT_TRUE(cancel && cancel->has_cancel());
  EXPECT_EQ(cancel->exchange_id(), request->exchange_id());
  stream->SendSuccess(request->exchange_id());
  EXPECT_TRUE(stray_.Take());
}

TEST_F(AuthClientTest, AnswerToAnotherExchangeIsDroppedAndCounted) {
  options_.answer = 200ms;
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  auto answer = Run(Plain);
  const auto request = stream->requests.Take();
  ASSERT_TRUE(request);
  stream->SendSuccess(request->exchange_id() + 1);
  EXPECT_TRUE(stray_.Take());
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(answer.get()));
}

TEST_F(AuthClientTest, SecondAnswerOutOfTurnSpoilsTheExchange) {
  options_.answer = 200ms;
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  // The exchange is held between its challenge and its response while the service says "success" unasked.
  std::unique_ptr<AuthExchange> exchange;
  OnWorker([&] { exchange = client_->Begin({.virtual_server = "virtualServers/a"}); });
  ASSERT_NE(exchange, nullptr);
  auto first = asio::co_spawn(worker_, exchange->Start("LOGIN", std::nullopt), asio::use_future);
  const auto request = stream->requests.Take();
  ASSERT_TRUE(request);
  AuthenticateResponse challenge;
  challenge.set_exchange_id(request->exchange_id());
  challenge.mutable_challenge()->set_data("Username:");
  stream->Send(challenge);
  EXPECT_TRUE(Is<smtp::AuthChallenge>(first.get()));
  stream->SendSuccess(request->exchange_id());
  EXPECT_TRUE(stray_.Take());
  auto second = asio::co_spawn(worker_, exchange->Respond("u"), asio::use_future);
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(second.get()));
  OnWorker([&] { exchange.reset(); });
}

TEST_F(AuthClientTest, UnknownCategoryAndEmptySuccessAreUnavailable) {
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  auto answer = Run(Plain);
  auto request = stream->requests.Take();
  AuthenticateResponse unknown;
  unknown.set_exchange_id(request->exchange_id());
  unknown.mutable_failure()->set_category(static_cast<auth::v1::Failure::Category>(77));
  stream->Send(unknown);
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(answer.get()));

  answer = Run(Plain);
  request = stream->requests.Take();
  AuthenticateResponse empty;
  empty.set_exchange_id(request->exchange_id());
  empty.mutable_success();
  stream->Send(empty);
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(answer.get()));
}

TEST_F(AuthClientTest, BrokenStreamEndsItsExchangesAndANewOneServes) {
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  auto answer = Run(Plain);
  ASSERT_TRUE(stream->requests.Take());
  stream->end.Put(true);
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(answer.get()));
  EXPECT_EQ(streams_.Take(), -1);
  auto again = Spoken();
  ASSERT_NE(again, nullptr);
  answer = Run(Plain);
  const auto request = again->requests.Take();
  ASSERT_TRUE(request);
  again->SendSuccess(request->exchange_id());
  EXPECT_TRUE(Is<smtp::AuthSuccess>(answer.get()));
}

TEST_F(AuthClientTest, UnansweredExchangesOpenTheCircuit) {
  options_.answer = 20ms;
  options_.circuit = {.failures = 2, .open_least = 1h, .open_most = 2h};
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(Run(Plain).get()));
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(Run(Plain).get()));
  EXPECT_EQ(circuits_.Take(), 1);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(stream->requests.Take());  // Two starts, two cancels.
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(Run(Plain).get()));
  EXPECT_FALSE(stream->requests.Take(100ms)) << "the third was sent";
  // With its stream the circuit is gone.
  stream->end.Put(true);
  EXPECT_EQ(circuits_.Take(), -1);
}

TEST_F(AuthClientTest, OneExchangeTriesAgainAndItsAnswerClosesTheCircuit) {
  options_.answer = 2s;
  options_.circuit = {.failures = 1, .open_least = 1ms, .open_most = 1ms};
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(Run(Plain).get()));
  EXPECT_EQ(circuits_.Take(), 1);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(stream->requests.Take());
  std::future<smtp::AuthAnswer> probe;
  std::optional<AuthenticateRequest> request;
  do {  // Until the circuit is half open.
    probe = Run(Plain);
    request = stream->requests.Take(100ms);
  } while (!request);
  stream->SendSuccess(request->exchange_id());
  EXPECT_TRUE(Is<smtp::AuthSuccess>(probe.get()));
  EXPECT_EQ(circuits_.Take(), -1);
}

TEST_F(AuthClientTest, ExchangesInFlightAreBounded) {
  options_.exchanges_per_stream = 2;
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  auto first = Run(Plain);
  auto second = Run(Plain);
  const auto one = stream->requests.Take();
  const auto two = stream->requests.Take();
  ASSERT_TRUE(one && two);
  EXPECT_TRUE(Is<smtp::AuthUnavailable>(Run(Plain).get()));
  stream->SendSuccess(two->exchange_id());
  stream->SendSuccess(one->exchange_id());
  EXPECT_TRUE(Is<smtp::AuthSuccess>(first.get()));
  EXPECT_TRUE(Is<smtp::AuthSuccess>(second.get()));
}

TEST_F(AuthClientTest, DrainingStreamKeepsItsExchangesAndTakesNoNewOne) {
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  auto old = Run(Plain);
  const auto request = stream->requests.Take();
  ASSERT_TRUE(request);
  AuthenticateResponse draining;
  draining.mutable_draining();
  stream->Send(draining);
  EXPECT_EQ(streams_.Take(), -1);
  auto successor = Spoken();
  ASSERT_NE(successor, nullptr);
  auto fresh = Run(Plain);
  const auto other = successor->requests.Take();
  ASSERT_TRUE(other);
  successor->SendSuccess(other->exchange_id());
  EXPECT_TRUE(Is<smtp::AuthSuccess>(fresh.get()));
  stream->SendSuccess(request->exchange_id());
  EXPECT_TRUE(Is<smtp::AuthSuccess>(old.get()));
  EXPECT_TRUE(stream->half_closed.Take());
}

TEST_F(AuthClientTest, RevocationsArePassedOnAndMechanismsKept) {
  StartClient();
  auto stream = Spoken();
  ASSERT_NE(stream, nullptr);
  AuthenticateResponse revoked;
  revoked.mutable_revoked()->set_user("users/alice");
  stream->Send(revoked);
  EXPECT_EQ(revoked_.Take(), "users/alice");
  stream->end.Put(true);
  EXPECT_EQ(streams_.Take(), -1);
  std::vector<std::string> mechanisms;
  OnWorker([&] { mechanisms = client_->mechanisms(); });
  EXPECT_EQ(mechanisms, (std::vector<std::string>{"PLAIN", "LOGIN"}));
}

}  // namespace
}  // namespace gatepost::edge
