#include "services/config/dns_check.h"

#include <algorithm>
#include <utility>

#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/config/client_set.h"

namespace gatepost::config {
namespace {

using base::IpAddress;
using base::StrCat;
using net::DnsOutcome;
using v1::DnsFinding;

void Find(DnsFinding::Severity severity, std::string text, v1::CheckDnsResponse* response) {
  DnsFinding* finding = response->add_findings();
  finding->set_severity(severity);
  finding->set_text(std::move(text));
}

// Why nothing is known.
std::string_view Reason(DnsOutcome outcome) {
  return outcome == DnsOutcome::kTimedOut ? "the DNS servers did not answer in time"
                                          : "the DNS servers answered with a failure, or cannot be reached";
}

bool Unknown(const net::DnsReply& reply) {
  return reply.outcome == DnsOutcome::kFailed || reply.outcome == DnsOutcome::kTimedOut;
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) base::StrAppend(&text, text.empty() ? "" : ", ", name);
  return text;
}

}  // namespace

std::vector<net::DnsQuestion> DnsCheck::AddressQuestions() const {
  return {{fqdn_, net::DnsType::kA}, {fqdn_, net::DnsType::kAaaa}};
}

void DnsCheck::Addresses(const std::vector<net::DnsReply>& replies) {
  GATEPOST_CHECK(replies.size() == 2);
  v4_ = replies[0];
  v6_ = replies[1];
  for (const net::DnsReply& reply : replies)
    addresses_.insert(addresses_.end(), reply.records.addresses.begin(), reply.records.addresses.end());
  std::sort(addresses_.begin(), addresses_.end());
  addresses_.erase(std::unique(addresses_.begin(), addresses_.end()), addresses_.end());
}

std::vector<net::DnsQuestion> DnsCheck::NameQuestions() const {
  std::vector<net::DnsQuestion> questions;
  for (const IpAddress& address : addresses_) questions.push_back({net::ReverseName(address), net::DnsType::kPtr});
  return questions;
}

bool DnsCheck::Listens(const IpAddress& address) const {
  if (server_ == nullptr) return false;
  return std::any_of(server_->listeners().begin(), server_->listeners().end(), [&](const v1::Listener& listener) {
    const absl::StatusOr<IpAddress> own = IpAddress::Parse(listener.address());
    return own.ok() && own->is_v4() == address.is_v4() && (own->IsUnspecified() || *own == address);
  });
}

bool DnsCheck::ListensTo(bool v4) const {
  return std::any_of(server_->listeners().begin(), server_->listeners().end(), [&](const v1::Listener& listener) {
    const absl::StatusOr<IpAddress> own = IpAddress::Parse(listener.address());
    return own.ok() && own->is_v4() == v4;
  });
}

void DnsCheck::JudgeName(v1::CheckDnsResponse* response) const {
  for (const auto& [reply, family] : {std::pair{&v4_, "IPv4"}, std::pair{&v6_, "IPv6"}}) {
    if (Unknown(*reply))
      Find(DnsFinding::ERROR,
           StrCat("whether ", fqdn_, " has ", family, " addresses cannot be said: ", Reason(reply->outcome)), response);
    if (reply->records.more)
      Find(DnsFinding::WARNING, StrCat(fqdn_, " has more ", family, " addresses than are looked at here"), response);
  }
  if (!addresses_.empty()) {
    const size_t count = addresses_.size();
    Find(DnsFinding::OK, StrCat(fqdn_, " resolves to ", count, count == 1 ? " address" : " addresses"), response);
  } else if (!Unknown(v4_) && !Unknown(v6_)) {
    Find(DnsFinding::ERROR,
         StrCat(fqdn_, " does not resolve: clients that are given this name find no server; add an A or AAAA record"),
         response);
  }
  if (fqdn_.find('.') == std::string::npos)
    Find(DnsFinding::WARNING, StrCat(fqdn_, " is not fully qualified: only hosts with the same search list find it"),
         response);
}

void DnsCheck::JudgeAddress(const IpAddress& address, const net::DnsReply& reply,
                            v1::CheckDnsResponse* response) const {
  const std::string text = address.ToString();
  const std::vector<std::string>& names = reply.records.names;
  v1::CheckedAddress* checked = response->add_addresses();
  checked->set_address(text);
  for (const std::string& name : names) checked->add_reverse_names(name);
  checked->set_points_back(std::find(names.begin(), names.end(), fqdn_) != names.end());
  checked->set_listener(Listens(address));
  if (IsPrivate(address))
    Find(DnsFinding::WARNING, StrCat(text, " is a private address: only clients of its own network can reach it"),
         response);
  if (checked->points_back()) {
    Find(DnsFinding::OK, StrCat("the reverse name of ", text, " is ", fqdn_), response);
  } else if (!names.empty()) {
    Find(DnsFinding::WARNING,
         StrCat("the reverse name of ", text, " is ", Joined(names), ", not ", fqdn_,
                ": mail servers that compare the two may distrust this host"),
         response);
  } else if (Unknown(reply)) {
    Find(DnsFinding::WARNING, StrCat("the reverse name of ", text, " cannot be said: ", Reason(reply.outcome)),
         response);
  } else {
    Find(DnsFinding::WARNING,
         StrCat(text, " has no reverse name: other mail servers may refuse this host; add a PTR record to ", fqdn_),
         response);
  }
}

void DnsCheck::JudgeListeners(v1::CheckDnsResponse* response) const {
  if (server_->listeners().empty()) {
    Find(DnsFinding::WARNING, "the virtual server has no listener", response);
    return;
  }
  for (const bool v4 : {true, false}) {
    const bool resolves =
        std::any_of(addresses_.begin(), addresses_.end(), [v4](const IpAddress& own) { return own.is_v4() == v4; });
    if (resolves && !ListensTo(v4))
      Find(DnsFinding::WARNING,
           StrCat(fqdn_, " has ", v4 ? "IPv4" : "IPv6", " addresses, yet no listener is ", v4 ? "IPv4" : "IPv6",
                  ": clients that try them first wait, unless a load balancer translates"),
           response);
  }
  for (const IpAddress& address : addresses_) {
    if (ListensTo(address.is_v4()) && !Listens(address))
      Find(DnsFinding::OK,
           StrCat("no listener has the address ", address.ToString(),
                  ": right if a load balancer or address translation leads here"),
           response);
  }
}

void DnsCheck::Judge(v1::CheckDnsResponse* response) const {
  GATEPOST_CHECK(names_.size() == addresses_.size());
  response->set_fqdn(fqdn_);
  JudgeName(response);
  for (size_t i = 0; i < addresses_.size(); ++i) JudgeAddress(addresses_[i], names_[i], response);
  if (server_ != nullptr) JudgeListeners(response);
  std::stable_sort(response->mutable_findings()->begin(), response->mutable_findings()->end(),
                   [](const DnsFinding& a, const DnsFinding& b) { return a.severity() > b.severity(); });
}

}  // namespace gatepost::config
