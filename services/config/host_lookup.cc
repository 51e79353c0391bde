#include "services/config/host_lookup.h"

#include <algorithm>
#include <utility>

#include "services/base/check.h"
#include "services/config/limits.h"

namespace gatepost::config {
namespace {

using base::IpAddress;
using net::DnsOutcome;
using net::DnsReply;

absl::StatusOr<std::vector<IpAddress>> AddressesOf(const DnsReply& v4, const DnsReply& v6) {
  std::vector<IpAddress> addresses;
  for (const DnsReply* reply : {&v4, &v6}) {
    if (reply->outcome == DnsOutcome::kTimedOut)
      return absl::DeadlineExceededError("cannot be looked up: the DNS servers did not answer in time; try again");
    if (reply->outcome == DnsOutcome::kFailed)
      return absl::UnavailableError(
          "cannot be looked up: the DNS servers answered with a failure, or cannot be reached; try again");
    if (reply->records.more) return absl::OutOfRangeError("has too many addresses; list them, or their subnet");
    addresses.insert(addresses.end(), reply->records.addresses.begin(), reply->records.addresses.end());
  }
  if (addresses.empty()) return absl::NotFoundError("does not resolve: DNS knows no address of this name");
  if (std::any_of(addresses.begin(), addresses.end(), [](const IpAddress& own) { return own.IsUnspecified(); }))
    return absl::OutOfRangeError("resolves to a wildcard address, which is no computer's");
  // Servers answer in any order: the same answer is stored the same.
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

}  // namespace

HostAnswers DnsHostLookup::LookUp(const std::vector<std::string>& names) {
  HostAnswers answers;
  if (names.empty()) return answers;
  std::vector<net::DnsQuestion> questions;
  for (const std::string& name : names) {
    questions.push_back({name, net::DnsType::kA});
    questions.push_back({name, net::DnsType::kAaaa});
  }
  const std::vector<DnsReply> replies = dns_.Ask(std::move(questions), clock_.Now() + kHostLookupTime);
  GATEPOST_CHECK(replies.size() == 2 * names.size());
  for (size_t i = 0; i < names.size(); ++i) answers.emplace(names[i], AddressesOf(replies[2 * i], replies[2 * i + 1]));
  return answers;
}

}  // namespace gatepost::config
