#include "services/net/dns.h"

#include <absl/container/flat_hash_map.h>
#include <arpa/nameser.h>

#include <algorithm>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <utility>

#include "services/base/strings.h"
#include "services/net/ares_channel.h"
#include "services/net/dns_cache.h"

namespace gatepost::net {
namespace {

// Who waits for some questions.
struct Waiter {
  explicit Waiter(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;  // cancelled when nothing is open any more
  size_t open = 0;
};

// One question on its way.
struct Flight {
  std::string key;
  DnsQuestion question;
  bool landed = false;
  DnsReply reply;
  std::vector<std::shared_ptr<Waiter>> waiters;
};

// Names differ in case only to people.
std::string KeyOf(const DnsQuestion& question) {
  return base::StrCat(static_cast<uint16_t>(question.type), ' ', base::AsciiLower(question.name));
}

size_t OctetsOf(const DnsReply& reply) {
  size_t octets = sizeof reply + reply.records.addresses.size() * sizeof(base::IpAddress);
  for (const std::string& name : reply.records.names) octets += sizeof name + name.size();
  return octets;
}

DnsReply ToReply(const DnsQuestion& question, int status, std::string_view message) {
  DnsReply reply;
  switch (status) {
    case ARES_SUCCESS: {
      std::optional<DnsRecords> records = ParseDnsAnswer(message, question.name, question.type);
      if (!records) {
        reply.outcome = DnsOutcome::kFailed;
      } else if (records->empty()) {
        reply.outcome = DnsOutcome::kNone;
      } else {
        reply.outcome = DnsOutcome::kAnswered;
        reply.records = *std::move(records);
      }
      return reply;
    }
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
      reply.outcome = DnsOutcome::kNone;
      return reply;
    case ARES_ETIMEOUT:
      reply.outcome = DnsOutcome::kTimedOut;
      return reply;
    default:
      reply.outcome = DnsOutcome::kFailed;
      return reply;
  }
}

class AresDns final : public Dns {
 public:
  AresDns(asio::any_io_executor executor, const base::Clock& clock, const DnsOptions& options)
      : executor_(std::move(executor)),
        clock_(clock),
        options_(options),
        cache_({options.cache_entries, options.cache_octets}) {}

  absl::Status Open() {
    absl::StatusOr<std::unique_ptr<AresChannel>> channel = AresChannel::Open(executor_, options_.servers);
    if (!channel.ok()) return channel.status();
    channel_ = *std::move(channel);
    return absl::OkStatus();
  }

  // (After an await this may be gone: what is used then is the coroutine's own.)
  asio::awaitable<std::vector<DnsReply>> Ask(std::vector<DnsQuestion> questions,
                                             base::MonotonicTime deadline) override {
    std::vector<DnsReply> replies(questions.size());
    std::vector<std::shared_ptr<const Flight>> flights(questions.size());
    const auto waiter = std::make_shared<Waiter>(executor_);
    for (size_t i = 0; i < questions.size(); ++i) flights[i] = Answer(std::move(questions[i]), waiter, &replies[i]);
    waiter->timer.expires_at(deadline);
    while (waiter->open > 0) {
      std::error_code error;
      co_await waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (!error) break;  // the deadline
    }
    for (size_t i = 0; i < flights.size(); ++i) {
      if (flights[i] != nullptr && flights[i]->landed) replies[i] = flights[i]->reply;
    }
    co_return replies;
  }

 private:
  // From what is known, or else the flight that will tell.
  std::shared_ptr<const Flight> Answer(DnsQuestion question, const std::shared_ptr<Waiter>& waiter, DnsReply* reply) {
    std::string key = KeyOf(question);
    if (const DnsReply* known = cache_.FindFresh(key, clock_.Now()); known != nullptr) {
      *reply = *known;
      reply->cached = true;
      return nullptr;
    }
    std::shared_ptr<Flight> flight;
    if (const auto found = in_flight_.find(key); found != in_flight_.end()) {
      flight = found->second;
      flight->waiters.push_back(waiter);
      ++waiter->open;
      return flight;
    }
    if (in_flight_.size() >= options_.most_in_flight) {
      reply->outcome = DnsOutcome::kFailed;
      return nullptr;
    }
    flight = std::make_shared<Flight>();
    flight->key = key;
    flight->question = std::move(question);
    flight->waiters.push_back(waiter);
    ++waiter->open;
    in_flight_.emplace(std::move(key), flight);
    // (It may land before this returns.)
    auto* argument = new Argument{this, flight};
    ares_query(channel_->raw(), flight->question.name.c_str(), ns_c_in, static_cast<int>(flight->question.type),
               &AresDns::Landed, argument);
    channel_->Asked();
    return flight;
  }

  struct Argument {
    AresDns* self;
    std::shared_ptr<Flight> flight;
  };

  static void Landed(void* opaque, int status, int /*timeouts*/, unsigned char* message, int size) {
    const std::unique_ptr<Argument> argument(static_cast<Argument*>(opaque));
    Flight& flight = *argument->flight;
    const std::string_view octets(reinterpret_cast<const char*>(message),
                                  message == nullptr ? 0 : static_cast<size_t>(size));
    flight.reply = ToReply(flight.question, status, octets);
    flight.landed = true;
    for (const std::shared_ptr<Waiter>& waiter : flight.waiters) {
      if (--waiter->open == 0) waiter->timer.cancel();
    }
    flight.waiters.clear();
    argument->self->in_flight_.erase(flight.key);
    argument->self->Remember(flight);
  }

  void Remember(const Flight& flight) {
    const bool answered = flight.reply.outcome == DnsOutcome::kAnswered;
    if (!answered && flight.reply.outcome != DnsOutcome::kNone) return;
    const std::chrono::seconds ttl =
        answered ? std::clamp(flight.reply.records.ttl, options_.shortest_ttl, options_.longest_ttl)
                 : options_.negative_ttl;
    cache_.Keep(flight.key, flight.reply, OctetsOf(flight.reply), clock_.Now() + ttl);
  }

  const asio::any_io_executor executor_;
  const base::Clock& clock_;
  const DnsOptions options_;
  DnsCache<DnsReply> cache_;
  absl::flat_hash_map<std::string, std::shared_ptr<Flight>> in_flight_;
  std::unique_ptr<AresChannel> channel_;  // the last: it calls back while it goes
};

}  // namespace

absl::StatusOr<std::unique_ptr<Dns>> MakeDns(const asio::any_io_executor& executor, const base::Clock& clock,
                                             const DnsOptions& options) {
  auto dns = std::make_unique<AresDns>(executor, clock, options);
  if (absl::Status status = dns->Open(); !status.ok()) return status;
  return dns;
}

}  // namespace gatepost::net
