#include "services/config/dns_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/config/fake_dns.h"

namespace gatepost::config {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kName[] = "mail.example.com";

v1::VirtualServer Listening(const std::vector<std::string>& addresses) {
  v1::VirtualServer server;
  for (const std::string& address : addresses) server.add_listeners()->set_address(address);
  return server;
}

class DnsCheckTest : public testing::Test {
 protected:
  v1::CheckDnsResponse Check(const std::string& fqdn = kName, const v1::VirtualServer* server = nullptr) {
    DnsCheck check(fqdn, server);
    check.Addresses(dns_.Ask(check.AddressQuestions(), {}));
    check.Names(dns_.Ask(check.NameQuestions(), {}));
    v1::CheckDnsResponse response;
    check.Judge(&response);
    return response;
  }
  static std::vector<std::string> Texts(const v1::CheckDnsResponse& response, v1::DnsFinding::Severity severity) {
    std::vector<std::string> texts;
    for (const v1::DnsFinding& finding : response.findings())
      if (finding.severity() == severity) texts.push_back(finding.text());
    return texts;
  }
  static std::vector<std::string> Errors(const v1::CheckDnsResponse& response) {
    return Texts(response, v1::DnsFinding::ERROR);
  }
  static std::vector<std::string> Warnings(const v1::CheckDnsResponse& response) {
    return Texts(response, v1::DnsFinding::WARNING);
  }

  FakeDns dns_;
};

TEST_F(DnsCheckTest, ANameWhoseAddressesPointBackIsAsItShouldBe) {
  dns_.SetAddresses(kName, {"2001:db8::1", "192.0.2.9", "192.0.2.1"});
  for (const char* address : {"192.0.2.1", "192.0.2.9", "2001:db8::1"})
    dns_.SetNames(address, {"other.example", kName});
  const v1::CheckDnsResponse response = Check();
  EXPECT_EQ(response.fqdn(), kName);
  EXPECT_THAT(Errors(response), IsEmpty());
  EXPECT_THAT(Warnings(response), IsEmpty());
  EXPECT_THAT(Texts(response, v1::DnsFinding::OK), ElementsAre("mail.example.com resolves to 3 addresses",
                                                               "the reverse name of 192.0.2.1 is mail.example.com",
                                                               "the reverse name of 192.0.2.9 is mail.example.com",
                                                               "the reverse name of 2001:db8::1 is mail.example.com"));
  ASSERT_EQ(response.addresses_size(), 3);
  EXPECT_EQ(response.addresses(0).address(), "192.0.2.1");
  EXPECT_THAT(response.addresses(0).reverse_names(), ElementsAre("other.example", kName));
  EXPECT_TRUE(response.addresses(0).points_back());
  EXPECT_FALSE(response.addresses(0).listener()) << "no virtual server was named";
}

TEST_F(DnsCheckTest, ANameThatDoesNotResolveIsAnError) {
  const v1::CheckDnsResponse response = Check();
  EXPECT_THAT(
      Errors(response),
      ElementsAre("mail.example.com does not resolve: clients that are given this name find no server; add an A or "
                  "AAAA record"));
  EXPECT_EQ(response.addresses_size(), 0);
}

TEST_F(DnsCheckTest, WhatCannotBeAskedIsAnErrorAndNotAnAbsence) {
  dns_.SetAddresses(kName, {"192.0.2.1"});
  dns_.SetNames("192.0.2.1", {kName});
  dns_.SetOutcome(kName, net::DnsType::kAaaa, net::DnsOutcome::kTimedOut);
  EXPECT_THAT(Errors(Check()),
              ElementsAre("whether mail.example.com has IPv6 addresses cannot be said: the DNS servers did "
                          "not answer in time"));
  dns_.SetOutcome(kName, net::DnsType::kA, net::DnsOutcome::kFailed);
  EXPECT_EQ(Errors(Check()).size(), 2u) << "and no word of its not resolving";
}

TEST_F(DnsCheckTest, ReverseNamesThatAreMissingForeignOrUnknownAreWarnings) {
  dns_.SetAddresses(kName, {"192.0.2.1", "192.0.2.2", "192.0.2.3"});
  dns_.SetNames("192.0.2.2", {"a.example.net", "b.example.net"});
  dns_.SetOutcome("3.2.0.192.in-addr.arpa", net::DnsType::kPtr, net::DnsOutcome::kFailed);
  const v1::CheckDnsResponse response = Check();
  EXPECT_THAT(
      Warnings(response),
      ElementsAre(
          "192.0.2.1 has no reverse name: other mail servers may refuse this host; add a PTR record to "
          "mail.example.com",
          "the reverse name of 192.0.2.2 is a.example.net, b.example.net, not mail.example.com: mail servers that "
          "compare the two may distrust this host",
          "the reverse name of 192.0.2.3 cannot be said: the DNS servers answered with a failure, or cannot be "
          "reached"));
  EXPECT_EQ(response.findings(0).severity(), v1::DnsFinding::WARNING) << "the worst first";
  EXPECT_FALSE(response.addresses(1).points_back());
}

TEST_F(DnsCheckTest, PrivateAddressesAndSingleLabelsAreWarnings) {
  dns_.SetAddresses("mail", {"10.1.2.3"});
  dns_.SetNames("10.1.2.3", {"mail"});
  EXPECT_THAT(Warnings(Check("mail")),
              ElementsAre("mail is not fully qualified: only hosts with the same search list find it",
                          "10.1.2.3 is a private address: only clients of its own network can reach it"));
}

TEST_F(DnsCheckTest, AddressesAreComparedWithTheListeners) {
  dns_.SetAddresses(kName, {"192.0.2.1", "192.0.2.2"});
  for (const char* address : {"192.0.2.1", "192.0.2.2"}) dns_.SetNames(address, {kName});
  const v1::VirtualServer one = Listening({"192.0.2.1"});
  const v1::CheckDnsResponse response = Check(kName, &one);
  EXPECT_TRUE(response.addresses(0).listener());
  EXPECT_FALSE(response.addresses(1).listener());
  EXPECT_THAT(Warnings(response), IsEmpty()) << "for information";
  EXPECT_THAT(
      Texts(response, v1::DnsFinding::OK),
      Contains("no listener has the address 192.0.2.2: right if a load balancer or address translation leads here"));

  const v1::VirtualServer wildcard = Listening({"0.0.0.0"});
  EXPECT_TRUE(Check(kName, &wildcard).addresses(1).listener());
}

TEST_F(DnsCheckTest, AFamilyThatNobodyListensToIsAWarning) {
  dns_.SetAddresses(kName, {"192.0.2.1", "2001:db8::1"});
  for (const char* address : {"192.0.2.1", "2001:db8::1"}) dns_.SetNames(address, {kName});
  const v1::VirtualServer v4 = Listening({"0.0.0.0"});
  EXPECT_THAT(
      Warnings(Check(kName, &v4)),
      ElementsAre("mail.example.com has IPv6 addresses, yet no listener is IPv6: clients that try them first wait, "
                  "unless a load balancer translates"));
  const v1::VirtualServer nobody;
  EXPECT_THAT(Warnings(Check(kName, &nobody)), ElementsAre("the virtual server has no listener"));
}

TEST_F(DnsCheckTest, MoreAddressesThanAreLookedAtAreSaid) {
  net::DnsReply reply{.outcome = net::DnsOutcome::kAnswered, .cached = false, .records = {}};
  for (uint32_t i = 0; i < net::kMostDnsRecords; ++i)
    reply.records.addresses.push_back(base::IpAddress::V4(0xc0000200 + i));
  dns_.SetReply(kName, net::DnsType::kA, reply);
  EXPECT_THAT(Warnings(Check()), Not(Contains("mail.example.com has more IPv4 addresses than are looked at here")));
  reply.records.more = true;
  dns_.SetReply(kName, net::DnsType::kA, reply);
  EXPECT_THAT(Warnings(Check()), Contains("mail.example.com has more IPv4 addresses than are looked at here"));
}

}  // namespace
}  // namespace gatepost::config
