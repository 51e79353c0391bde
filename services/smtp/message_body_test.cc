// DATA and BDAT: threats S1, S2, S3, S4, S7, S8, P4, P7, B1, B2, B3, B4, B5, B7, D1, D5, M1, E8; limits.md: message
// size, session size, hop count, BDAT chunks, message data.
#include <gtest/gtest.h>

#include "services/base/strings.h"
#include "services/smtp/limits.h"
#include "services/smtp/server_session.h"
#include "services/smtp/testing/session_harness.h"

namespace gatepost::smtp {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;

constexpr char kMail[] = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@in.example>\r\n";
constexpr char kEnvelopeSaid[] = "250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n";
constexpr char kGo[] = "354 End data with <CR><LF>.<CR><LF>\r\n";
constexpr char kOutOfOrder[] = "503 5.5.1 ";

std::string Repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string Chunk(std::string_view octets, std::string_view last = "") {
  return base::StrCat("BDAT ", octets.size(), last, "\r\n", octets);
}

std::string Code(std::string_view said) { return std::string(said.substr(0, 9)); }

class MessageBodyTest : public testing::Test {
 protected:
  MessageBodyTest() { session_.Greet(); }
  static std::unique_ptr<SessionHarness> Greeted(SessionSetup setup) {
    auto session = std::make_unique<SessionHarness>(std::move(setup));
    session->Greet();
    return session;
  }
  // The reply to the end of data.
  static std::string Data(SessionHarness& session, std::string_view octets, std::string_view envelope = kMail) {
    EXPECT_EQ(session.Send(envelope), kEnvelopeSaid);
    EXPECT_EQ(session.Send("DATA\r\n"), kGo);
    return session.Send(octets);
  }
  // P7
  static void ExpectNoTransaction(SessionHarness& session) {
    EXPECT_EQ(session.Send("RCPT TO:<c@in.example>\r\n").substr(0, 10), kOutOfOrder);
    EXPECT_EQ(session.Send("DATA\r\n").substr(0, 10), kOutOfOrder);
  }
  SessionHarness session_;
};

TEST_F(MessageBodyTest, ALongMessageIsReadInLargerPieces) {
  EXPECT_EQ(session_.Send(kMail), kEnvelopeSaid);
  EXPECT_EQ(session_.Send("DATA\r\n"), kGo);
  const size_t first = session_.reading().want;
  session_.Send(Repeat("0123456789abcd\r\n", static_cast<int>(first / 16) - 1));
  EXPECT_EQ(session_.reading().want, first);
  session_.Send(Repeat("0123456789abcd\r\n", static_cast<int>(first / 16)));
  EXPECT_EQ(session_.reading().want, 4 * first);
  session_.Send("short\r\n");
  EXPECT_EQ(session_.reading().want, first);
}

TEST_F(MessageBodyTest, AMessageGoesThrough) {
  EXPECT_EQ(Data(session_, "Subject: x\r\n\r\nhello\r\n.\r\n"), "250 2.0.0 Accepted sid.1 queued\r\n");
  ASSERT_EQ(session_.delivered().size(), 1u);
  const DeliveredMessage& message = session_.delivered()[0];
  EXPECT_EQ(message.sender, "a@b.example");
  EXPECT_EQ(message.recipients, std::vector<std::string>{"c@in.example"});
  EXPECT_EQ(message.body, "Subject: x\r\n\r\nhello\r\n");
  EXPECT_EQ(message.received,
            "Received: from client.example ([192.0.2.7])\r\n\tby mx.example (Gatepost, test)\r\n\twith ESMTP\r\n\tid "
            "sid.1\r\n"
            "\tfor <c@in.example>;\r\n\tTue, 24 Nov 2026 11:00:00 +0000\r\n");
  EXPECT_EQ(Data(session_, "y\r\n.\r\n"), "250 2.0.0 Accepted sid.2 queued\r\n");
  EXPECT_EQ(session_.upstream().size(), 1u);
  EXPECT_EQ(session_.upstream_octets().find("RSET"), std::string::npos);
}

TEST_F(MessageBodyTest, ReceivedNamesARecipientOnlyWhenItIsTheOnlyOne) {
  session_.Send(base::StrCat(kMail, "RCPT TO:<d@in.example>\r\nDATA\r\n"));
  session_.Send("x\r\n.\r\n");
  EXPECT_EQ(session_.delivered()[0].received.find("for <"), std::string::npos);
}

// S1, S2
TEST_F(MessageBodyTest, NothingButCrLfDotCrLfEndsAMessage) {
  const std::string_view ends[] = {
      "\n.\n",   "\n.\r\n",          "\r\n.\n",          "\r.\r",       "\r.\n",        "\n.\r", "\r.\r\n",
      "\r\n.\r", {"\r\n\0.\r\n", 6}, {"\r\n.\0\r\n", 6}, "\r\n.\r\r\n", "\r\r\n.\r\r\n"};
  const std::string smuggled =
      "MAIL FROM:<evil@v.example>\r\nRCPT TO:<b@in.example>\r\nDATA\r\nFrom: ceo\r\n\r\ny\r\n.\r\n";
  for (std::string_view end : ends) {
    for (size_t segment : {0, 1, 2, 3, 5}) {
      SessionSetup setup;
      setup.segment = segment;
      auto session = Greeted(setup);
      EXPECT_EQ(Code(Data(*session, base::StrCat("x", end, smuggled))), "550 5.6.0") << end << segment;
      EXPECT_FALSE(session->closed());
      EXPECT_TRUE(session->delivered().empty());
      ASSERT_EQ(session->upstream().size(), 1u);
      EXPECT_TRUE(session->upstream()[0].dropped);
      EXPECT_EQ(session->upstream()[0].octets.find("evil"), std::string::npos);
      ExpectNoTransaction(*session);
    }
  }
}

// S3
TEST_F(MessageBodyTest, StuffingIsExact) {
  for (std::string_view message : {"", "\r\n", ".\r\n", "..\r\n", ".a\r\n..\r\n.\t\r\nx.\r\n", "no dot\r\n"}) {
    for (size_t segment : {0, 1, 2, 3}) {
      SessionSetup setup;
      setup.segment = segment;
      auto session = Greeted(setup);
      std::string stuffed;
      bool line_start = true;
      for (char c : message) {
        if (line_start && c == '.') stuffed += '.';
        stuffed += c;
        line_start = c == '\n';
      }
      EXPECT_EQ(Code(Data(*session, stuffed + ".\r\n")), "250 2.0.0") << message;
      ASSERT_EQ(session->delivered().size(), 1u);
      EXPECT_EQ(session->delivered()[0].body, message);
    }
  }
}

// S4
TEST_F(MessageBodyTest, AFirstLineThatFoldsIsRefusedOthersPass) {
  EXPECT_EQ(Code(Data(session_, " folded: x\r\n\r\n.\r\n")), "550 5.6.0");
  EXPECT_EQ(Code(Data(session_, "\tfolded\r\n.\r\n")), "550 5.6.0");
  EXPECT_EQ(Code(Data(session_, "no colon\r\n.\r\n")), "250 2.0.0");
  EXPECT_EQ(Code(Data(session_, "\r\nbody\r\n.\r\n")), "250 2.0.0");
  EXPECT_EQ(session_.delivered()[1].body, "\r\nbody\r\n");
}

// S7
TEST_F(MessageBodyTest, AClientThatVanishesCommitsNothing) {
  for (std::string_view half : {"x\r\n.", "x\r\n.\r", "x", "x\r\n", ""}) {
    SessionHarness session;
    session.Greet();
    Data(session, half);
    EXPECT_EQ(session.HangUp(), "");
    EXPECT_TRUE(session.closed());
    EXPECT_TRUE(session.delivered().empty());
    EXPECT_TRUE(session.upstream()[0].dropped);
    EXPECT_FALSE(session.upstream()[0].octets.ends_with(".\r\n")) << half;
  }
}

// S8
TEST_F(MessageBodyTest, ASecondTransactionBehindTheDotIsJudgedByItself) {
  EXPECT_EQ(Data(session_,
                 "x\r\n.\r\nMAIL FROM:<mail550@v.example>\r\nRCPT TO:<b@ext.example>\r\nRCPT TO:<b@in.example>\r\n"),
            "250 2.0.0 Accepted sid.1 queued\r\n250 2.1.0 Sender OK\r\n550 5.7.1 Unable to relay for b@ext.example\r\n"
            "550 5.7.9 no\r\n");
}

// P4, E8: long lines and eight bits pass as they are.
TEST_F(MessageBodyTest, LinesPassByteExact) {
  std::string body;
  for (size_t length : {998, 999, 65535, 65536, 65537, 1 << 20}) body += std::string(length, '\xe9') + ".\r\n";
  EXPECT_EQ(Code(Data(session_, body + ".\r\n", "MAIL FROM:<a@b.example> BODY=7BIT\r\nRCPT TO:<c@in.example>\r\n")),
            "250 2.0.0");
  EXPECT_EQ(session_.delivered()[0].body, body);
  EXPECT_LE(session_.most_input(), 256u * 1024);  // D5
}

// M1, limits.md: hop count.
TEST_F(MessageBodyTest, HopsAtTheLimitAndBeyond) {
  EXPECT_EQ(Code(Data(session_, Repeat("Received: x\r\n", 100) + "\r\n.\r\n")), "250 2.0.0");
  EXPECT_EQ(Code(Data(session_, Repeat("Received: x\r\n", 101) + "\r\n.\r\n")), "554 5.4.6");
  EXPECT_EQ(session_.delivered().size(), 1u);
  EXPECT_TRUE(session_.upstream()[0].dropped);
  ExpectNoTransaction(session_);
}

// --------------------------------------------------------------------------------------------------------------- size

TEST_F(MessageBodyTest, MessageSizeAtTheLimitAndBeyond) {
  for (size_t segment : {0, 1, 7}) {
    SessionSetup setup;
    setup.settings.limits.message_size = 1000;
    setup.segment = segment;
    auto session = Greeted(setup);
    EXPECT_EQ(Code(Data(*session, std::string(998, 'x') + "\r\n.\r\n")), "250 2.0.0");
    EXPECT_EQ(Code(Data(*session, std::string(999, 'x') + "\r\n.\r\n")), "552 5.3.4");
    EXPECT_TRUE(session->upstream()[0].dropped);
    ExpectNoTransaction(*session);
    // As much again is thrown away, then the end.
    EXPECT_EQ(Code(Data(*session, std::string(1998, 'x') + "\r\n.\r\n")), "552 5.3.4");
    EXPECT_FALSE(session->closed());
    EXPECT_EQ(Code(Data(*session, std::string(1999, 'x') + "\r\n.\r\n")), "552 5.3.4");
    EXPECT_TRUE(session->closed());
    EXPECT_EQ(session->delivered().size(), 1u);
  }
}

TEST_F(MessageBodyTest, StuffedDotsAreNotCounted) {
  SessionSetup setup;
  setup.settings.limits.message_size = 6;
  auto session = Greeted(setup);
  EXPECT_EQ(Code(Data(*session, "..\r\n..\r\n.\r\n")), "250 2.0.0");
}

// D5: endless data.
TEST_F(MessageBodyTest, EndlessDataIsCutOff) {
  SessionSetup setup;
  setup.settings.limits.message_size = 100'000;
  auto session = Greeted(setup);
  std::string said = Data(*session, Repeat("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", 10'000));
  EXPECT_EQ(Code(said), "552 5.3.4");
  EXPECT_TRUE(session->closed());
  EXPECT_LE(session->upstream()[0].octets.size(), 300'000u);
  EXPECT_GT(session->unread(), 100'000u);
}

// limits.md: session size.
TEST_F(MessageBodyTest, SessionSizeAtTheLimitAndBeyond) {
  SessionSetup setup;
  setup.settings.limits.session_size = 1000;
  auto session = Greeted(setup);
  EXPECT_EQ(Code(Data(*session, std::string(498, 'x') + "\r\n.\r\n")), "250 2.0.0");
  EXPECT_EQ(Code(Data(*session, std::string(498, 'x') + "\r\n.\r\n")), "250 2.0.0");
  std::string said = Data(*session, "x\r\n.\r\n");
  EXPECT_EQ(Code(said), "552 5.3.4");
  EXPECT_NE(said.find("\r\n421 4.7.0 mx.example "), std::string::npos);
  EXPECT_TRUE(session->closed());
}

TEST_F(MessageBodyTest, AMessageThatIsGivenUpCountsForTheSession) {
  SessionSetup setup;
  setup.settings.limits.session_size = 1000;
  auto session = Greeted(setup);
  for (int i = 0; i < 2; ++i) {
    session->Send(kMail);
    EXPECT_EQ(Code(session->Send(Chunk(std::string(500, 'x')))), "250 2.0.0");
    session->Send("RSET\r\n");
  }
  session->Send(kMail);
  EXPECT_EQ(Code(session->Send(Chunk("x"))), "552 5.3.4");
  EXPECT_TRUE(session->closed());
}

// --------------------------------------------------------------------------------------------------------------- BDAT

// B1
TEST_F(MessageBodyTest, ChunksMakeOneMessage) {
  session_.Send(kMail);
  EXPECT_EQ(session_.Send(Chunk("hello")), "250 2.0.0 5 octets received\r\n");
  EXPECT_EQ(session_.Send("NOOP\r\n"), "250 2.0.0 OK\r\n");
  EXPECT_EQ(session_.Send(Chunk("")), "250 2.0.0 0 octets received\r\n");
  EXPECT_EQ(session_.Send(Chunk("", " LAST")), "250 2.0.0 Accepted sid.1 queued\r\n");
  ASSERT_EQ(session_.delivered().size(), 1u);
  EXPECT_EQ(session_.delivered()[0].body, "hello\r\n");  // DATA needs an end of line
  EXPECT_EQ(session_.Send(kMail + Chunk("a\r\n", " LAST")),
            std::string(kEnvelopeSaid) + "250 2.0.0 Accepted sid.2 queued\r\n");
  EXPECT_EQ(session_.delivered()[1].body, "a\r\n");
}

TEST_F(MessageBodyTest, AResetBetweenChunksDropsTheNextHopWithoutADot) {
  session_.Send(kMail);
  session_.Send(Chunk("hello\r\n"));
  EXPECT_EQ(session_.Send("RSET\r\n"), "250 2.0.0 OK\r\n");
  EXPECT_TRUE(session_.upstream()[0].dropped);
  EXPECT_EQ(session_.Send(Chunk("x\r\n", " LAST")).substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send(kMail + Chunk("y\r\n", " LAST")),
            std::string(kEnvelopeSaid) + "250 2.0.0 Accepted sid.2 queued\r\n");
  EXPECT_EQ(session_.delivered()[0].body, "y\r\n");
}

// B2: the octets of a refused chunk are swallowed; the next command is a command.
TEST_F(MessageBodyTest, OutOfOrderChunksAreSwallowed) {
  EXPECT_EQ(session_.Send("BDAT 6\r\nQUIT\r\nNOOP\r\n"), "503 5.5.1 Bad sequence of commands\r\n250 2.0.0 OK\r\n");
  session_.Send(kMail);
  session_.Send(Chunk("x\r\n"));
  EXPECT_EQ(session_.Send("DATA\r\n").substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send("MAIL FROM:<a@b.example>\r\n").substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send("RCPT TO:<c@in.example>\r\n").substr(0, 10), kOutOfOrder);
  EXPECT_EQ(session_.Send(Chunk("y\r\n", " LAST")), "250 2.0.0 Accepted sid.1 queued\r\n");
}

TEST_F(MessageBodyTest, MalformedChunks) {
  for (std::string_view line : {"BDAT", "BDAT -1", "BDAT 18446744073709551616", "BDAT 0x10", "BDAT x"}) {
    SessionHarness session;
    session.Greet();
    session.Send(kMail);
    EXPECT_EQ(Code(session.Send(base::StrCat(line, "\r\nNOOP\r\n"))), "501 5.5.4") << line;
    EXPECT_TRUE(session.closed());
  }
  for (std::string_view line : {"BDAT 6 FIRST", "BDAT 6 LAST x"}) {
    SessionHarness session;
    session.Greet();
    session.Send(kMail);
    std::string said = session.Send(base::StrCat(line, "\r\nQUIT\r\nNOOP\r\n"));
    EXPECT_EQ(Code(said), "501 5.5.4") << line;
    EXPECT_TRUE(said.ends_with("\r\n250 2.0.0 OK\r\n")) << said;
    ExpectNoTransaction(session);
  }
}

// B3
TEST_F(MessageBodyTest, AChunkIsStuffedForData) {
  std::string body = ".\r\nQUIT\r\n..x\r\n.";
  for (size_t split = 0; split <= body.size(); ++split) {
    SessionHarness session;
    session.Greet();
    session.Send(kMail);
    session.Send(Chunk(std::string_view(body).substr(0, split)));
    EXPECT_EQ(Code(session.Send(Chunk(std::string_view(body).substr(split), " LAST"))), "250 2.0.0");
    ASSERT_EQ(session.delivered().size(), 1u);
    EXPECT_EQ(session.delivered()[0].body, body + "\r\n");
  }
}

TEST_F(MessageBodyTest, BareLineEndsInAChunkAreRefused) {
  for (std::string_view bad :
       {std::string_view("a\nb\r\n"), std::string_view("a\rb\r\n"), std::string_view("a\0\r\n", 4)}) {
    SessionHarness session;
    session.Greet();
    session.Send(kMail);
    EXPECT_EQ(Code(session.Send(Chunk(bad))), "550 5.6.0");
    EXPECT_TRUE(session.upstream()[0].dropped);
    // B7
    EXPECT_EQ(session.Send(Chunk("x", " LAST")).substr(0, 10), kOutOfOrder);
    ExpectNoTransaction(session);
    EXPECT_EQ(session.Send("MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Sender OK\r\n");
  }
}

TEST_F(MessageBodyTest, ACrAndItsLfMayBeInTwoChunks) {
  session_.Send(kMail);
  EXPECT_EQ(session_.Send(Chunk("a\r")), "250 2.0.0 2 octets received\r\n");
  EXPECT_EQ(Code(session_.Send(Chunk("\nb\r\n", " LAST"))), "250 2.0.0");
  EXPECT_EQ(session_.delivered()[0].body, "a\r\nb\r\n");
}

TEST_F(MessageBodyTest, AMessageThatEndsInABareCrIsRefused) {
  session_.Send(kMail);
  EXPECT_EQ(Code(session_.Send(Chunk("a\r", " LAST"))), "550 5.6.0");
  EXPECT_TRUE(session_.delivered().empty());
}

// RFC 3030 4.2: pipelined chunks are answered in order; after a failure the rest is swallowed.
TEST_F(MessageBodyTest, PipelinedChunksBehindAFailureAreSwallowed) {
  EXPECT_EQ(session_.Send(kMail + Chunk("a\nb") + Chunk("QUIT\r\n") + Chunk("z", " LAST") + "NOOP\r\n"),
            base::StrCat(kEnvelopeSaid, "550 5.6.0 Message contains a bare LF\r\n",
                         Repeat("503 5.5.1 Bad sequence of commands\r\n", 2), "250 2.0.0 OK\r\n"));
}

// B4
TEST_F(MessageBodyTest, ChunksBeyondTheSize) {
  SessionSetup setup;
  setup.settings.limits.message_size = 1000;
  auto session = Greeted(setup);
  session->Send(kMail);
  EXPECT_EQ(Code(session->Send(Chunk(std::string(600, 'x')))), "250 2.0.0");
  EXPECT_EQ(Code(session->Send(Chunk(std::string(400, 'x')))), "250 2.0.0");
  EXPECT_EQ(Code(session->Send(Chunk("x", " LAST"))), "552 5.3.4");
  EXPECT_TRUE(session->delivered().empty());
  ExpectNoTransaction(*session);
  session->Send(kMail);
  EXPECT_EQ(Code(session->Send(Chunk(std::string(2000, 'x')))), "552 5.3.4");
  EXPECT_FALSE(session->closed());
  session->Send(kMail);
  EXPECT_EQ(Code(session->Send("BDAT 2001\r\n")), "552 5.3.4");
  EXPECT_TRUE(session->closed());
}

TEST_F(MessageBodyTest, ADeclaredSizeAllocatesNothing) {
  session_.Send(kMail);
  EXPECT_EQ(Code(session_.Send("BDAT 4294967295\r\n")), "552 5.3.4");
  EXPECT_TRUE(session_.closed());
  EXPECT_LE(session_.most_input(), 8192u);
}

// B5, limits.md: BDAT chunks in a message.
TEST_F(MessageBodyTest, ChunksAtTheLimitAndBeyond) {
  session_.Send(kMail);
  session_.Send(Repeat("BDAT 1\r\nx", 5000) + Repeat("BDAT 0\r\n", 4999));
  EXPECT_FALSE(session_.closed());
  EXPECT_EQ(session_.Send("BDAT 0\r\n"), "250 2.0.0 0 octets received\r\n");
  EXPECT_EQ(session_.Send("BDAT 0 LAST\r\n").substr(0, 10), "421 4.7.0 ");
  EXPECT_TRUE(session_.closed());
  EXPECT_TRUE(session_.upstream()[0].dropped);
}

TEST_F(MessageBodyTest, HopsCountInChunksToo) {
  session_.Send(kMail);
  EXPECT_EQ(Code(session_.Send(Chunk(Repeat("Received: x\r\n", 101), " LAST"))), "554 5.4.6");
}

// ------------------------------------------------------------------------------------------------------- the next hop

// U3, P7
TEST_F(MessageBodyTest, TheNextHopsVerdictPasses) {
  struct Case {
    std::string_view sender, at_data, at_dot;
  };
  for (const Case& c :
       {Case{"data550", "550 5.7.9", ""}, Case{"data451", "451 4.7.9", ""}, Case{"datalost", "451 4.4.1", ""},
        Case{"bodylost", "354 End d", "451 4.4.1"}, Case{"dot550", "354 End d", "550 5.7.9"},
        Case{"dot451", "354 End d", "451 4.7.9"}, Case{"doubt", "354 End d", "451 4.4.2"}}) {
    session_.Send(base::StrCat("MAIL FROM:<", c.sender, "@b.example>\r\nRCPT TO:<c@in.example>\r\n"));
    EXPECT_EQ(Code(session_.Send("DATA\r\n")), c.at_data) << c.sender;
    if (!c.at_dot.empty()) {
      session_.set_segment(5);
      EXPECT_EQ(Code(session_.Send("hello hello\r\n.\r\n")), c.at_dot) << c.sender;
      session_.set_segment(0);
    }
    ExpectNoTransaction(session_);
  }
  EXPECT_TRUE(session_.delivered().empty());
  EXPECT_EQ(Code(Data(session_, "x\r\n.\r\n")), "250 2.0.0");
}

TEST_F(MessageBodyTest, AChunkWhoseNextHopRefusesDataIsSwallowed) {
  EXPECT_EQ(
      session_.Send("MAIL FROM:<data550@b.example>\r\nRCPT TO:<c@in.example>\r\n" + Chunk("QUIT\r\n") + "NOOP\r\n"),
      std::string(kEnvelopeSaid) + "550 5.7.9 no\r\n250 2.0.0 OK\r\n");
  EXPECT_TRUE(session_.upstream_octets().ends_with("DATA\r\nRSET\r\n"));
}

// protocol.md 1: the dialect of Exchange.
TEST_F(MessageBodyTest, ExchangeDialect) {
  SessionSetup setup;
  setup.settings.dialect = policy::Dialect::kExchange;
  auto session = Greeted(setup);
  EXPECT_EQ(Data(*session, "x\r\n.\r\n", "MAIL FROM:<doubt@b.example>\r\nRCPT TO:<c@in.example>\r\n"),
            "451 4.7.0 Temporary server error. Please try again later\r\n");
}

// ----------------------------------------------------------------------------------------------------------- deadlines

// D1, limits.md: message data.
TEST_F(MessageBodyTest, SlowDataEndsTheSessionWithoutADot) {
  Data(session_, "half\r\n");
  EXPECT_EQ(session_.reading().deadline, session_.clock().Now() + 5min);
  EXPECT_EQ(session_.TimeOut().substr(0, 21), "421 4.4.2 mx.example ");
  EXPECT_TRUE(session_.closed());
  EXPECT_TRUE(session_.upstream()[0].dropped);
}

TEST_F(MessageBodyTest, AHundredOctetsASecondAreEnoughAndFewerAreNot) {
  Data(session_, "");
  for (int i = 0; i < 600; ++i) {
    session_.clock().Advance(1s);
    ASSERT_EQ(session_.Send(std::string(100, 'x')), "");
  }
  SessionHarness slow;
  slow.Greet();
  Data(slow, "");
  int second = 0;
  std::string said;
  for (; second < 600 && said.empty(); ++second) {
    slow.clock().Advance(1s);
    said = slow.Send(std::string(99, 'x'));
  }
  EXPECT_EQ(second, 300);
  EXPECT_EQ(Code(said), "421 4.4.2");
}

TEST_F(MessageBodyTest, ASlowChunkEndsTheSession) {
  session_.Send(kMail);
  session_.Send("BDAT 10\r\nx");
  EXPECT_EQ(session_.TimeOut().substr(0, 21), "421 4.4.2 mx.example ");
  EXPECT_TRUE(session_.upstream()[0].dropped);
}

}  // namespace
}  // namespace gatepost::smtp
