// threats: U6.
#include "services/smtp/client_identity.h"

#include <gtest/gtest.h>

namespace gatepost::smtp {
namespace {

const std::vector<std::string> kAll = {"NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"};

ClientIdentity Client() {
  ClientIdentity client;
  client.address = *base::IpAddress::Parse("192.0.2.7");
  client.port = 25;
  return client;
}

TEST(ClientIdentity, OnlyListedAttributesAreSent) {
  EXPECT_EQ(XclientLines(Client(), {"ADDR", "FOO"}), (std::vector<std::string>{"XCLIENT ADDR=192.0.2.7\r\n"}));
  EXPECT_TRUE(XclientLines(Client(), {"FOO"}).empty());
  EXPECT_TRUE(XclientLines(Client(), {}).empty());
}

TEST(ClientIdentity, WhatIsNotKnownIsSaidToBeUnavailable) {
  ClientIdentity client = Client();
  client.address = *base::IpAddress::Parse("2001:db8::1");
  client.port = 0;
  EXPECT_EQ(XclientLines(client, kAll),
            (std::vector<std::string>{"XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PORT=[UNAVAILABLE] PROTO=SMTP "
                                      "HELO=[UNAVAILABLE] LOGIN=[UNAVAILABLE]\r\n"}));
  client.name_state = ClientIdentity::NameState::kFailed;
  client.name = "not to be said";
  EXPECT_EQ(XclientLines(client, {"NAME"})[0], "XCLIENT NAME=[TEMPUNAVAIL]\r\n");
}

TEST(ClientIdentity, NothingInAValueEndsTheLineOrBeginsAnother) {
  ClientIdentity client = Client();
  client.name_state = ClientIdentity::NameState::kConfirmed;
  client.name = "ptr\r\nMAIL FROM:<x>";
  client.helo = "a+b=c d\t\x7f";
  client.login = std::string("\u00fcser\0ADDR=1.2.3.4", 18);
  const std::vector<std::string> lines = XclientLines(client, {"NAME", "HELO", "LOGIN"});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0],
            "XCLIENT NAME=ptr+0D+0AMAIL+20FROM:<x> HELO=a+2Bb+3Dc+20d+09+7F LOGIN=+C3+BCser+00ADDR+3D1.2.3.4\r\n");
}

TEST(ClientIdentity, LinesHave512OctetsAtMost) {
  ClientIdentity client = Client();
  client.name_state = ClientIdentity::NameState::kConfirmed;
  client.name = std::string(253, 'n');
  client.helo = std::string(255, 'h');
  client.login = std::string(255, 'l');
  const std::vector<std::string> lines = XclientLines(client, kAll);
  EXPECT_EQ(lines.size(), 3u);
  for (const std::string& line : lines) {
    EXPECT_LE(line.size(), 512u);
    EXPECT_TRUE(line.starts_with("XCLIENT "));
    EXPECT_TRUE(line.ends_with("\r\n"));
  }
  // "XCLIENT LOGIN=" and CR LF leave 496.
  client.login = std::string(496, 'l');
  EXPECT_EQ(XclientLines(client, {"LOGIN"})[0].size(), 512u);
  client.login = std::string(497, 'l');
  EXPECT_EQ(XclientLines(client, {"LOGIN"})[0], "XCLIENT LOGIN=[UNAVAILABLE]\r\n");
}

}  // namespace
}  // namespace gatepost::smtp
