#include "services/net/resolver.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>

#include <asio/posix/stream_descriptor.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <utility>

#include "services/base/strings.h"

namespace gatepost::net {
namespace {

using Addresses = std::vector<base::IpAddress>;

constexpr size_t kMostAddresses = 32;
constexpr size_t kMostNames = 1'000;
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
  AresResolver(asio::any_io_executor executor, const base::Clock& clock) : executor_(std::move(executor)), clock_(clock), tick_(executor_) {}

  ~AresResolver() override {
    *alive_ = false;
    if (channel_ != nullptr) ares_destroy(channel_);
    for (auto& [fd, socket] : sockets_) socket->descriptor.release();
  }

  absl::Status Open() {
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    if (library != ARES_SUCCESS) return absl::InternalError("c-ares cannot be initialised");
    ares_options options{};
    options.timeout = 1000;
    options.tries = 2;
    options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
      static_cast<AresResolver*>(self)->SocketState(fd, readable != 0, writable != 0);
    };
    options.sock_state_cb_data = this;
    const int status = ares_init_options(&channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) return absl::InternalError(ares_strerror(status));
    return absl::OkStatus();
  }

  asio::awaitable<absl::StatusOr<Addresses>> Resolve(std::string host, base::MonotonicTime deadline) override {
    if (absl::StatusOr<base::IpAddress> literal = base::IpAddress::Parse(host); literal.ok()) co_return Addresses{*literal};
    host = base::AsciiLower(host);
    const auto known = cache_.find(host);
    if (known != cache_.end() && clock_.Now() < known->second.fresh_until) {
      if (known->second.addresses.empty()) co_return absl::NotFoundError(base::ToAbsl(base::StrCat("no address for ", host)));
      co_return known->second.addresses;
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
  struct Known {
    Addresses addresses;  // empty: there are none
    base::MonotonicTime fresh_until;
  };
  struct Socket {
    Socket(const asio::any_io_executor& executor, int fd) : descriptor(executor, fd) {}
    asio::posix::stream_descriptor descriptor;
    bool want_read = false;
    bool want_write = false;
    bool reading = false;
    bool writing = false;
  };

  void Ask(const std::string& host, const std::shared_ptr<Question>& question) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    auto* argument = new std::shared_ptr<Question>(question);
    ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &AresResolver::Answered, argument);
    ScheduleTick();
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
      Keep(host, Known{question.addresses, now + std::clamp(question.ttl, kShortestTtl, kLongestTtl)});
      return question.addresses;
    }
    if (absl::IsNotFound(question.status)) {
      Keep(host, Known{{}, now + kNegativeTtl});
      return question.status;
    }
    // DNS cannot say: what was true before is the better answer.
    const auto stale = cache_.find(host);
    if (stale != cache_.end() && !stale->second.addresses.empty()) return stale->second.addresses;
    return question.status;
  }

  void Keep(const std::string& host, Known known) {
    if (cache_.size() >= kMostNames && !cache_.contains(host)) cache_.erase(cache_.begin());
    cache_[host] = std::move(known);
  }

  void SocketState(int fd, bool readable, bool writable) {
    auto it = sockets_.find(fd);
    if (!readable && !writable) {
      if (it == sockets_.end()) return;
      it->second->descriptor.release();  // c-ares closes it; what waits ends aborted
      sockets_.erase(it);
      return;
    }
    if (it == sockets_.end()) it = sockets_.emplace(fd, std::make_shared<Socket>(executor_, fd)).first;
    it->second->want_read = readable;
    it->second->want_write = writable;
    Watch(fd, it->second);
  }

  void Watch(int fd, const std::shared_ptr<Socket>& socket) {
    using Descriptor = asio::posix::stream_descriptor;
    if (socket->want_read && !std::exchange(socket->reading, true)) {
      socket->descriptor.async_wait(Descriptor::wait_read, [this, alive = alive_, fd, socket](const std::error_code& error) {
        socket->reading = false;
        if (!*alive || error) return;
        ares_process_fd(channel_, fd, ARES_SOCKET_BAD);
        Again(fd, socket);
      });
    }
    if (socket->want_write && !std::exchange(socket->writing, true)) {
      socket->descriptor.async_wait(Descriptor::wait_write, [this, alive = alive_, fd, socket](const std::error_code& error) {
        socket->writing = false;
        if (!*alive || error) return;
        ares_process_fd(channel_, ARES_SOCKET_BAD, fd);
        Again(fd, socket);
      });
    }
  }

  void Again(int fd, const std::shared_ptr<Socket>& socket) {
    const auto it = sockets_.find(fd);
    if (it != sockets_.end() && it->second == socket) Watch(fd, socket);
  }

  // c-ares resends and gives up by time: it is called while any question is on its way.
  void ScheduleTick() {
    timeval longest{1, 0};
    timeval next{};
    const timeval* wait = ares_timeout(channel_, &longest, &next);
    if (sockets_.empty() || std::exchange(ticking_, true)) return;
    tick_.expires_after(std::chrono::seconds(wait->tv_sec) + std::chrono::microseconds(wait->tv_usec) + std::chrono::milliseconds(1));
    tick_.async_wait([this, alive = alive_](const std::error_code& error) {
      if (!*alive) return;
      ticking_ = false;
      if (error) return;
      ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      ScheduleTick();
    });
  }

  asio::any_io_executor executor_;
  const base::Clock& clock_;
  ares_channel channel_ = nullptr;
  asio::steady_timer tick_;
  bool ticking_ = false;
  std::map<int, std::shared_ptr<Socket>> sockets_;
  std::map<std::string, Known> cache_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Resolver>> MakeResolver(const asio::any_io_executor& executor, const base::Clock& clock) {
  auto resolver = std::make_unique<AresResolver>(executor, clock);
  if (absl::Status status = resolver->Open(); !status.ok()) return status;
  return resolver;
}

}  // namespace gatepost::net
