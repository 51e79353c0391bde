#include "services/edge/client_lookup.h"

#include <algorithm>
#include <utility>

#include "services/policy/limiter.h"

namespace gatepost::edge {
namespace {

using net::DnsOutcome;
using net::DnsQuestion;
using net::DnsReply;
using net::DnsType;
using policy::BlockListing;
using policy::ClientName;

// Of the names that the address claims, how many are asked back (RFC 8601 2.7.3 allows a limit).
constexpr size_t kMostNames = 10;

// Look-ups at once of one IPv6 /64, each with as many questions as there are names, or lists. (An IPv4 address has the
// same questions each time: they are asked once.)
constexpr int kMostTurns = 16;

DnsLookupResult ResultOf(const DnsReply& reply) {
  if (reply.cached) return DnsLookupResult::kHit;
  switch (reply.outcome) {
    case DnsOutcome::kAnswered:
      return DnsLookupResult::kAnswered;
    case DnsOutcome::kNone:
      return DnsLookupResult::kNone;
    case DnsOutcome::kFailed:
      return DnsLookupResult::kFailed;
    case DnsOutcome::kTimedOut:
      return DnsLookupResult::kTimedOut;
  }
  return DnsLookupResult::kFailed;
}

void Count(const std::vector<DnsReply>& replies, DnsLookupKind kind, const ServerMetrics& metrics) {
  for (const DnsReply& reply : replies) metrics.DnsLookup(kind, ResultOf(reply));
}

bool Failed(const DnsReply& reply) {
  return reply.outcome == DnsOutcome::kFailed || reply.outcome == DnsOutcome::kTimedOut;
}

// 127.0.0.0/8 (RFC 5782 2.1); 127.255.255.0/24 is how lists say that they do not answer who asks.
bool IsListing(const base::IpAddress& answer) { return answer.is_v4() && answer.v4() >> 24 == 127; }
bool IsRefusal(const base::IpAddress& answer) { return answer.is_v4() && answer.v4() >> 8 == 0x7fffff; }

BlockListing::State StateOf(const DnsReply& reply, const policy::BlockList& list) {
  if (Failed(reply)) return BlockListing::State::kFailed;
  bool refused = false;
  for (const base::IpAddress& answer : reply.records.addresses) {
    const bool means_listed = list.answers.empty()
                                  ? IsListing(answer) && !IsRefusal(answer)
                                  : std::find(list.answers.begin(), list.answers.end(), answer) != list.answers.end();
    if (means_listed) return BlockListing::State::kListed;
    refused = refused || IsRefusal(answer);
  }
  return refused ? BlockListing::State::kFailed : BlockListing::State::kNotListed;
}

}  // namespace

class DnsClientLookup::Turn {
 public:
  Turn(DnsClientLookup& lookup, const base::IpAddress& client)
      : lookup_(lookup), source_(policy::ConnectionLimiter::SourceOf(client).octets()), counted_(client.is_v6()) {
    if (!counted_) return;
    int& turns = lookup_.turns_[source_];
    granted_ = turns < kMostTurns;
    counted_ = granted_;
    if (granted_) ++turns;
  }
  ~Turn() {
    if (!counted_) return;
    const auto it = lookup_.turns_.find(source_);
    if (--it->second == 0) lookup_.turns_.erase(it);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  explicit operator bool() const { return granted_; }

 private:
  DnsClientLookup& lookup_;
  const std::array<uint8_t, 16> source_;
  bool granted_ = true;
  bool counted_;
};

asio::awaitable<ClientName> DnsClientLookup::FindName(base::IpAddress address, base::Duration timeout,
                                                      const ServerMetrics& metrics) {
  using State = ClientName::State;
  const Turn turn(*this, address);
  if (!turn) co_return ClientName{State::kFailed, {}};
  const base::MonotonicTime start = clock_.Now();
  const base::MonotonicTime deadline = start + timeout;
  std::vector<DnsQuestion> questions{{net::ReverseName(address), DnsType::kPtr}};
  std::vector<DnsReply> replies = co_await dns_.Ask(std::move(questions), deadline);
  Count(replies, DnsLookupKind::kPtr, metrics);
  const DnsReply claimed = std::move(replies.front());

  ClientName result;
  // An address with more names than anybody looks at has none.
  if (Failed(claimed) || claimed.outcome == DnsOutcome::kNone || claimed.records.more) {
    metrics.DnsLookupTook(clock_.Now() - start);
    result.state = Failed(claimed) ? State::kFailed : State::kUnknown;
    co_return result;
  }
  std::vector<std::string> names = claimed.records.names;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.size() > kMostNames) names.resize(kMostNames);
  questions.clear();
  for (const std::string& name : names) {
    questions.push_back({name, address.is_v4() ? DnsType::kA : DnsType::kAaaa});
  }
  replies = co_await dns_.Ask(std::move(questions), deadline);
  Count(replies, DnsLookupKind::kAddress, metrics);
  metrics.DnsLookupTook(clock_.Now() - start);

  bool failed = false;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::vector<base::IpAddress>& addresses = replies[i].records.addresses;
    if (std::find(addresses.begin(), addresses.end(), address) != addresses.end()) {
      result.names.push_back(std::move(names[i]));
    }
    failed = failed || Failed(replies[i]);
  }
  result.state = !result.names.empty() ? State::kConfirmed : failed ? State::kFailed : State::kUnknown;
  co_return result;
}

asio::awaitable<BlockListing> DnsClientLookup::FindListing(base::IpAddress address,
                                                           const std::vector<policy::BlockList>& lists,
                                                           base::Duration timeout, const ServerMetrics& metrics) {
  using State = BlockListing::State;
  const Turn turn(*this, address);
  if (!turn) co_return BlockListing{State::kFailed, 0};
  const base::MonotonicTime start = clock_.Now();
  std::vector<DnsQuestion> questions;
  for (const policy::BlockList& list : lists) {
    questions.push_back({net::BlockListName(address, list.zone), DnsType::kA});
  }
  const std::vector<DnsReply> replies = co_await dns_.Ask(std::move(questions), start + timeout);
  Count(replies, DnsLookupKind::kBlockList, metrics);
  metrics.DnsLookupTook(clock_.Now() - start);

  BlockListing result{State::kNotListed, 0};
  for (size_t i = 0; i < lists.size(); ++i) {
    const State state = StateOf(replies[i], lists[i]);
    if (state == State::kListed) co_return BlockListing{State::kListed, i};
    if (state == State::kFailed) result.state = State::kFailed;
  }
  co_return result;
}

}  // namespace gatepost::edge
