// CheckDns: what is asked about a name, and what to think of the answers. Pure: who has a BlockingDns drives it.
//
//   DnsCheck check("mail.example.com", listeners);
//   check.Addresses(dns.Ask(check.AddressQuestions(), deadline));
//   check.Names(dns.Ask(check.NameQuestions(), deadline));
//   check.Judge(&response);
#pragma once

#include <string>
#include <vector>

#include "gatepost/config/v1/dns_service.pb.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/base/ip_address.h"
#include "services/net/dns.h"

namespace gatepost::config {

class DnsCheck {
 public:
  // `fqdn` is canonical. `server`, which outlives the check, may be null: there are no listeners to compare with.
  DnsCheck(std::string fqdn, const v1::VirtualServer* server) : fqdn_(std::move(fqdn)), server_(server) {}

  std::vector<net::DnsQuestion> AddressQuestions() const;
  void Addresses(const std::vector<net::DnsReply>& replies);
  // One for each address.
  std::vector<net::DnsQuestion> NameQuestions() const;
  void Names(std::vector<net::DnsReply> replies) { names_ = std::move(replies); }
  // All that is said of the name, its addresses and their names.
  void Judge(v1::CheckDnsResponse* response) const;

 private:
  void JudgeName(v1::CheckDnsResponse* response) const;
  void JudgeAddress(const base::IpAddress& address, const net::DnsReply& reply, v1::CheckDnsResponse* response) const;
  void JudgeListeners(v1::CheckDnsResponse* response) const;
  bool Listens(const base::IpAddress& address) const;
  bool ListensTo(bool v4) const;

  const std::string fqdn_;
  const v1::VirtualServer* const server_;
  net::DnsReply v4_;
  net::DnsReply v6_;
  std::vector<base::IpAddress> addresses_;  // in order, each once
  std::vector<net::DnsReply> names_;        // of each
};

}  // namespace gatepost::config
