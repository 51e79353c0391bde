// MAIL and RCPT: threats P4, P6, P7, E1, E3, E5, E8, D4, U3; limits.md: recipients, refused recipients, messages per
// connection, message and session size as announced.
#include <gtest/gtest.h>

#include "services/base/strings.h"
#include "services/smtp/server_session.h"
#include "services/smtp/testing/session_harness.h"

namespace gatepost::smtp {
namespace {

constexpr char kOutOfOrder[] = "503 5.5.1 ";
constexpr char kSenderOk[] = "250 2.1.0 Sender OK\r\n";
constexpr char kRecipientOk[] = "250 2.1.5 Recipient OK\r\n";

// The replies' codes with enhanced codes, one for each line.
std::string Codes(std::string_view said) {
  std::string codes;
  for (std::string_view line : base::Split(said, '\n')) {
    if (line.empty()) continue;
    size_t end = line.find(' ', 4);
    base::StrAppend(&codes, codes.empty() ? "" : " ", line.substr(0, end == std::string_view::npos ? 3 : end));
  }
  return codes;
}

std::string Mail(std::string_view path, std::string_view parameters = "") {
  return base::StrCat("MAIL FROM:<", path, ">", parameters, "\r\n");
}
std::string Rcpt(std::string_view path) { return base::StrCat("RCPT TO:<", path, ">\r\n"); }

class EnvelopeTest : public testing::Test {
 protected:
  EnvelopeTest() { session_.Greet(); }
  SessionHarness session_;
};

// P6
TEST_F(EnvelopeTest, OutOfOrderIs503AndTheSessionLivesOn) {
  EXPECT_EQ(session_.Send(Rcpt("c@in.example")).substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send("DATA\r\n").substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send(Mail("a@b.example")), kSenderOk);
  EXPECT_EQ(session_.Send(Mail("a@b.example")).substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send("DATA\r\n").substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send(Rcpt("c@in.example")), kRecipientOk);
  SessionHarness silent;
  silent.Begin();
  EXPECT_EQ(silent.Send(Mail("a@b.example")).substr(0, 10), kOutOfOrder);
}

// P6, P7: a DATA with no recipient left is an end of DATA.
TEST_F(EnvelopeTest, DataWithAllRecipientsRefusedEndsTheTransaction) {
  session_.Send(Mail("a@b.example"));
  session_.Send(Rcpt("c@ext.example"));
  EXPECT_EQ(Codes(session_.Send("DATA\r\n")), "554 5.5.1");
  EXPECT_EQ(session_.Send(Rcpt("c@in.example")).substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send("DATA\r\n").substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send(Mail("a@b.example")), kSenderOk);
}

// P7: after each failing step RCPT and DATA are out of order until a new MAIL.
TEST_F(EnvelopeTest, NothingOfAFailedMailIsLeft) {
  EXPECT_EQ(Codes(session_.Send(Mail("a@b.example", " SIZE=99999999999"))), "552 5.3.4");
  EXPECT_EQ(session_.Send(Rcpt("c@in.example")).substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send("DATA\r\n").substr(0, 10), kOutOfOrder);
  EXPECT_EQ(Codes(session_.Send("VRFY \xc3\xa9\r\n")).substr(0, 1), "2");
  EXPECT_EQ(session_.Send(Rcpt("c@in.example")).substr(0, 10), kOutOfOrder);
}

TEST_F(EnvelopeTest, EhloAndRsetEndTheTransaction) {
  for (std::string_view command : {"RSET\r\n", "EHLO x\r\n", "HELO x\r\n"}) {
    session_.Send(Mail("a@b.example") + Rcpt("c@in.example"));
    session_.Send(command);
    EXPECT_EQ(session_.Send(Rcpt("c@in.example")).substr(0, 10), kOutOfOrder) << command;
    EXPECT_TRUE(session_.upstream_octets().ends_with("RSET\r\n"));
  }
  EXPECT_EQ(session_.upstream().size(), 1u);
}

// R24, R30, E3
TEST_F(EnvelopeTest, WhoMayNotRelayReachesLocalDomainsAlone) {
  session_.Send(Mail("a@b.example"));
  EXPECT_EQ(session_.Send(Rcpt("c@ext.example")), "550 5.7.1 Unable to relay for c@ext.example\r\n");
  EXPECT_EQ(session_.Send(Rcpt("c@sub.in.example")), kRecipientOk);
  for (std::string_view path :
       {"victim%ext.example@in.example", "ext.example!victim@in.example", "\"victim@ext.example\"@in.example",
        "@in.example,@x:victim@ext.example", "victim@ext.example@in.example", "victim@[203.0.113.9]",
        "\"victim%ext\"@in.example", "ext!victim"}) {
    std::string said = session_.Send(Rcpt(path));
    EXPECT_TRUE(said.starts_with("550 5.7.1 ") || said.starts_with("501 5.1.3 ")) << path << ": " << said;
  }
  EXPECT_EQ(session_.upstream_octets(), "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@sub.in.example>\r\n");
}

// E1: nothing of a client's reaches the next hop unparsed.
TEST_F(EnvelopeTest, WhatIsNoAddressNeverReachesTheNextHop) {
  session_.Send(Mail("a@b.example"));
  for (std::string_view line :
       {"RCPT TO:<\"b\r\nDATA\"@in.example>\r\n", "RCPT TO:<b@in.example> X=1\r\n", "RCPT TO:b@in.example\r\n",
        "RCPT TO:<b @in.example>\r\n", "RCPT TO:<b@in..example>\r\n"}) {
    char first = session_.Send(line)[0];
    EXPECT_EQ(first, '5') << line;
  }
  EXPECT_EQ(session_.upstream_octets(), "");
}

// E5
TEST_F(EnvelopeTest, TheNullPathHasOneRecipient) {
  EXPECT_EQ(session_.Send(Mail("")), kSenderOk);
  EXPECT_EQ(session_.Send(Rcpt("c@in.example")), kRecipientOk);
  EXPECT_EQ(Codes(session_.Send(Rcpt("d@in.example"))), "550 5.5.3");
  EXPECT_EQ(session_.upstream_octets(), "MAIL FROM:<>\r\nRCPT TO:<c@in.example>\r\n");
}

TEST_F(EnvelopeTest, EmptyAndUnbracketedPaths) {
  EXPECT_EQ(Codes(session_.Send("MAIL FROM:a@b.example\r\n")), "501 5.5.4");
  EXPECT_EQ(session_.Send("MAIL FROM: <a@b.example>\r\n"), kSenderOk);
  EXPECT_EQ(Codes(session_.Send(Rcpt(""))), "501 5.1.3");
}

// P4
TEST_F(EnvelopeTest, LocalPartAndPathAtTheLimitAndBeyond) {
  std::string local(64, 'a');
  EXPECT_EQ(Codes(session_.Send(Mail(local + "a@in.example"))), "501 5.1.7");
  EXPECT_EQ(session_.Send(Mail(local + "@in.example")), kSenderOk);
  EXPECT_EQ(session_.Send(Rcpt(local + "@in.example")), kRecipientOk);
  EXPECT_EQ(Codes(session_.Send(Rcpt(local + "a@in.example"))), "501 5.1.3");
}

// E8
TEST_F(EnvelopeTest, SizeParameter) {
  for (auto [size, code] : {std::pair("0", "250 2.1.0"), std::pair("-1", "501 5.5.4"),
                            std::pair("37748736", "250 2.1.0"), std::pair("37748737", "552 5.3.4"),
                            std::pair("99999999999999999999", "552 5.3.4"), std::pair("1 SIZE=1", "501 5.5.4")}) {
    EXPECT_EQ(Codes(session_.Send(Mail("a@b.example", base::StrCat(" SIZE=", size)))), code) << size;
    session_.Send("RSET\r\n");
  }
}

TEST_F(EnvelopeTest, WhatIsNotOfferedIsNotKnown) {
  EXPECT_EQ(Codes(session_.Send(Mail("a@b.example", " RET=FULL"))), "555 5.5.4");
  EXPECT_EQ(Codes(session_.Send(Mail("a@b.example", " SMTPUTF8"))), "555 5.5.4");
  session_.Send(Mail("a@b.example", " BODY=8BITMIME"));
  EXPECT_EQ(Codes(session_.Send("RCPT TO:<c@in.example> NOTIFY=NEVER\r\n")), "555 5.5.4");
}

// D4, limits.md: recipients per transaction.
TEST_F(EnvelopeTest, RecipientsAtTheLimitAndBeyond) {
  session_.Send(Mail("a@b.example"));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += Rcpt(base::StrCat("c", i, "@in.example"));
  session_.Send(many);
  EXPECT_EQ(session_.Send(Rcpt("d@in.example")), "452 4.5.3 Too many recipients\r\n");
  session_.Send("DATA\r\n");
  session_.Send("x\r\n.\r\n");
  ASSERT_EQ(session_.delivered().size(), 1u);
  EXPECT_EQ(session_.delivered()[0].recipients.size(), 1000u);
}

// limits.md: 452 beyond the recipient limit, 1,000 in a session.
TEST_F(EnvelopeTest, ExcessRecipientsAtTheLimitAndBeyond) {
  SessionSetup setup;
  setup.settings.limits.recipients = 100;
  SessionHarness session(setup);
  session.Greet();
  session.Send(Mail("a@b.example"));
  std::string many;
  for (int i = 0; i < 1100; ++i) many += Rcpt("c@in.example");
  session.Send(many);
  EXPECT_FALSE(session.closed());
  EXPECT_EQ(session.Send(Rcpt("c@in.example")).substr(0, 10), "421 4.7.0 ");
  EXPECT_TRUE(session.closed());
}

// limits.md: refused recipients in a session.
TEST_F(EnvelopeTest, RefusedRecipientsAtTheLimitAndBeyond) {
  for (int i = 0; i < 10; ++i) {
    session_.Send(Mail("a@b.example"));
    for (int j = 0; j < 10; ++j) EXPECT_EQ(Codes(session_.Send(Rcpt("c@ext.example"))), "550 5.7.1");
    session_.Send("RSET\r\n");
  }
  session_.Send(Mail("a@b.example"));
  EXPECT_EQ(session_.Send(Rcpt("c@ext.example")).substr(0, 10), "421 4.7.0 ");
  EXPECT_TRUE(session_.closed());
}

// limits.md: messages per connection.
TEST_F(EnvelopeTest, MessagesPerConnectionAtTheLimitAndBeyond) {
  SessionSetup setup;
  setup.settings.limits.messages = 2;
  SessionHarness session(setup);
  session.Greet();
  for (int i = 0; i < 2; ++i) {
    session.Send(Mail("a@b.example") + Rcpt("c@in.example") + "DATA\r\n");
    EXPECT_EQ(Codes(session.Send("x\r\n.\r\n")), "250 2.0.0");
  }
  EXPECT_EQ(session.Send(Mail("a@b.example")).substr(0, 10), "421 4.7.0 ");
  EXPECT_TRUE(session.closed());
}

TEST_F(EnvelopeTest, AnnouncedSizeBeyondTheSessionsLeft) {
  SessionSetup setup;
  setup.settings.limits.session_size = 1000;
  SessionHarness session(setup);
  session.Greet();
  EXPECT_EQ(session.Send(Mail("a@b.example", " SIZE=1000")), kSenderOk);
  session.Send("RSET\r\n");
  EXPECT_EQ(Codes(session.Send(Mail("a@b.example", " SIZE=1001"))), "552 5.3.4 421 4.7.0");
  EXPECT_TRUE(session.closed());
}

// ------------------------------------------------------------------------------------------------------- the next hop

// U3: verdicts pass, each for its recipient.
TEST_F(EnvelopeTest, TheNextHopsVerdictsPass) {
  session_.Send(Mail("a@b.example"));
  EXPECT_EQ(session_.upstream_octets(), "");  // opened at the first RCPT that policy accepts
  session_.Send(Rcpt("c@ext.example"));
  EXPECT_EQ(session_.upstream_octets(), "");
  EXPECT_EQ(session_.Send(Rcpt("up550@in.example")), "550 5.7.9 no\r\n");
  EXPECT_EQ(session_.Send(Rcpt("up450@in.example")), "450 4.7.9 no\r\n");
  EXPECT_EQ(session_.Send(Rcpt("c@in.example")), kRecipientOk);
}

TEST_F(EnvelopeTest, ARefusalAtMailAnswersEveryRecipientWithoutAskingAgain) {
  for (auto [sender, reply] : {std::pair("mail550", "550 5.7.9"), std::pair("mail450", "450 4.7.9")}) {
    SessionHarness session;
    session.Greet();
    EXPECT_EQ(session.Send(Mail(base::StrCat(sender, "@b.example"))), kSenderOk);
    EXPECT_EQ(Codes(session.Send(Rcpt("c@in.example"))), reply);
    EXPECT_EQ(Codes(session.Send(Rcpt("d@in.example"))), reply);
    EXPECT_EQ(session.upstream_octets(), base::StrCat("MAIL FROM:<", sender, "@b.example>\r\n", Rcpt("c@in.example")));
    EXPECT_EQ(Codes(session.Send("DATA\r\n")), "554 5.5.1");
    // The next transaction asks again.
    session.Send(Mail("a@b.example"));
    EXPECT_EQ(session.Send(Rcpt("c@in.example")), kRecipientOk);
  }
}

TEST_F(EnvelopeTest, AnUnreachableNextHopIsTemporary) {
  for (auto [sender, reply] :
       {std::pair("unreachable", "451 4.4.1"), std::pair("refusedus", "451 4.3.5"), std::pair("notls", "451 4.7.4")}) {
    session_.Send(Mail(base::StrCat(sender, "@b.example")));
    EXPECT_EQ(Codes(session_.Send(Rcpt("c@in.example"))), reply);
    EXPECT_EQ(Codes(session_.Send(Rcpt("c@in.example"))), reply);
    session_.Send("RSET\r\n");
  }
  EXPECT_EQ(session_.upstream_octets(), "");
}

// Its 421 is our client's 451, and the end of the transaction there.
TEST_F(EnvelopeTest, ANextHopThatClosesAnswersForTheWholeTransaction) {
  session_.Send(Mail("a@b.example"));
  EXPECT_EQ(session_.Send(Rcpt("c@in.example")), kRecipientOk);
  EXPECT_EQ(Codes(session_.Send(Rcpt("up421@in.example"))), "451 4.7.9");
  EXPECT_EQ(Codes(session_.Send(Rcpt("d@in.example"))), "451 4.7.9");
  EXPECT_EQ(Codes(session_.Send("DATA\r\n")), "451 4.7.9");
  EXPECT_EQ(session_.upstream_octets().find("RSET"), std::string::npos);
}

// B8, U5: the next hop turns out to lack what it had offered; it is asked nothing more in this transaction.
TEST_F(EnvelopeTest, ABodyThatTheNextHopCannotCarry) {
  SessionSetup setup;
  setup.extensions = {"PIPELINING"};
  SessionHarness session(setup);
  session.Greet();
  session.Send(Mail("a@b.example", " BODY=8BITMIME"));
  EXPECT_EQ(Codes(session.Send(Rcpt("c@in.example"))), "554 5.6.3");
  EXPECT_EQ(Codes(session.Send(Rcpt("c@in.example"))), "554 5.6.3");
  EXPECT_EQ(Codes(session.Send("DATA\r\n")), "554 5.5.1");
  EXPECT_EQ(session.upstream_octets(), "");
  session.Send(Mail("a@b.example"));
  EXPECT_EQ(session.Send(Rcpt("c@in.example")), kRecipientOk);
}

TEST_F(EnvelopeTest, ANextHopThatIsLostAtRcptLosesTheAcceptedOnesToo) {
  session_.Send(Mail("a@b.example"));
  EXPECT_EQ(session_.Send(Rcpt("c@in.example")), kRecipientOk);
  EXPECT_EQ(Codes(session_.Send(Rcpt("uplost@in.example"))), "451 4.4.1");
  EXPECT_EQ(Codes(session_.Send(Rcpt("d@in.example"))), "451 4.4.1");
  EXPECT_EQ(Codes(session_.Send("DATA\r\n")), "451 4.4.1");
  EXPECT_EQ(session_.Send(Rcpt("d@in.example")).substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send(Mail("a@b.example")), kSenderOk);
  EXPECT_EQ(session_.Send(Rcpt("d@in.example")), kRecipientOk);
  EXPECT_EQ(session_.upstream().size(), 2u);
}

}  // namespace
}  // namespace gatepost::smtp
