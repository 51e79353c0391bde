#include "services/ctl/shorthand.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {
namespace {

using ::testing::HasSubstr;

std::string Parsed(const std::string& text) {
  const auto entry = ParseEntry("--relay-entry", text);
  return entry.ok() ? entry->ShortDebugString() : std::string(entry.status().message());
}

TEST(ShorthandTest, AnEntryIsWhatItLooksLike) {
  EXPECT_EQ(Parsed("192.0.2.1"), R"(address: "192.0.2.1")");
  EXPECT_EQ(Parsed("2001:DB8::1"), R"(address: "2001:db8::1")");
  EXPECT_EQ(Parsed("192.0.2.0/255.255.255.0"), R"(subnet: "192.0.2.0/24")");
  EXPECT_EQ(Parsed("192.0.2.1-192.0.2.9"), R"(range: "192.0.2.1-192.0.2.9")");
  EXPECT_EQ(Parsed("host:mail-1.example.com"), R"(host_name: "mail-1.example.com")");
  EXPECT_EQ(Parsed("domain:example.com"), R"(domain: "example.com")");
}

TEST(ShorthandTest, WhatIsNoEntryIsAMistakeOfTheCommand) {
  for (const char* text :
       {"", "mail.example.com", "192.0.2.1/24", "192.0.2.0/255.0.255.0", "192.0.2.9-192.0.2.1", "*"}) {
    const auto entry = ParseEntry("--relay-entry", text);
    ASSERT_FALSE(entry.ok()) << text;
    EXPECT_TRUE(IsUsageError(entry.status()));
    EXPECT_THAT(std::string(entry.status().message()), HasSubstr("--relay-entry")) << text;
  }
}

TEST(ShorthandTest, AnEntryIsTakenOutHoweverItIsWritten) {
  ClientEntries entries;
  entries.Add()->set_address("192.0.2.1");
  entries.Add()->set_subnet("192.0.2.0/24");
  entries.Add()->set_range("192.0.2.1-192.0.2.9");
  entries.Add()->set_domain("example.com");
  for (const char* address : {"198.51.100.1", "2001:db8::1"}) {
    config::v1::ClientEntry* looked_up = entries.Add();
    looked_up->set_address(address);
    looked_up->set_host_name("mail.example.com");
  }
  const auto remove = [&](const std::string& text) { return RemoveEntry(*ParseEntry("", text), &entries); };
  EXPECT_EQ(remove("192.0.2.2"), 0);
  EXPECT_EQ(remove("host:Mail.example.com"), 2) << "all of its addresses";
  EXPECT_EQ(remove("192.0.2.1/32"), 1);
  EXPECT_EQ(remove("192.0.2.0/255.255.255.0"), 1);
  EXPECT_EQ(remove("192.0.2.1 - 192.0.2.9"), 1);
  EXPECT_EQ(remove("domain:Example.com"), 1);
  EXPECT_TRUE(entries.empty());
}

TEST(ShorthandTest, OptionsFillTheirFields) {
  Shorthand shorthand;
  shorthand.fqdn = "mail.example.com";
  shorthand.listen = {"192.0.2.1:25,none", "[::]:465,implicit", "192.0.2.1:587"};
  shorthand.next_hops = {"10.0.0.5:25"};
  shorthand.relay_entries = {"10.0.0.0/8"};
  shorthand.connection_entries = {"host:bad.example"};
  config::v1::VirtualServer server;
  ASSERT_TRUE(ApplyShorthand(shorthand, &server).ok());
  EXPECT_EQ(server.listeners(1).address(), "::");
  EXPECT_EQ(server.listeners(1).tls_mode(), config::v1::Listener::IMPLICIT);
  EXPECT_EQ(server.listeners(2).tls_mode(), config::v1::Listener::STARTTLS);
  EXPECT_EQ(server.delivery().default_route().next_hops(0).port(), 25u);
  EXPECT_EQ(server.relay().entries(0).subnet(), "10.0.0.0/8");
  EXPECT_EQ(server.connection_control().entries(0).host_name(), "bad.example");
  for (const char* listen : {"192.0.2.1:0", "192.0.2.1:65536", "::1:25", "192.0.2.1:+25"}) {
    shorthand.listen = {listen};
    EXPECT_TRUE(IsUsageError(ApplyShorthand(shorthand, &server))) << listen;
  }
}

}  // namespace
}  // namespace gatepost::ctl
