// SMTPUTF8, DSN and BINARYMIME from the client to the next hop; masquerading, the annotation of Received, XCLIENT.
// Threats B8, E2, E6, U5, U6.
#include <gtest/gtest.h>

#include "services/base/strings.h"
#include "services/smtp/testing/session_harness.h"

namespace gatepost::smtp {
namespace {

std::string Code(std::string_view said) { return std::string(said.substr(0, 9)); }

SessionSetup FullSetup() {
  SessionSetup setup;
  setup.Offer({"PIPELINING", "DSN", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME"});
  return setup;
}

// ------------------------------------------------------------------------------------------------------------ SMTPUTF8

TEST(SmtpUtf8Test, AnAddressBeyondAsciiNeedsTheParameter) {
  SessionHarness session(FullSetup());
  session.Greet();
  EXPECT_EQ(Code(session.Send("MAIL FROM:<\u00fc@b.example>\r\n")), "550 5.6.7");
  EXPECT_EQ(Code(session.Send("MAIL FROM:<a@b\u00fccher.example>\r\n")), "550 5.6.7");
  session.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(Code(session.Send("RCPT TO:<\u00fc@in.example>\r\n")), "553 5.6.7");
  EXPECT_EQ(Code(session.Send("RCPT TO:<c@b\u00fccher.in.example>\r\n")), "553 5.6.7");
  EXPECT_EQ(session.upstream_octets(), "");
}

TEST(SmtpUtf8Test, PassesOnWrittenAnew) {
  SessionHarness session(FullSetup());
  session.Greet();
  EXPECT_EQ(Code(session.Send("MAIL FROM:<\u0438\u0432\u0430\u043d@B\u00dcCHER.example> SMTPUTF8\r\n")), "250 2.1.0");
  EXPECT_EQ(Code(session.Send("RCPT TO:<\"\\\u00fc\"@in.example>\r\n")), "501 5.1.3")
      << "no quoted pair (RFC 6531 3.3)";
  EXPECT_EQ(Code(session.Send("RCPT TO:<\u00fc@b\u00fccher.in.example>\r\n")), "250 2.1.5");
  EXPECT_EQ(Code(session.Send("DATA\r\n")), "354 End d");
  EXPECT_EQ(Code(session.Send("Subject: \u00fc\r\n\r\n.\r\n")), "250 2.0.0");
  EXPECT_TRUE(
      session.upstream_octets().starts_with("MAIL FROM:<\u0438\u0432\u0430\u043d@xn--bcher-kva.example> SMTPUTF8\r\n"
                                            "RCPT TO:<\u00fc@xn--bcher-kva.in.example>\r\n"));
  const std::string& received = session.delivered().at(0).received;
  EXPECT_NE(received.find("with UTF8SMTP\r\n"), std::string::npos);
  EXPECT_NE(received.find("for <\u00fc@xn--bcher-kva.in.example>;"), std::string::npos);
}

TEST(SmtpUtf8Test, PolicyComparesALabels) {
  SessionSetup setup = FullSetup();
  setup.settings.local_domains = {{"xn--bcher-kva.example", false}};
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<a@b.example> SMTPUTF8\r\n");
  EXPECT_EQ(Code(session.Send("RCPT TO:<c@bu\u0308cher.example>\r\n")), "250 2.1.5") << "NFD";
  EXPECT_EQ(Code(session.Send("RCPT TO:<c@xn--bcher-kva.example>\r\n")), "250 2.1.5");
  EXPECT_EQ(Code(session.Send("RCPT TO:<c@b\u0446cher.example>\r\n")), "550 5.7.1") << "a lookalike is another domain";
}

TEST(SmtpUtf8Test, NothingThatHidesSyntaxPasses) {
  SessionHarness session(FullSetup());
  session.Greet();
  session.Send("MAIL FROM:<a@b.example> SMTPUTF8\r\n");
  for (const char* path : {"victim\uff20ext.example@in.example", "victim\ufe6bext@in.example", "c@in\u3002example",
                           "c@in\uff0eexample", "c\u0085@in.example", "\xc0\xae@in.example", "\xff@in.example",
                           "c@xn--99999999.in.example", "a\u200db@a\u200db.in.example"}) {
    EXPECT_EQ(Code(session.Send(base::StrCat("RCPT TO:<", path, ">\r\n"))), "501 5.1.3") << path;
  }
  EXPECT_EQ(session.upstream_octets(), "");
}

TEST(SmtpUtf8Test, ANextHopThatTurnsOutNotToHaveItIsNoReasonToDowngrade) {
  SessionSetup setup = FullSetup();
  setup.extensions = {"PIPELINING", "8BITMIME"};
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<\u00fc@b.example> SMTPUTF8\r\n");
  EXPECT_EQ(Code(session.Send("RCPT TO:<c@in.example>\r\n")), "553 5.6.7");
  EXPECT_EQ(Code(session.Send("RCPT TO:<d@in.example>\r\n")), "553 5.6.7");
  EXPECT_EQ(session.upstream_octets(), "");
}

// RFC 6531 3.7.4.2
TEST(SmtpUtf8Test, RepliesHoldUtf8OnlyInItsTransaction) {
  SessionHarness session(FullSetup());
  session.Greet();
  session.Send("MAIL FROM:<a@b.example> SMTPUTF8\r\n");
  EXPECT_EQ(session.Send("RCPT TO:<\u00fc@ext.example>\r\n"), "550 5.7.1 Unable to relay for \u00fc@ext.example\r\n");
  session.Send("RSET\r\n");
  for (unsigned char octet : session.Send("VRFY \u00fc\r\nMAIL FROM:<\u00fc@b>\r\nEHLO \u00fc\r\n"))
    EXPECT_LT(octet, 0x80);
}

TEST(SmtpUtf8Test, TheParameterTakesNoValueAndComesOnce) {
  SessionHarness session(FullSetup());
  session.Greet();
  EXPECT_EQ(Code(session.Send("MAIL FROM:<a@b> SMTPUTF8=1\r\n")), "501 5.5.4");
  EXPECT_EQ(Code(session.Send("MAIL FROM:<a@b> SMTPUTF8 SMTPUTF8\r\n")), "501 5.5.4");
  EXPECT_EQ(Code(session.Send("MAIL FROM:<a@b>\r\n")), "250 2.1.0");
  EXPECT_EQ(Code(session.Send("RCPT TO:<c@in.example> SMTPUTF8\r\n")), "555 5.5.4");
}

// ----------------------------------------------------------------------------------------------------------------- DSN

TEST(DsnTest, PassesOnWrittenAnew) {
  SessionHarness session(FullSetup());
  session.Greet();
  EXPECT_EQ(Code(session.Send("MAIL FROM:<a@b.example> ret=full ENVID=a+2Bb+20c\r\n")), "250 2.1.0");
  EXPECT_EQ(Code(session.Send("RCPT TO:<c@in.example> NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;c+2Bd@in.example\r\n")),
            "250 2.1.5");
  EXPECT_EQ(Code(session.Send("RCPT TO:<d@in.example> NOTIFY=never\r\n")), "250 2.1.5");
  EXPECT_EQ(session.upstream_octets(),
            "MAIL FROM:<a@b.example> RET=FULL ENVID=a+2Bb+20c\r\n"
            "RCPT TO:<c@in.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c+2Bd@in.example\r\n"
            "RCPT TO:<d@in.example> NOTIFY=NEVER\r\n");
}

TEST(DsnTest, MalformedParametersAre501) {
  SessionSetup setup = FullSetup();
  setup.settings.limits.protocol_errors = 100;
  SessionHarness session(setup);
  session.Greet();
  for (const std::string& parameter :
       {std::string("ENVID=+00"), std::string("ENVID=a+0D+0ARCPT+20TO"), std::string("ENVID="), std::string("ENVID"),
        std::string("ENVID=a ENVID=a"), "ENVID=" + std::string(101, 'x'), std::string("ENVID=+7F"),
        std::string("RET=SOME"), std::string("RET=FULL RET=HDRS"), std::string("RET")}) {
    EXPECT_EQ(Code(session.Send(base::StrCat("MAIL FROM:<a@b.example> ", parameter, "\r\n"))), "501 5.5.4")
        << parameter;
  }
  EXPECT_EQ(Code(session.Send(base::StrCat("MAIL FROM:<a@b.example> ENVID=", std::string(100, 'x'), "\r\n"))),
            "250 2.1.0");
  for (const std::string& parameter :
       {std::string("ORCPT=rfc822;a+0D+0ARCPT+20TO"), std::string("ORCPT=rfc822"), std::string("ORCPT=;a"),
        std::string("ORCPT=rfc822;"), std::string("ORCPT=rfc822;a ORCPT=rfc822;a"), std::string("NOTIFY=NEVER,SUCCESS"),
        std::string("NOTIFY=SUCCESS,SUCCESS"), std::string("NOTIFY="), std::string("NOTIFY=ALWAYS"),
        std::string("NOTIFY=NEVER NOTIFY=NEVER"), "ORCPT=rfc822;" + std::string(494, 'x'),
        "ORCPT=rfc822;" + std::string(1500, 'x')}) {
    EXPECT_EQ(Code(session.Send(base::StrCat("RCPT TO:<c@in.example> ", parameter, "\r\n"))), "501 5.5.4") << parameter;
  }
  EXPECT_EQ(session.upstream_octets(), "");
  EXPECT_FALSE(session.closed());
}

TEST(DsnTest, OrcptOf500CharactersIsTheLimit) {
  SessionHarness session(FullSetup());
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\n");
  const std::string most = "rfc822;" + std::string(493, 'x');
  EXPECT_EQ(Code(session.Send(base::StrCat("RCPT TO:<c@in.example> ORCPT=", most, "x\r\n"))), "501 5.5.4");
  EXPECT_EQ(Code(session.Send(base::StrCat("RCPT TO:<c@in.example> ORCPT=", most, "\r\n"))), "250 2.1.5");
}

// U5: nothing of its meaning is lost silently.
TEST(DsnTest, ANextHopThatTurnsOutNotToHaveItIs451) {
  SessionSetup setup = FullSetup();
  setup.extensions = {"PIPELINING"};
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(Code(session.Send("RCPT TO:<c@in.example>\r\n")), "250 2.1.5");
  EXPECT_EQ(Code(session.Send("RCPT TO:<d@in.example> NOTIFY=NEVER\r\n")), "451 4.3.5");
  EXPECT_EQ(Code(session.Send("RCPT TO:<e@in.example>\r\n")), "250 2.1.5");
  EXPECT_EQ(session.Send("DATA\r\n").substr(0, 3), "354");
  EXPECT_EQ(Code(session.Send(".\r\n")), "250 2.0.0");
  EXPECT_EQ(session.delivered().at(0).recipients, (std::vector<std::string>{"c@in.example", "e@in.example"}));
}

// ---------------------------------------------------------------------------------------------------------- BINARYMIME

TEST(BinaryMimeTest, DataIsOutOfOrder) {
  SessionHarness session(FullSetup());
  session.Greet();
  EXPECT_EQ(Code(session.Send("MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n")), "250 2.1.0");
  session.Send("RCPT TO:<c@in.example>\r\n");
  EXPECT_EQ(Code(session.Send("DATA\r\n")), "503 5.5.1");
  EXPECT_EQ(Code(session.Send("BDAT 0 LAST\r\n")), "250 2.0.0") << "the transaction has stayed";
}

TEST(BinaryMimeTest, PassesByBdatAsItIs) {
  for (size_t segment : {size_t{0}, size_t{1}, size_t{3}}) {
    SessionSetup setup = FullSetup();
    setup.segment = segment;
    SessionHarness session(setup);
    session.Greet();
    session.Send("MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<c@in.example>\r\n");
    const std::string first("a\0\r\n.\r\n\n.\n\xff\r", 12), second("\n.x\r\r", 5);
    EXPECT_EQ(session.Send(base::StrCat("BDAT 12\r\n", first)), "250 2.0.0 12 octets received\r\n");
    EXPECT_EQ(Code(session.Send(base::StrCat("BDAT 5 LAST\r\n", second))), "250 2.0.0");
    EXPECT_EQ(session.delivered().at(0).body, first + second);
    const std::string octets = session.upstream_octets();
    EXPECT_EQ(octets.find("DATA\r\n"), std::string::npos);
    EXPECT_NE(octets.find(" BODY=BINARYMIME\r\n"), std::string::npos);
    EXPECT_NE(octets.find(" LAST\r\n"), std::string::npos);
    EXPECT_TRUE(octets.ends_with(first + second)) << "one chunk, and no dot";
  }
}

TEST(BinaryMimeTest, LongMessagesGoInChunksOf64KibAndMore) {
  SessionHarness session(FullSetup());
  session.Greet();
  session.Send("MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<c@in.example>\r\n");
  const std::string body(200'000, '\n');
  EXPECT_EQ(Code(session.Send(base::StrCat("BDAT 100000\r\n", body.substr(0, 100'000)))), "250 2.0.0");
  EXPECT_EQ(Code(session.Send(base::StrCat("BDAT 100000 LAST\r\n", body.substr(100'000)))), "250 2.0.0");
  EXPECT_EQ(session.delivered().at(0).body, body);
  size_t chunks = 0;
  const std::string octets = session.upstream_octets();
  for (size_t at = 0; (at = octets.find("BDAT ", at)) != std::string::npos; ++at) ++chunks;
  EXPECT_LE(chunks, 4u);
  EXPECT_GE(chunks, 2u);
}

TEST(BinaryMimeTest, ABlankAtTheStartAndHopsAreStillJudged) {
  SessionSetup setup = FullSetup();
  setup.settings.limits.hops = 2;
  SessionHarness session(setup);
  session.Greet();
  const std::string envelope = "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<c@in.example>\r\n";
  session.Send(envelope);
  EXPECT_EQ(Code(session.Send("BDAT 4 LAST\r\n x\r\n")), "550 5.6.0");
  const std::string received = "Received: a\r\n";
  session.Send(envelope);
  EXPECT_EQ(Code(session.Send(base::StrCat("BDAT 39 LAST\r\n", received, received, received))), "554 5.4.6");
  session.Send(envelope);
  EXPECT_EQ(Code(session.Send(base::StrCat("BDAT 26 LAST\r\n", received, received))), "250 2.0.0");
  EXPECT_EQ(session.delivered().size(), 1u);
}

TEST(BinaryMimeTest, ANextHopThatTurnsOutNotToHaveItIs554) {
  SessionSetup setup = FullSetup();
  setup.extensions = {"PIPELINING", "8BITMIME", "CHUNKING"};
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n");
  EXPECT_EQ(Code(session.Send("RCPT TO:<c@in.example>\r\n")), "554 5.6.3");
  EXPECT_EQ(Code(session.Send("BDAT 3 LAST\r\nabc")), "554 5.5.1");
}

TEST(BinaryMimeTest, WithoutBinaryMimeTheRulesOfTextHold) {
  SessionHarness session(FullSetup());
  session.Greet();
  session.Send("MAIL FROM:<a@b.example> BODY=8BITMIME\r\nRCPT TO:<c@in.example>\r\n");
  EXPECT_EQ(Code(session.Send(std::string("BDAT 3 LAST\r\na\0b", 16))), "550 5.6.0");
}

// 8-bit octets, whatever MAIL has said of them, never reach a next hop that takes none.
TEST(EightBitTest, ABodyThatTheNextHopCannotTakeIs554AtItsEnd) {
  SessionSetup setup;
  setup.next_hop.eight_bit_mime = false;
  setup.extensions = {"PIPELINING"};
  SessionHarness session(setup);
  session.Greet();
  const std::string envelope = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\n";
  session.Send(envelope);
  session.Send("DATA\r\n");
  EXPECT_EQ(session.Send("Subject: \u00fc\r\n"), "");
  EXPECT_EQ(Code(session.Send("\r\n.\r\n")), "554 5.6.3");
  session.Send(envelope);
  EXPECT_EQ(Code(session.Send("BDAT 4 LAST\r\n\u00fc\r\n")), "554 5.6.3");
  session.Send(envelope);
  session.Send("DATA\r\n");
  EXPECT_EQ(Code(session.Send("Subject: u\r\n\r\n.\r\n")), "250 2.0.0");
  EXPECT_EQ(session.delivered().size(), 1u);
}

// ------------------------------------------------------------------------------------- masquerade, annotation, XCLIENT

TEST(MasqueradeTest, ALocalSendersDomainIsReplacedTowardsTheNextHop) {
  SessionSetup setup = FullSetup();
  setup.settings.delivery.masquerade_domain = "corp.example";
  SessionHarness session(setup);
  session.Greet();
  for (const char* sender : {"a@in.example", "a@host.in.example"}) {
    session.Send(base::StrCat("MAIL FROM:<", sender, "> RET=HDRS\r\nRCPT TO:<c@in.example>\r\n"));
    EXPECT_TRUE(
        session.upstream_octets().ends_with("MAIL FROM:<a@corp.example> RET=HDRS\r\nRCPT TO:<c@in.example>\r\n"))
        << session.upstream_octets();
    session.Send("RSET\r\n");
  }
}

TEST(MasqueradeTest, OtherSendersStayAndSoDoesTheHeader) {
  SessionSetup setup = FullSetup();
  setup.settings.delivery.masquerade_domain = "corp.example";
  SessionHarness session(setup);
  session.Greet();
  for (const char* sender : {"a@b.example", "", "a@[192.0.2.1]"}) {
    session.Send(base::StrCat("MAIL FROM:<", sender, ">\r\nRCPT TO:<c@in.example>\r\n"));
    EXPECT_NE(session.upstream_octets().find(base::StrCat("MAIL FROM:<", sender, ">\r\n")), std::string::npos);
    session.Send("RSET\r\n");
  }
  session.Send("MAIL FROM:<a@in.example>\r\nRCPT TO:<c@in.example>\r\n");
  session.Send("DATA\r\n");
  session.Send("From: a@in.example\r\n\r\n.\r\n");
  EXPECT_EQ(session.delivered().at(0).body, "From: a@in.example\r\n\r\n");
}

std::string ReceivedFrom(SessionSetup setup) {
  SessionHarness session(std::move(setup));
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\n");
  session.Send("DATA\r\n");
  session.Send(".\r\n");
  const std::string& received = session.delivered().at(0).received;
  return received.substr(0, received.find("\r\n"));
}

TEST(AnnotationTest, TheConfirmedNameIsInReceivedWhereItIsWanted) {
  SessionSetup setup;
  setup.name = {policy::ClientName::State::kConfirmed, {"pc.example", "other.example"}};
  EXPECT_EQ(ReceivedFrom(setup), "Received: from client.example ([192.0.2.7])");
  setup.settings.reverse_lookup.annotate_received = true;
  EXPECT_EQ(ReceivedFrom(setup), "Received: from client.example (pc.example [192.0.2.7])");
  setup.name = {policy::ClientName::State::kUnknown, {}};
  EXPECT_EQ(ReceivedFrom(setup), "Received: from client.example ([192.0.2.7])");
  setup.name = {policy::ClientName::State::kFailed, {}};
  EXPECT_EQ(ReceivedFrom(setup), "Received: from client.example ([192.0.2.7])");
}

SessionSetup XclientSetup() {
  SessionSetup setup;
  setup.Offer({"PIPELINING", "XCLIENT NAME ADDR PORT PROTO HELO LOGIN"});
  setup.settings.delivery.client_identity = policy::ClientIdentity::kXclient;
  setup.settings.authentication.allow_clear_text_credentials = true;
  setup.name = {policy::ClientName::State::kConfirmed, {"pc.example"}};
  return setup;
}

TEST(XclientTest, TheNextHopIsToldBeforeMail) {
  SessionHarness session(XclientSetup());
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\n");
  EXPECT_EQ(session.name_lookups(), 1);
  EXPECT_EQ(session.upstream_octets(),
            "XCLIENT NAME=pc.example ADDR=192.0.2.7 PORT=[UNAVAILABLE] PROTO=ESMTP HELO=client.example "
            "LOGIN=[UNAVAILABLE]\r\n"
            "EHLO client.example\r\n"
            "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\n");
}

TEST(XclientTest, WhoHasAuthenticatedIsToldBeforeTheNextMail) {
  SessionHarness session(XclientSetup());
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\nRSET\r\n");
  EXPECT_EQ(Code(session.Send("AUTH PLAIN AHVzZXIrMQBnb29k\r\n")), "235 2.7.0");
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\nRSET\r\n");
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\n");
  const std::string octets = session.upstream_octets();
  EXPECT_NE(octets.find("RSET\r\nXCLIENT "), std::string::npos);
  EXPECT_NE(octets.find(" LOGIN=user+2B1\r\nEHLO client.example\r\nMAIL FROM"), std::string::npos);
  size_t told = 0;
  for (size_t at = 0; (at = octets.find("XCLIENT ", at)) != std::string::npos; ++at) ++told;
  EXPECT_EQ(told, 2u);
  EXPECT_EQ(session.name_lookups(), 1);
}

TEST(XclientTest, ANextHopThatDoesNotAskForItGetsNoMail) {
  SessionSetup setup = XclientSetup();
  setup.extensions = {"PIPELINING"};
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(Code(session.Send("RCPT TO:<c@in.example>\r\n")), "451 4.3.5");
  EXPECT_EQ(session.upstream_octets(), "EHLO mx.example\r\n");
}

}  // namespace
}  // namespace gatepost::smtp
