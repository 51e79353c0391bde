// What EHLO offers, and what is then taken. Threats I5, P4, S6, U5; limits.md: EHLO's domain.
#include <gtest/gtest.h>

#include "services/smtp/testing/session_harness.h"

namespace gatepost::smtp {
namespace {

TEST(SessionEhloTest, OffersInOrderWhatTheNextHopHonours) {
  SessionHarness session;
  session.Begin();
  EXPECT_EQ(session.Send("EHLO client.example\r\n"),
            "250-mx.example Hello [192.0.2.7]\r\n"
            "250-SIZE 37748736\r\n"
            "250-PIPELINING\r\n"
            "250-ENHANCEDSTATUSCODES\r\n"
            "250-STARTTLS\r\n"
            "250-8BITMIME\r\n"
            "250-CHUNKING\r\n"
            "250 LIMITS RCPTMAX=1000\r\n");
}

TEST(SessionEhloTest, OffersAllThatTheNextHopHasInOrder) {
  SessionSetup setup;
  setup.Offer({"SMTPUTF8", "CHUNKING", "BINARYMIME", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES", "PIPELINING", "SIZE 0"});
  setup.settings.limits.messages = 20;
  SessionHarness session(setup);
  session.Begin();
  session.Send("STARTTLS\r\n");
  session.Send("EHLO x\r\n");
  session.Send("STARTTLS\r\n");
  EXPECT_EQ(session.Send("EHLO client.example\r\n"),
            "250-mx.example Hello [192.0.2.7]\r\n"
            "250-SIZE 37748736\r\n"
            "250-PIPELINING\r\n"
            "250-DSN\r\n"
            "250-ENHANCEDSTATUSCODES\r\n"
            "250-AUTH PLAIN LOGIN\r\n"
            "250-8BITMIME\r\n"
            "250-BINARYMIME\r\n"
            "250-CHUNKING\r\n"
            "250-SMTPUTF8\r\n"
            "250 LIMITS MAILMAX=20 RCPTMAX=1000\r\n");
}

// RFC 3030 3, RFC 6531 3.1: what one extension needs of another.
TEST(SessionEhloTest, WhatWouldLackItsCompanionIsNotOffered) {
  SessionSetup setup;
  setup.Offer({"BINARYMIME", "8BITMIME"});
  SessionHarness no_chunking(setup);
  no_chunking.Begin();
  EXPECT_EQ(no_chunking.Send("EHLO x\r\n").find("BINARYMIME"), std::string::npos);
  EXPECT_EQ(no_chunking.Send("MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n").substr(0, 9), "554 5.6.3");
  setup.Offer({"BINARYMIME", "CHUNKING", "SMTPUTF8"});
  SessionHarness no_8bitmime(setup);
  no_8bitmime.Begin();
  const std::string said = no_8bitmime.Send("EHLO x\r\n");
  EXPECT_EQ(said.find("BINARYMIME"), std::string::npos);
  EXPECT_EQ(said.find("SMTPUTF8"), std::string::npos);
}

// RFC 9422: the lesser of ours and the next hop's, before AUTH and after it.
TEST(SessionEhloTest, LimitsAreWhatHolds) {
  SessionSetup setup;
  setup.settings.authentication.allow_clear_text_credentials = true;
  setup.Offer({"LIMITS MAILMAX=1 RCPTMAX=150 RCPTDOMAINMAX=2"});
  SessionHarness theirs(setup);
  theirs.Begin();
  EXPECT_NE(theirs.Send("EHLO x\r\n").find("250 LIMITS RCPTMAX=150 RCPTDOMAINMAX=2\r\n"), std::string::npos)
      << "a next hop's MAILMAX is kept by another connection";
  theirs.Send("AUTH PLAIN AHUAZ29vZA==\r\n");
  EXPECT_NE(theirs.Send("EHLO x\r\n").find("250 LIMITS RCPTMAX=150 RCPTDOMAINMAX=2\r\n"), std::string::npos);
  setup.settings.limits.recipients = 100;
  SessionHarness ours(setup);
  ours.Begin();
  EXPECT_NE(ours.Send("EHLO x\r\n").find("250 LIMITS RCPTMAX=100 RCPTDOMAINMAX=2\r\n"), std::string::npos);
}

TEST(SessionEhloTest, TheLegacyAuthLineIsASwitch) {
  SessionSetup setup;
  setup.settings.authentication.allow_clear_text_credentials = true;
  SessionHarness off(setup);
  off.Begin();
  EXPECT_EQ(off.Send("EHLO x\r\n").find("AUTH="), std::string::npos);
  setup.settings.authentication.legacy_auth_line = true;
  SessionHarness on(setup);
  on.Begin();
  EXPECT_NE(on.Send("EHLO x\r\n").find("250-AUTH PLAIN LOGIN\r\n250-AUTH=LOGIN\r\n"), std::string::npos);
  setup.mechanisms = {"PLAIN"};
  SessionHarness without_login(setup);
  without_login.Begin();
  EXPECT_EQ(without_login.Send("EHLO x\r\n").find("AUTH="), std::string::npos);
  setup.mechanisms = {"PLAIN", "LOGIN"};
  setup.settings.authentication.allow_clear_text_credentials = false;
  SessionHarness clear(setup);
  clear.Begin();
  EXPECT_EQ(clear.Send("EHLO x\r\n").find("AUTH="), std::string::npos);
}

TEST(SessionEhloTest, SizeIsTheNextHopsLessRoomForOurTraceHeader) {
  SessionSetup setup;
  setup.next_hop.size = 10'000'000;
  SessionHarness session(setup);
  session.Begin();
  EXPECT_NE(session.Send("EHLO x\r\n").find("250-SIZE 9995904\r\n"), std::string::npos);
}

TEST(SessionEhloTest, NeitherLimitIsNoLimit) {
  SessionSetup setup;
  setup.next_hop.size = 0;
  setup.settings.limits.message_size = 0;
  SessionHarness session(setup);
  session.Begin();
  EXPECT_NE(session.Send("EHLO x\r\n").find("250-SIZE 0\r\n"), std::string::npos);
}

// U5: what the next hop lacks is not offered, and not taken.
TEST(SessionEhloTest, WhatTheNextHopLacksIsNotOffered) {
  SessionSetup setup;
  setup.next_hop = Capabilities();
  SessionHarness session(setup);
  session.Begin();
  EXPECT_EQ(session.Send("EHLO x\r\n"),
            "250-mx.example Hello [192.0.2.7]\r\n250-STARTTLS\r\n250-CHUNKING\r\n250 LIMITS RCPTMAX=1000\r\n");
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example> SIZE=10\r\n").substr(0, 9), "555 5.5.4");
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example> BODY=8BITMIME\r\n").substr(0, 9), "554 5.6.3");
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n").substr(0, 9), "554 5.6.3");
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example> SMTPUTF8\r\n").substr(0, 9), "555 5.5.4");
  EXPECT_EQ(session.Send("MAIL FROM:<\u00fc@b.example> SMTPUTF8\r\n").substr(0, 9), "550 5.6.7");
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example> RET=FULL\r\n").substr(0, 9), "555 5.5.4");
}

TEST(SessionEhloTest, HeloAnswersOneLineAndOffersNoParameters) {
  SessionHarness session;
  session.Begin();
  EXPECT_EQ(session.Send("HELO client.example\r\n"), "250 mx.example Hello [192.0.2.7]\r\n");
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example> SIZE=10\r\n").substr(0, 9), "555 5.5.4");
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Sender OK\r\n");
}

// [MS-SMTPNTLM]
TEST(SessionEhloTest, EhloNeedsNoArgument) {
  SessionHarness session;
  session.Begin();
  EXPECT_EQ(session.Send("EHLO\r\n").substr(0, 4), "250-");
  EXPECT_EQ(session.Send("HELO\r\n").substr(0, 9), "501 5.5.4");
}

// P4, S6
TEST(SessionEhloTest, EhlosDomainAtTheLimitAndBeyond) {
  SessionHarness session;
  session.Begin();
  EXPECT_EQ(session.Send("EHLO " + std::string(255, 'x') + "\r\n").substr(0, 4), "250-");
  EXPECT_EQ(session.Send("EHLO " + std::string(256, 'x') + "\r\n").substr(0, 9), "501 5.5.4");
  EXPECT_EQ(session.Send("EHLO a b\r\n").substr(0, 9), "501 5.5.4");
}

// I5
TEST(SessionEhloTest, OurOwnNameGrantsNothing) {
  SessionHarness session;
  session.Begin();
  session.Send("EHLO mx.example\r\n");
  session.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(session.Send("RCPT TO:<c@ext.example>\r\n"), "550 5.7.1 Unable to relay for c@ext.example\r\n");
}

}  // namespace
}  // namespace gatepost::smtp
