#include "services/net/resolver.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>

#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "services/base/strings.h"
#include "services/net/ares_channel.h"
#include "services/net/dns_cache.h"

namespace gatepost::net {
namespace {

using Addresses = std::vector<base::IpAddress>;

constexpr size_t kMostAddresses = 32;
constexpr size_t kMostNames = 1'000;
constexpr size_t kMostOctets = 1 << 20;
constexpr std::chrono::seconds kShortestTtl{5};
constexpr std::chrono::seconds kLongestTtl{3600};
constexpr std::chrono::seconds kNegativeTtl{5};

// One question on its way; shared by c-ares' callback and who waits, who may be gone before the answer.
struct Question {
  explicit Question(const asio::any_io_executor& executor) : done(executor) {}
  asio::steady_timer done;  // cancelled when the answer is there
  bool answered = false;
  absl::Status status;
  Addresses addresses;
  std::chrono::seconds ttl = kLongestTtl;
};

class AresResolver final : public Resolver {
 public:
  AresResolver(asio::any_io_executor executor, const base::Clock& clock) : executor_(std::move(executor)), clock_(clock) {}
  ~AresResolver() override { *alive_ = false; }

  absl::Status Open(const std::vector<base::Endpoint>& servers) {
    absl::StatusOr<std::unique_ptr<AresChannel>> channel = AresChannel::Open(executor_, servers);
    if (!channel.ok()) return channel.status();
    channel_ = *std::move(channel);
    return absl::OkStatus();
  }

  asio::awaitable<absl::StatusOr<Addresses>> Resolve(std::string host, base::MonotonicTime deadline) override {
    if (absl::StatusOr<base::IpAddress> literal = base::IpAddress::Parse(host); literal.ok()) co_return Addresses{*literal};
    host = base::AsciiLower(host);
    if (const Addresses* known = cache_.FindFresh(host, clock_.Now()); known != nullptr) {
      if (known->empty()) co_return absl::NotFoundError(base::ToAbsl(base::StrCat("no address for ", host)));
      co_return *known;
    }
    auto question = std::make_shared<Question>(executor_);
    const std::shared_ptr<const bool> alive = alive_;
    question->done.expires_at(deadline);
    Ask(host, question);
    while (!question->answered) {
      std::error_code error;
      co_await question->done.async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (!error) break;  // the deadline
    }
    if (!*alive) co_return absl::CancelledError("the resolver is gone");
    if (!question->answered) question->status = absl::DeadlineExceededError(base::ToAbsl(base::StrCat("resolving ", host)));
    co_return Conclude(host, *question);
  }

 private:
  void Ask(const std::string& host, const std::shared_ptr<Question>& question) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    auto* argument = new std::shared_ptr<Question>(question);
    ares_getaddrinfo(channel_->raw(), host.c_str(), nullptr, &hints, &AresResolver::Answered, argument);
    channel_->Asked();
  }

  static void Answered(void* argument, int status, int /*timeouts*/, ares_addrinfo* result) {
    const std::unique_ptr<std::shared_ptr<Question>> holder(static_cast<std::shared_ptr<Question>*>(argument));
    Question& question = **holder;
    if (status == ARES_SUCCESS && result != nullptr) {
      for (const ares_addrinfo_node* node = result->nodes; node != nullptr && question.addresses.size() < kMostAddresses; node = node->ai_next) {
        question.ttl = std::min(question.ttl, std::chrono::seconds(std::max(node->ai_ttl, 0)));
        if (node->ai_family == AF_INET) {
          question.addresses.push_back(base::IpAddress::V4(ntohl(reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr.s_addr)));
        } else if (node->ai_family == AF_INET6) {
          std::array<uint8_t, 16> octets;
          std::memcpy(octets.data(), &reinterpret_cast<const sockaddr_in6*>(node->ai_addr)->sin6_addr, octets.size());
          question.addresses.push_back(base::IpAddress::V6(octets));
        }
      }
    } else if (status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME) {
      question.status = absl::NotFoundError(ares_strerror(status));
    } else {
      question.status = absl::UnavailableError(ares_strerror(status));
    }
    if (result != nullptr) ares_freeaddrinfo(result);
    question.answered = true;
    question.done.cancel();
  }

  absl::StatusOr<Addresses> Conclude(const std::string& host, Question& question) {
    const base::MonotonicTime now = clock_.Now();
    if (question.status.ok() && question.addresses.empty()) question.status = absl::NotFoundError(base::ToAbsl(base::StrCat("no address for ", host)));
    if (question.status.ok()) {
      // IPv4 first, each in the order of the answer: it is what a next hop most surely has.
      std::stable_partition(question.addresses.begin(), question.addresses.end(), [](const base::IpAddress& a) { return a.is_v4(); });
      Keep(host, question.addresses, now + std::clamp(question.ttl, kShortestTtl, kLongestTtl));
      return question.addresses;
    }
    if (absl::IsNotFound(question.status)) {
      Keep(host, {}, now + kNegativeTtl);
      return question.status;
    }
    // DNS cannot say: what was true before is the better answer.
    if (const Addresses* stale = cache_.FindAny(host); stale != nullptr && !stale->empty()) return *stale;
    return question.status;
  }

  void Keep(const std::string& host, Addresses addresses, base::MonotonicTime fresh_until) {
    const size_t octets = addresses.size() * sizeof(base::IpAddress);
    cache_.Keep(host, std::move(addresses), octets, fresh_until);
  }

  const asio::any_io_executor executor_;
  const base::Clock& clock_;
  DnsCache<Addresses> cache_{{kMostNames, kMostOctets}};  // empty: there are none
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<AresChannel> channel_;  // the last: it calls back while it goes
};

}  // namespace

absl::StatusOr<std::unique_ptr<Resolver>> MakeResolver(const asio::any_io_executor& executor, const base::Clock& clock,
                                                        const std::vector<base::Endpoint>& servers) {
  auto resolver = std::make_unique<AresResolver>(executor, clock);
  if (absl::Status status = resolver->Open(servers); !status.ok()) return status;
  return resolver;
}

}  // namespace gatepost::net
