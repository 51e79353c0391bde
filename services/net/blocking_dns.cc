#include "services/net/blocking_dns.h"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <atomic>
#include <future>
#include <thread>
#include <utility>

#include "services/base/gate.h"

namespace gatepost::net {
namespace {

using Replies = std::vector<DnsReply>;

// (By value: a coroutine outlives its caller's frame.)
asio::awaitable<void> Fulfil(Dns* dns, std::vector<DnsQuestion> questions, base::MonotonicTime deadline,
                             std::shared_ptr<std::promise<Replies>> promise) {
  promise->set_value(co_await dns->Ask(std::move(questions), deadline));
}

class DnsThread final : public BlockingDns {
 public:
  explicit DnsThread(size_t most_asking) : most_asking_(most_asking) {}

  absl::Status Open(const base::Clock& clock, const DnsOptions& options) {
    absl::StatusOr<std::unique_ptr<Dns>> dns = MakeDns(context_.get_executor(), clock, options);
    if (!dns.ok()) return dns.status();
    dns_ = *std::move(dns);
    thread_ = std::thread([this] { context_.run(); });
    return absl::OkStatus();
  }

  ~DnsThread() override {
    gate_.Close();
    work_.reset();
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Replies Ask(std::vector<DnsQuestion> questions, base::MonotonicTime deadline) override {
    const base::Gate::Pass pass = gate_.Enter();
    const size_t asking = asking_.fetch_add(1);
    Replies replies;
    if (!pass || asking >= most_asking_) {
      replies.assign(questions.size(), {.outcome = DnsOutcome::kFailed, .cached = false, .records = {}});
    } else {
      const auto promise = std::make_shared<std::promise<Replies>>();
      std::future<Replies> answered = promise->get_future();
      asio::co_spawn(context_, Fulfil(dns_.get(), std::move(questions), deadline, promise), asio::detached);
      replies = answered.get();
    }
    asking_.fetch_sub(1);
    return replies;
  }

 private:
  const size_t most_asking_;
  std::atomic<size_t> asking_ = 0;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  std::unique_ptr<Dns> dns_;  // the thread's
  base::Gate gate_;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BlockingDns>> StartBlockingDns(const base::Clock& clock, const DnsOptions& options,
                                                              size_t most_asking) {
  auto dns = std::make_unique<DnsThread>(most_asking);
  if (absl::Status status = dns->Open(clock, options); !status.ok()) return status;
  return dns;
}

}  // namespace gatepost::net
