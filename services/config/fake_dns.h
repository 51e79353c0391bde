// DNS of a test's own making. What it does not know does not exist. One thread at a time.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "services/net/blocking_dns.h"

namespace gatepost::config {

class FakeDns final : public net::BlockingDns {
 public:
  void SetAddresses(const std::string& name, const std::vector<std::string>& addresses) {
    net::DnsReply v4{.outcome = net::DnsOutcome::kNone, .cached = false, .records = {}};
    net::DnsReply v6 = v4;
    for (const std::string& text : addresses) {
      const base::IpAddress address = *base::IpAddress::Parse(text);
      net::DnsReply& reply = address.is_v4() ? v4 : v6;
      reply.outcome = net::DnsOutcome::kAnswered;
      reply.records.addresses.push_back(address);
    }
    replies_[{name, net::DnsType::kA}] = v4;
    replies_[{name, net::DnsType::kAaaa}] = v6;
  }
  void SetNames(const std::string& address, const std::vector<std::string>& names) {
    net::DnsReply reply{.outcome = net::DnsOutcome::kAnswered, .cached = false, .records = {}};
    reply.records.names = names;
    replies_[{net::ReverseName(*base::IpAddress::Parse(address)), net::DnsType::kPtr}] = reply;
  }
  void SetReply(const std::string& name, net::DnsType type, net::DnsReply reply) {
    replies_[{name, type}] = std::move(reply);
  }
  void SetOutcome(const std::string& name, net::DnsType type, net::DnsOutcome outcome) {
    SetReply(name, type, {.outcome = outcome, .cached = false, .records = {}});
  }

  std::vector<net::DnsReply> Ask(std::vector<net::DnsQuestion> questions, base::MonotonicTime deadline) override {
    deadline_ = deadline;
    std::vector<net::DnsReply> replies;
    for (const net::DnsQuestion& question : questions) {
      ++asked_;
      const auto found = replies_.find({question.name, question.type});
      replies.push_back(found != replies_.end()
                            ? found->second
                            : net::DnsReply{.outcome = net::DnsOutcome::kNone, .cached = false, .records = {}});
    }
    return replies;
  }

  int asked() const { return asked_; }
  base::MonotonicTime deadline() const { return deadline_; }

 private:
  std::map<std::pair<std::string, net::DnsType>, net::DnsReply> replies_;
  int asked_ = 0;
  base::MonotonicTime deadline_;
};

}  // namespace gatepost::config
