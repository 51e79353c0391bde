// An auth service that cannot be trusted to answer: what it does is named by the login of AUTH PLAIN. It has the real
// one's identity, so that nothing but its answers is wrong.
//   false_auth HOST:PORT CERT KEY CA
// Logins: `right` a success; `other` a success for another exchange; `early` successes for the exchanges that follow,
// and for itself that it cannot say; `empty` a success of nobody; `acting` a success as somebody else; `unknown` a
// failure of a category that nobody knows; `nothing` an answer that says nothing; `unasked` a challenge, and a success
// before its response; `late` a success after 10 s; `ends` the stream ends. Whatever else: silence. Ends with its
// standard input.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gatepost/auth/v1/sasl_service.grpc.pb.h"
#include "services/rpc/server.h"

namespace {

using gatepost::auth::v1::AuthenticateRequest;
using gatepost::auth::v1::AuthenticateResponse;
using Stream = grpc::ServerReaderWriter<AuthenticateResponse, AuthenticateRequest>;

constexpr std::chrono::seconds kLate{10};
// How many exchanges `early` has an answer for.
constexpr uint64_t kEarly = 20;

AuthenticateResponse SuccessFor(uint64_t id) {
  AuthenticateResponse response;
  response.set_exchange_id(id);
  response.mutable_success()->set_user("users/alice");
  response.mutable_success()->set_login("alice@example.com");
  response.mutable_success()->set_may_submit(true);
  response.mutable_success()->set_may_relay(true);
  return response;
}

class FalseAuth final : public gatepost::auth::v1::SaslService::Service {
 public:
  grpc::Status Authenticate(grpc::ServerContext*, Stream* stream) override {
    std::mutex mutex;  // of the stream's writes
    std::condition_variable ended;
    bool over = false;
    std::vector<std::thread> late;
    const auto say = [&](const AuthenticateResponse& response) {
      std::lock_guard lock(mutex);
      stream->Write(response);
    };
    AuthenticateResponse hello;
    hello.mutable_mechanisms()->add_names("PLAIN");
    say(hello);
    AuthenticateRequest request;
    while (stream->Read(&request)) {
      if (!request.has_start()) continue;
      const uint64_t id = request.exchange_id();
      // authzid NUL login NUL password
      const std::string& message = request.start().initial_response();
      const std::string login = message.substr(1, message.find('\0', 1) - 1);
      AuthenticateResponse response;
      response.set_exchange_id(id);
      if (login == "right") {
        say(SuccessFor(id));
      } else if (login == "other") {
        say(SuccessFor(id + 1'000'000));
      } else if (login == "early") {
        for (uint64_t next = id + 1; next <= id + kEarly; ++next) say(SuccessFor(next));
        response.mutable_failure()->set_category(gatepost::auth::v1::Failure::UNAVAILABLE);
        say(response);
      } else if (login == "empty") {
        response.mutable_success();
        say(response);
      } else if (login == "acting") {
        response = SuccessFor(id);
        response.mutable_success()->set_authzid("root@example.com");
        say(response);
      } else if (login == "unknown") {
        response.mutable_failure()->set_category(static_cast<gatepost::auth::v1::Failure::Category>(77));
        say(response);
      } else if (login == "nothing") {
        say(response);
      } else if (login == "unasked") {
        response.mutable_challenge()->set_data("");
        say(response);
        say(SuccessFor(id));
      } else if (login == "late") {
        late.emplace_back([&, id] {
          std::unique_lock lock(mutex);
          if (!ended.wait_for(lock, kLate, [&] { return over; })) stream->Write(SuccessFor(id));
        });
      } else if (login == "ends") {
        break;
      }
    }
    {
      std::lock_guard lock(mutex);
      over = true;
    }
    ended.notify_all();
    for (std::thread& thread : late) thread.join();
    return grpc::Status::OK;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: false_auth HOST:PORT CERT KEY CA\n");
    return 2;
  }
  FalseAuth service;
  gatepost::rpc::ServerOptions options;
  options.listen = argv[1];
  options.identity.cert = argv[2];
  options.identity.key = argv[3];
  options.identity.ca = argv[4];
  gatepost::rpc::HealthService health;
  auto server = gatepost::rpc::StartServer(options, {&service}, health);
  if (!server.ok()) {
    std::fprintf(stderr, "false_auth: %s\n", server.status().ToString().c_str());
    return 1;
  }
  char octet = 0;
  while (read(STDIN_FILENO, &octet, 1) > 0) {
  }
  return 0;
}
