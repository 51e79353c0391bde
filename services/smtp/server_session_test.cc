// Longer than most: one machine, to be read against its replies in one go.
// Opening, STARTTLS, order of commands, pipelining, error counters, deadlines. Threats P1, P2, P3, P5, P6, S5,
// S6, T1, T2, T3, T4, T5, I5, M4; limits.md: command line, protocol errors, idle commands, idle, command time, session.
#include "services/smtp/server_session.h"

#include <gtest/gtest.h>

#include "services/base/strings.h"
#include "services/smtp/limits.h"
#include "services/smtp/replies.h"
#include "services/smtp/testing/session_harness.h"

namespace gatepost::smtp {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;

constexpr char kTooManyErrors[] = "421 4.7.0 mx.example ";

std::string Repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

int CountLines(std::string_view text, std::string_view prefix) {
  int count = 0;
  for (std::string_view line : base::Split(text, '\n')) count += line.starts_with(prefix) ? 1 : 0;
  return count;
}

// ------------------------------------------------------------------------------------------------------------ opening

TEST(SessionOpeningTest, GreetsWithTheHostNameFirst) {
  SessionHarness session;
  EXPECT_EQ(session.Begin(), "220 mx.example ESMTP Gatepost\r\n");
}

// R25. A refused client may read why; then QUIT is answered, everything else is 503.
TEST(SessionOpeningTest, RefusedClientMayOnlyQuit) {
  SessionSetup setup;
  setup.settings.connection_control.entries.push_back(*base::IpPrefix::Parse("192.0.2.0/24"));
  SessionHarness session(setup);
  EXPECT_EQ(session.Begin(), "554 mx.example Connection refused: 192.0.2.7 is not permitted\r\n");
  EXPECT_EQ(session.Send("EHLO x\r\n"), replies::BadSequence().ToString());
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example>\r\nBDAT 3\r\n"), Repeat(replies::BadSequence().ToString(), 2));
  EXPECT_EQ(session.Send("QUIT\r\n"), "221 2.0.0 mx.example Closing\r\n");
  EXPECT_TRUE(session.closed());
}

TEST(SessionOpeningTest, RefusedClientIsClosedAfterTenSeconds) {
  SessionSetup setup;
  setup.settings.connection_control.mode = policy::ListMode::kOnlyList;
  SessionHarness session(setup);
  session.Begin();
  base::MonotonicTime begin = session.clock().Now();
  EXPECT_EQ(session.reading().deadline, begin + 10s);
  session.clock().Advance(9s);
  session.Send("NOOP\r\n");
  EXPECT_EQ(session.reading().deadline, begin + 10s);
  EXPECT_EQ(session.TimeOut(), "");
  EXPECT_TRUE(session.closed());
}

TEST(SessionOpeningTest, RefusalsBeforeAdmissionCloseAtOnce) {
  SessionSetup setup;
  setup.start.admission = Start::Admission::kTooManyConnections;
  SessionHarness busy(setup);
  EXPECT_EQ(busy.Begin(), "421 mx.example Too many connections\r\n");
  EXPECT_TRUE(busy.closed());
  setup.start.admission = Start::Admission::kNotAccepting;
  SessionHarness paused(setup);
  EXPECT_EQ(paused.Begin(), "421 mx.example Not accepting connections\r\n");
  EXPECT_TRUE(paused.closed());
  setup.start.implicit_tls = true;
  SessionHarness tls(setup);
  EXPECT_EQ(tls.Begin(), "");
  EXPECT_TRUE(tls.closed());
  EXPECT_EQ(tls.handshakes(), 0);
}

TEST(SessionOpeningTest, ImplicitTlsHandshakesBeforeARefusalByPolicy) {
  SessionSetup setup;
  setup.start.implicit_tls = true;
  setup.settings.connection_control.mode = policy::ListMode::kOnlyList;
  SessionHarness session(setup);
  EXPECT_EQ(session.Begin().substr(0, 14), "554 mx.example");
  EXPECT_EQ(session.handshakes(), 1);
}

// R17, RFC 3207 4.1: what was agreed on is judged again.
TEST(SessionOpeningTest, EncryptionBelowTheFloorServesNothingButQuit) {
  for (const bool implicit : {false, true}) {
    for (const bool old : {false, true}) {
      SessionSetup setup;
      setup.start.implicit_tls = implicit;
      if (old) {
        setup.settings.tls.min_version = policy::TlsVersion::kTls13;
        setup.tls.version = policy::TlsVersion::kTls12;
      } else {
        setup.settings.tls.min_cipher_bits = 256;
      }
      SessionHarness session(setup);
      EXPECT_EQ(session.Begin(), "220 mx.example ESMTP Gatepost\r\n");
      if (!implicit) {
        session.Send("EHLO x\r\n");
        EXPECT_EQ(session.Send("STARTTLS\r\n"), "220 2.0.0 Ready to start TLS\r\n");
      }
      const base::MonotonicTime begin = session.clock().Now();
      const std::string refused = "554 5.7.0 Command refused due to lack of security\r\n";
      EXPECT_EQ(session.Send("EHLO x\r\n"), refused);
      EXPECT_EQ(session.Send("MAIL FROM:<a@in.example>\r\nNOOP\r\n"), refused + refused);
      EXPECT_EQ(session.reading().deadline, begin + 10s);
      EXPECT_EQ(session.Send("QUIT\r\n"), "221 2.0.0 mx.example Closing\r\n");
      EXPECT_TRUE(session.closed());
    }
  }
}

TEST(SessionOpeningTest, EncryptionBelowTheFloorIsClosedAfterTenSeconds) {
  SessionSetup setup;
  setup.start.implicit_tls = true;
  setup.settings.tls.min_cipher_bits = 256;
  SessionHarness session(setup);
  session.Begin();
  EXPECT_EQ(session.TimeOut(), "");
  EXPECT_TRUE(session.closed());
}

TEST(SessionOpeningTest, EncryptionAtTheFloorIsServed) {
  SessionSetup setup;
  setup.start.implicit_tls = true;
  setup.settings.tls.min_cipher_bits = 256;
  setup.settings.tls.min_version = policy::TlsVersion::kTls13;
  setup.tls.cipher_bits = 256;
  SessionHarness session(setup);
  session.Begin();
  EXPECT_EQ(session.Send("EHLO x\r\n").substr(0, 4), "250-");
}

TEST(SessionOpeningTest, FailedHandshakeClosesWithoutAWord) {
  SessionSetup setup;
  setup.start.implicit_tls = true;
  setup.handshake_fails = true;
  SessionHarness session(setup);
  EXPECT_EQ(session.Begin(), "");
  EXPECT_TRUE(session.closed());
  EXPECT_FALSE(session.lingers());
}

// P1
TEST(SessionOpeningTest, EarlyTalkerIsClosed) {
  SessionHarness session;
  std::span<char> room = session.session().input().Prepare(8);
  std::copy_n("EHLO x\r\n", 8, room.begin());
  session.session().input().Commit(8);
  EXPECT_EQ(session.Begin(), "554 mx.example Protocol error\r\n");
  EXPECT_TRUE(session.closed());
}

// ----------------------------------------------------------------------------------------------------------- STARTTLS

// T1, T2: what follows STARTTLS is never answered; the session is over before a handshake.
TEST(SessionStartTlsTest, OctetsBehindStartTlsClose) {
  for (std::string_view injected : {"EHLO inj\r\n", "\x16\x03\x01", "\r\n"}) {
    SessionHarness session;
    session.Greet();
    EXPECT_EQ(session.Send(base::StrCat("STARTTLS\r\n", injected)), "554 5.5.0 Protocol error\r\n");
    EXPECT_TRUE(session.closed());
    EXPECT_EQ(session.handshakes(), 0);
  }
}

// T3
TEST(SessionStartTlsTest, ArgumentOrderAndSecondStartTls) {
  SessionHarness session;
  session.Begin();
  EXPECT_EQ(session.Send("STARTTLS\r\n"), replies::BadSequence().ToString());
  session.Send("EHLO x\r\n");
  EXPECT_EQ(session.Send("STARTTLS x\r\n").substr(0, 9), "501 5.5.4");
  EXPECT_EQ(session.Send("STARTTLS\r\n"), "220 2.0.0 Ready to start TLS\r\n");
  EXPECT_EQ(session.Send("EHLO x\r\n").find("STARTTLS"), std::string::npos);
  EXPECT_EQ(session.Send("STARTTLS\r\n"), replies::BadSequence().ToString());
}

TEST(SessionStartTlsTest, WithoutACertificateNotAvailable) {
  SessionSetup setup;
  setup.starttls_available = false;
  SessionHarness session(setup);
  session.Begin();
  EXPECT_EQ(session.Send("EHLO x\r\n").find("STARTTLS"), std::string::npos);
  EXPECT_EQ(session.Send("STARTTLS\r\n"), "454 4.7.0 TLS not available\r\n");
}

// T4
TEST(SessionStartTlsTest, ForgetsEhloAndTransaction) {
  SessionHarness session;
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\n");
  session.Send("STARTTLS\r\n");
  EXPECT_EQ(session.Send("DATA\r\n"), replies::BadSequence().ToString());
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example>\r\n"), replies::BadSequence().ToString());
  EXPECT_EQ(session.upstream_octets(), "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\nRSET\r\n");
  session.Send("EHLO x\r\n");
  EXPECT_EQ(session.Send("RCPT TO:<c@in.example>\r\n"), replies::BadSequence().ToString());
}

TEST(SessionStartTlsTest, ForgetsTheIdentity) {
  SessionSetup setup;
  setup.settings.authentication.anonymous = false;
  setup.settings.authentication.allow_clear_text_credentials = true;
  SessionHarness session(setup);
  session.Greet();
  EXPECT_EQ(session.Send("AUTH PLAIN AHUAZ29vZA==\r\n"), "235 2.7.0 Authentication successful\r\n");
  session.Send("STARTTLS\r\n");
  session.Send("EHLO x\r\n");
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example>\r\n"), "530 5.7.0 Authentication required\r\n");
}

// T5
TEST(SessionStartTlsTest, NoHandshakeNoFallback) {
  SessionSetup setup;
  setup.handshake_fails = true;
  SessionHarness session(setup);
  session.Greet();
  EXPECT_EQ(session.Send("STARTTLS\r\n"), "220 2.0.0 Ready to start TLS\r\n");
  EXPECT_TRUE(session.closed());
  EXPECT_FALSE(session.lingers());
}

// R16
TEST(SessionStartTlsTest, SecureChannelRequiredRefusesAllButTheFewBeforeTls) {
  SessionSetup setup;
  setup.settings.tls.require_secure_channel = true;
  SessionHarness session(setup);
  session.Begin();
  const std::string required = "530 5.7.0 Must issue a STARTTLS command first\r\n";
  EXPECT_EQ(session.Send("EHLO x\r\n").find("AUTH"), std::string::npos);
  for (std::string_view command :
       {"MAIL FROM:<a@b.example>", "RCPT TO:<a@in.example>", "DATA", "BDAT 0", "VRFY a", "AUTH PLAIN AHUAZ29vZA=="}) {
    EXPECT_EQ(session.Send(base::StrCat(command, "\r\n")), required) << command;
  }
  EXPECT_EQ(session.Send("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), required + "250 2.0.0 OK\r\n");
  for (std::string_view command : {"NOOP", "RSET"})
    EXPECT_EQ(session.Send(base::StrCat(command, "\r\n")), "250 2.0.0 OK\r\n");
  EXPECT_EQ(session.Send("HELP\r\n").substr(0, 9), "214 2.0.0");
  session.Send("STARTTLS\r\n");
  session.Send("EHLO x\r\n");
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Sender OK\r\n");
  EXPECT_TRUE(session.auth_log().empty());
}

// ---------------------------------------------------------------------------------------------------- lines and groups

TEST(SessionLinesTest, SimpleCommands) {
  SessionHarness session;
  session.Greet();
  EXPECT_EQ(session.Send("NOOP\r\n"), "250 2.0.0 OK\r\n");
  EXPECT_EQ(session.Send("noop anything\r\n"), "250 2.0.0 OK\r\n");
  EXPECT_EQ(session.Send("RSET\r\n"), "250 2.0.0 OK\r\n");
  EXPECT_EQ(session.Send("RSET x\r\n").substr(0, 9), "501 5.5.4");
  EXPECT_EQ(session.Send("VRFY\r\n").substr(0, 9), "501 5.5.4");
  EXPECT_EQ(session.Send("XYZZY\r\n"), "500 5.5.1 Command not recognized\r\n");
  EXPECT_EQ(session.Send("QUIT\r\n"), "221 2.0.0 mx.example Closing\r\n");
}

// M4
TEST(SessionLinesTest, VrfyAndExpnTellNothing) {
  SessionHarness session;
  session.Greet();
  std::string known = session.Send("VRFY c@in.example\r\n");
  EXPECT_EQ(known, "252 2.5.2 Cannot VRFY, but will accept the message and attempt delivery\r\n");
  EXPECT_EQ(session.Send("VRFY nobody@ext.example\r\n"), known);
  EXPECT_EQ(session.Send("EXPN list\r\n"), "502 5.5.1 Command not implemented\r\n");
  EXPECT_EQ(session.Send("EXPN nolist\r\n"), "502 5.5.1 Command not implemented\r\n");
}

// S5, S6
TEST(SessionLinesTest, ControlOctetsAndBareLineEndsClose) {
  for (std::string_view line :
       {std::string_view("NOOP\n"), std::string_view("EHLO x\n"), std::string_view("NO\0OP\r\n", 7),
        std::string_view("EHLO conf\x07"
                         "erence\r\n"),
        std::string_view("NOOP\rX\r\n"), std::string_view("NOOP \x7f\r\n")}) {
    SessionHarness session;
    session.Greet();
    EXPECT_EQ(session.Send(line), "500 5.5.2 Syntax error\r\n") << line;
    EXPECT_TRUE(session.closed());
  }
}

// P2
TEST(SessionLinesTest, OctetsBehindACommandThatEndsItsGroupClose) {
  for (std::string_view group : {"EHLO x\r\nMAIL FROM:<a@b.example>\r\n", "HELO x\r\nNOOP\r\n", "EHLO x\r\n\r\n",
                                 "AUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\n", "AUTH NOSUCH\r\nNOOP\r\n"}) {
    SessionHarness session;
    session.Greet();
    EXPECT_EQ(session.Send(group), "554 5.5.0 Protocol error\r\n") << group;
    EXPECT_TRUE(session.closed());
  }
}

TEST(SessionLinesTest, OctetsBehindDataClose) {
  SessionHarness session;
  session.Greet();
  std::string said = session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\nDATA\r\nSubject: x\r\n.\r\n");
  EXPECT_EQ(said, "250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n554 5.5.0 Protocol error\r\n");
  EXPECT_TRUE(session.closed());
  EXPECT_EQ(session.upstream_octets().find("DATA"), std::string::npos);
}

TEST(SessionLinesTest, OctetsBehindQuitAreIgnored) {
  SessionHarness session;
  session.Greet();
  EXPECT_EQ(session.Send("QUIT\r\nNOOP\r\n"), "221 2.0.0 mx.example Closing\r\n");
  EXPECT_TRUE(session.closed());
}

TEST(SessionLinesTest, AGroupOfCommandsIsAnsweredInOrder) {
  SessionHarness session;
  session.Greet();
  EXPECT_EQ(
      session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@ext.example>\r\nRCPT TO:<d@in.example>\r\nRSET\r\nNOOP\r\n"),
      "250 2.1.0 Sender OK\r\n550 5.7.1 Unable to relay for c@ext.example\r\n250 2.1.5 Recipient OK\r\n"
      "250 2.0.0 OK\r\n250 2.0.0 OK\r\n");
}

// P3, limits.md: command line.
TEST(SessionLinesTest, CommandLineAtTheLimitAndBeyond) {
  SessionHarness session;
  session.Greet();
  std::string noop = "NOOP " + std::string(limits::kCommandLine - 7, 'x') + "\r\n";
  ASSERT_EQ(noop.size(), limits::kCommandLine);
  EXPECT_EQ(session.Send(noop), "250 2.0.0 OK\r\n");
  EXPECT_EQ(session.Send("x" + noop), "500 5.5.2 Line too long\r\n");
  EXPECT_EQ(session.Send("NOOP\r\n"), "250 2.0.0 OK\r\n");
  EXPECT_EQ(session.Send(std::string(limits::kLineFlood - 3, 'x') + "\r\n"), "500 5.5.2 Line too long\r\n");
  std::string said = session.Send(std::string(1 << 20, 'x'));
  EXPECT_EQ(said.substr(0, 21), "421 4.7.0 mx.example ");
  EXPECT_TRUE(session.closed());
  EXPECT_LT(session.most_input(), 16u * 1024);
}

TEST(SessionLinesTest, NothingDependsOnSegments) {
  std::string script =
      "NOOP\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\nBDAT 7\r\nhello\r\nBDAT 3 LAST\r\n.\r\nXYZZY\r\n" +
      std::string(3000, 'y') + "\r\nVRFY x\r\nRSET\r\n";
  std::string expected;
  for (size_t segment : {0, 1, 2, 3, 7, 100}) {
    SessionSetup setup;
    setup.segment = segment;
    SessionHarness session(setup);
    session.Greet();
    std::string said = session.Send(script);
    if (segment == 0) expected = said;
    EXPECT_EQ(said, expected) << segment;
    ASSERT_EQ(session.delivered().size(), 1u);
    EXPECT_EQ(session.delivered()[0].body, "hello\r\n.\r\n");
  }
}

// P5
TEST(SessionLinesTest, HttpClosesWithoutAReply) {
  for (std::string_view line : {"GET / HTTP/1.1\r\n", "POST /x HTTP/1.1\r\n", "CONNECT mx:25 HTTP/1.0\r\n"}) {
    SessionHarness session;
    session.Begin();
    EXPECT_EQ(session.Send(base::StrCat(line, "Host: x\r\n\r\n")), "") << line;
    EXPECT_TRUE(session.closed());
  }
}

// I2
TEST(SessionLinesTest, AProxyHeaderThatNobodyAskedForIsAnErrorAndCloses) {
  SessionHarness session;
  session.Begin();
  EXPECT_EQ(session.Send("PROXY TCP4 127.0.0.1 127.0.0.1 4660 25\r\nEHLO x\r\n"), "554 5.5.0 Protocol error\r\n");
  EXPECT_TRUE(session.closed());
}

// ------------------------------------------------------------------------------------------------------------ counters

// P5, limits.md: protocol errors.
TEST(SessionLimitsTest, TheTwentyFirstProtocolErrorEndsTheSession) {
  SessionHarness session;
  session.Greet();
  EXPECT_EQ(CountLines(session.Send(Repeat("XYZZY\r\n", 20)), "500 5.5.1"), 20);
  EXPECT_FALSE(session.closed());
  EXPECT_EQ(session.Send("XYZZY\r\nNOOP\r\n").substr(0, 21), kTooManyErrors);
  EXPECT_TRUE(session.closed());
}

// limits.md: NOOP, RSET, VRFY, HELP, EHLO without a transaction between.
TEST(SessionLimitsTest, TheHundredAndFirstIdleCommandEndsTheSession) {
  for (std::string_view command : {"NOOP\r\n", "RSET\r\n", "VRFY x\r\n", "HELP\r\n"}) {
    SessionHarness session;
    session.Greet();  // one
    session.Send(Repeat(command, 99));
    EXPECT_FALSE(session.closed());
    EXPECT_EQ(session.Send(command).substr(0, 21), kTooManyErrors);
    EXPECT_TRUE(session.closed());
  }
}

TEST(SessionLimitsTest, ATransactionForgivesIdleCommands) {
  SessionHarness session;
  session.Greet();
  for (int i = 0; i < 3; ++i) {
    session.Send(Repeat("NOOP\r\n", 98));
    session.Send("MAIL FROM:<a@b.example>\r\n");
    session.Send("RSET\r\n");
  }
  EXPECT_FALSE(session.closed());
}

TEST(SessionLimitsTest, UnreadRepliesArePassedOnInBoundedPieces) {
  SessionHarness session;
  session.Begin();
  std::string group;
  for (int i = 0; i < 400; ++i) group += "MAIL FROM:<a@b.example>\r\nRSET\r\n";
  session.Send("EHLO x\r\n");
  session.Send(group);
  EXPECT_LE(session.most_output(), limits::kUnreadReplies + limits::kReplyLine);
}

// ----------------------------------------------------------------------------------------------------------- deadlines

// limits.md: idle, between commands.
TEST(SessionDeadlineTest, IdleTenMinutes) {
  SessionHarness session;
  session.Greet();
  EXPECT_EQ(session.reading().deadline, session.clock().Now() + 10min);
  EXPECT_EQ(session.TimeOut().substr(0, 21), "421 4.4.2 mx.example ");
  EXPECT_TRUE(session.closed());
}

// D1, limits.md: one command line, from its first octet.
TEST(SessionDeadlineTest, ACommandLineHasSixtySecondsFromItsFirstOctet) {
  SessionHarness session;
  session.Greet();
  session.clock().Advance(5min);
  session.Send("N");
  base::MonotonicTime first = session.clock().Now();
  for (int i = 0; i < 5; ++i) {
    session.clock().Advance(10s);
    session.Send("O");
    EXPECT_EQ(session.reading().deadline, first + 60s);
  }
  EXPECT_EQ(session.TimeOut().substr(0, 21), "421 4.4.2 mx.example ");
}

// limits.md: session, judged between transactions.
TEST(SessionDeadlineTest, TheSessionEndsAfterADayBetweenTransactions) {
  SessionHarness session;
  session.Begin();
  base::MonotonicTime begin = session.clock().Now();
  session.Send("EHLO x\r\n");
  session.clock().Advance(24h - 5min);
  session.Send("NOOP\r\n");
  EXPECT_EQ(session.reading().deadline, begin + 24h);
  session.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_GT(session.reading().deadline, begin + 24h);
  session.clock().Advance(6min);
  EXPECT_EQ(session.Send("RSET\r\n"), "250 2.0.0 OK\r\n421 4.4.2 mx.example Session lasted too long\r\n");
  EXPECT_TRUE(session.closed());
}

TEST(SessionDeadlineTest, AHangUpEndsTheSessionQuietly) {
  SessionHarness session;
  session.Greet();
  EXPECT_EQ(session.HangUp(), "");
  EXPECT_TRUE(session.closed());
  EXPECT_FALSE(session.lingers());
}

// ----------------------------------------------------------------------------------------------------------- interrupt

TEST(SessionInterruptTest, DrainAndRevocationBetweenTransactions) {
  SessionHarness session;
  session.Greet();
  EXPECT_TRUE(session.reading().between_transactions);
  EXPECT_EQ(session.InterruptWith(Interrupt::Reason::kClosing), "421 4.3.2 mx.example Closing\r\n");
  EXPECT_TRUE(session.closed());
  SessionHarness revoked;
  revoked.Greet();
  EXPECT_EQ(revoked.InterruptWith(Interrupt::Reason::kRevoked), "421 4.7.0 mx.example Login revoked\r\n");
}

TEST(SessionInterruptTest, ATransactionIsNotForInterrupting) {
  SessionHarness session;
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_FALSE(session.reading().between_transactions);
  session.Send("RCPT TO:<c@in.example>\r\n");
  EXPECT_FALSE(session.reading().between_transactions);
  session.Send("DATA\r\n");
  EXPECT_FALSE(session.reading().between_transactions);
  session.Send("x\r\n.\r\n");
  EXPECT_TRUE(session.reading().between_transactions);
}

// The end of the drain time: what is in flight is given up, without a dot.
TEST(SessionInterruptTest, TheEndOfTheDrainDropsAMessageWithoutADot) {
  SessionHarness session;
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\nDATA\r\n");
  session.Send("half\r\n");
  EXPECT_EQ(session.InterruptWith(Interrupt::Reason::kClosing), "421 4.3.2 mx.example Closing\r\n");
  EXPECT_TRUE(session.closed());
  EXPECT_TRUE(session.delivered().empty());
  EXPECT_TRUE(session.upstream().back().dropped);
  EXPECT_FALSE(session.upstream().back().octets.ends_with("\r\n.\r\n"));
}

// ------------------------------------------------------------------------------------------------------------ observer

struct Recorder : SessionObserver {
  void OnCommand(Verb verb, int code) override { base::StrAppend(&commands, VerbName(verb), ' ', code, '\n'); }
  void OnLineIn(std::string_view line) override { base::StrAppend(&lines, line, '\n'); }
  void OnReplyOut(const Reply& reply) override { lines += reply.ToString(); }
  void OnEnd(SessionEnd why) override { ends.push_back(why); }
  void OnMessage(const MessageResult& result) override { messages.push_back(result.code); }
  std::string commands, lines;
  std::vector<SessionEnd> ends;
  std::vector<int> messages;
};

TEST(SessionObserverTest, EachCommandOnceWithItsFinalReply) {
  Recorder recorder;
  SessionSetup setup;
  setup.observer = &recorder;
  SessionHarness session(setup);
  session.Greet();
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\nDATA\r\n");
  session.Send("x\r\n.\r\nXYZZY\r\n");
  session.Send("GET / HTTP/1.1\r\n");
  EXPECT_EQ(recorder.commands, "EHLO 250\nMAIL 250\nRCPT 250\nDATA 250\nother 500\nother 0\n");
  EXPECT_EQ(recorder.messages, std::vector<int>{250});
  EXPECT_EQ(recorder.ends, std::vector<SessionEnd>{SessionEnd::kProtocolError});
}

// M2: no secret, in order or out of it, reaches an observer.
TEST(SessionObserverTest, NoSecretIsHandedOver) {
  Recorder recorder;
  SessionSetup setup;
  setup.observer = &recorder;
  setup.settings.authentication.allow_clear_text_credentials = true;
  SessionHarness session(setup);
  session.Greet();
  const std::string secret = "c2VjcmV0";
  session.Send("AUTH LOGIN\r\n");
  session.Send(secret + "\r\n");
  session.Send(secret + "\r\n");
  session.Send("AUTH PLAIN " + secret + "\r\n");
  session.Send(secret + "\r\n");
  session.Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\nDATA\r\n");
  session.Send(secret + "\r\n.\r\n");
  EXPECT_EQ(recorder.lines.find(secret), std::string::npos) << recorder.lines;
  EXPECT_NE(recorder.lines.find("AUTH <sasl>"), std::string::npos);
}

}  // namespace
}  // namespace gatepost::smtp
