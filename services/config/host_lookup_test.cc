#include "services/config/host_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/base/fake_clock.h"
#include "services/config/client_set.h"
#include "services/config/fake_dns.h"
#include "services/config/limits.h"

namespace gatepost::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Texts(const std::vector<base::IpAddress>& addresses) {
  std::vector<std::string> texts;
  for (const base::IpAddress& address : addresses) texts.push_back(address.ToString());
  return texts;
}

class HostLookupTest : public testing::Test {
 protected:
  absl::StatusOr<std::vector<base::IpAddress>> LookUp(const std::string& name) {
    return lookup_.LookUp({name}).at(name);
  }
  v1::ClientEntry* Add(const std::string& host_name) {
    v1::ClientEntry* entry = server_.mutable_relay()->add_entries();
    entry->set_host_name(host_name);
    return entry;
  }
  // The entries after their judgement, and what was wrong.
  std::vector<std::string> Normalize() {
    violations_ = {};
    NormalizeEntries(lookup_.LookUp(HostNamesToLookUp(server_)), "entries", server_.mutable_relay()->mutable_entries(),
                     &violations_);
    std::vector<std::string> entries;
    for (const v1::ClientEntry& entry : server_.relay().entries())
      entries.push_back(entry.address() + entry.subnet() + " " + entry.host_name());
    return entries;
  }
  std::vector<std::string> Wrong() {
    std::vector<std::string> texts;
    for (const Violation& violation : violations_.list())
      texts.push_back(violation.field + " " + violation.description);
    return texts;
  }

  FakeDns dns_;
  base::FakeClock clock_;
  DnsHostLookup lookup_{dns_, clock_};
  v1::VirtualServer server_;
  Violations violations_;
};

TEST_F(HostLookupTest, ANameHasItsAddressesOfBothFamiliesInOrder) {
  dns_.SetAddresses("a.example", {"2001:db8::1", "192.0.2.9", "192.0.2.1", "192.0.2.9"});
  const auto addresses = LookUp("a.example");
  ASSERT_TRUE(addresses.ok());
  EXPECT_THAT(Texts(*addresses), ElementsAre("192.0.2.1", "192.0.2.9", "2001:db8::1"));
  EXPECT_EQ(dns_.deadline(), clock_.Now() + kHostLookupTime);
}

TEST_F(HostLookupTest, ANameThatIsKnownInPartIsNotKnown) {
  dns_.SetAddresses("a.example", {"192.0.2.1"});
  dns_.SetOutcome("a.example", net::DnsType::kAaaa, net::DnsOutcome::kTimedOut);
  EXPECT_TRUE(absl::IsDeadlineExceeded(LookUp("a.example").status()));
  dns_.SetOutcome("a.example", net::DnsType::kAaaa, net::DnsOutcome::kFailed);
  EXPECT_TRUE(absl::IsUnavailable(LookUp("a.example").status()));
  net::DnsReply more{.outcome = net::DnsOutcome::kAnswered, .cached = false, .records = {}};
  more.records = {.addresses = {*base::IpAddress::Parse("2001:db8::1")}, .names = {}, .more = true};
  dns_.SetReply("a.example", net::DnsType::kAaaa, more);
  EXPECT_FALSE(LookUp("a.example").ok());
}

TEST_F(HostLookupTest, ANameWithoutAddressOrWithAWildcardIsRefused) {
  EXPECT_TRUE(absl::IsNotFound(LookUp("nobody.example").status()));
  dns_.SetAddresses("any.example", {"0.0.0.0"});
  EXPECT_FALSE(LookUp("any.example").ok());
}

TEST_F(HostLookupTest, WithoutNamesNothingIsAsked) {
  EXPECT_THAT(lookup_.LookUp({}), IsEmpty());
  EXPECT_EQ(dns_.asked(), 0);
}

TEST_F(HostLookupTest, AnEntryBecomesOneForEachAddressInItsPlace) {
  dns_.SetAddresses("a.example", {"192.0.2.1", "2001:db8::1"});
  server_.mutable_relay()->add_entries()->set_address("198.51.100.1");
  Add("A.Example")->set_comment("the scanner");
  server_.mutable_relay()->add_entries()->set_subnet("203.0.113.0/255.255.255.0");
  EXPECT_THAT(Normalize(),
              ElementsAre("198.51.100.1 ", "192.0.2.1 a.example", "2001:db8::1 a.example", "203.0.113.0/24 "));
  EXPECT_THAT(Wrong(), IsEmpty());
  EXPECT_EQ(server_.relay().entries(1).comment(), "the scanner");
  // What is stored is input again, and DNS is not asked.
  const int asked = dns_.asked();
  EXPECT_EQ(Normalize().size(), 4u);
  EXPECT_THAT(Wrong(), IsEmpty());
  EXPECT_EQ(dns_.asked(), asked);
}

TEST_F(HostLookupTest, AddressesThatAreInTheListAreNotThereTwice) {
  dns_.SetAddresses("a.example", {"192.0.2.1", "192.0.2.2"});
  dns_.SetAddresses("b.example", {"192.0.2.2", "192.0.2.3"});
  Add("a.example");
  Add("b.example");
  server_.mutable_relay()->add_entries()->set_address("192.0.2.1");
  EXPECT_THAT(Normalize(), ElementsAre("192.0.2.2 a.example", "192.0.2.3 b.example", "192.0.2.1 "));
  EXPECT_THAT(Wrong(), IsEmpty());
}

TEST_F(HostLookupTest, ViolationsNameTheListAsItWasGiven) {
  dns_.SetAddresses("a.example", {"192.0.2.1", "192.0.2.2"});
  Add("a.example");
  Add("-.example");
  Add("nobody.example");
  Add("a.example");
  v1::ClientEntry* subnet = Add("a.example");
  subnet->set_subnet("10.0.0.0/8");
  server_.mutable_relay()->add_entries()->set_address("1.2.3");
  Normalize();
  EXPECT_THAT(Wrong(), ElementsAre("entries[1].host_name has a label that begins or ends with a hyphen",
                                   "entries[4].host_name stands alone, or beside the address that was looked up",
                                   "entries[5].address \"1.2.3\" is not an IP address",
                                   "entries[2].host_name does not resolve: DNS knows no address of this name",
                                   "entries[3].host_name is in the list already"));
}

TEST_F(HostLookupTest, AHundredNamesAreLookedUpAndNoMore) {
  for (size_t i = 0; i <= kMaxHostNames; ++i) {
    const std::string name = "h" + std::to_string(1000 + i) + ".example";
    dns_.SetAddresses(name, {"192.0.2." + std::to_string(i)});
    Add(name);
  }
  Normalize();
  EXPECT_THAT(Wrong(), ElementsAre("entries[100].host_name is not looked up: one request may have 100 host names"));
  EXPECT_EQ(dns_.asked(), 200);
  server_.clear_relay();
  for (size_t i = 0; i < kMaxHostNames; ++i) Add("h" + std::to_string(1000 + i) + ".example");
  EXPECT_EQ(Normalize().size(), 100u);
  EXPECT_THAT(Wrong(), IsEmpty());
}

TEST_F(HostLookupTest, TheLimitOfAListCountsWhatIsStored) {
  dns_.SetAddresses("a.example", {"192.0.2.1", "192.0.2.2"});
  for (int i = 0; i < kMaxListEntries - 2; ++i)
    server_.mutable_relay()->add_entries()->set_address(
        base::IpAddress::V4(0x0a000000 + static_cast<uint32_t>(i)).ToString());
  Add("a.example");
  EXPECT_EQ(Normalize().size(), 10'000u);
  EXPECT_THAT(Wrong(), IsEmpty());
  dns_.SetAddresses("b.example", {"192.0.2.3"});
  Add("b.example");
  Normalize();
  EXPECT_THAT(Wrong(), ElementsAre("entries has 10001 entries with the addresses of its host names, at most 10000 are "
                                   "allowed"));
}

}  // namespace
}  // namespace gatepost::config
