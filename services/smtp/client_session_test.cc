// Longer than most: one machine, to be read against its replies in one go.
// threats: B8, E1, E2, E6, T6, U2, U3, U4, U5, U6 (what the next hop sees).
#include "services/smtp/client_session.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace gatepost::smtp {
namespace {

using Kind = UpstreamOutcome::Kind;
using Event = ClientSession::Event;

constexpr OfferedParameters kAllOffered = {
    .size = true, .eight_bit_mime = true, .binary_mime = true, .smtputf8 = true, .dsn = true, .utf8_transaction = true};

// Plays the driver and the next hop: answers each write with the next reply of a script ("" : silence, then the end).
class Rig {
 public:
  explicit Rig(std::vector<std::string> replies, bool require_tls = false,
               std::optional<ClientIdentity> identity = std::nullopt)
      : session({.client_name = "edge.example", .require_tls = require_tls, .identity = std::move(identity)}),
        replies_(std::move(replies)) {}

  UpstreamOutcome Run(ClientSession::Action action) {
    for (;;) {
      if (auto* finished = std::get_if<ClientSession::Finished>(&action)) return finished->outcome;
      if (auto* write = std::get_if<ClientSession::Write>(&action)) {
        sent.emplace_back(write->octets);
        last_message = write->message;
        action = session.Advance(write_event);
      } else if (auto* read = std::get_if<ClientSession::Read>(&action)) {
        last_wait = read->wait;
        action = session.Advance(NextReply());
      } else {
        ++handshakes;
        action = session.Advance(tls_event);
      }
    }
  }

  UpstreamOutcome Connect() { return Run(session.Connect()); }
  // Parameters, and recipients, as a client gives them.
  UpstreamOutcome MailAndRcpt(const std::string& parameters = "", const std::string& recipient = "<x@y.example>",
                              bool data_follows = false) {
    const ParsedCommand parsed = ParseCommand("MAIL FROM:<A@B.example>" + parameters, kAllOffered);
    return Run(session.MailAndRcpt(std::get<MailCommand>(parsed.command), Recipient(recipient), data_follows));
  }
  UpstreamOutcome Rcpt(const std::string& recipient, bool data_follows = false) {
    return Run(session.Rcpt(Recipient(recipient), data_follows));
  }

  static RcptCommand Recipient(const std::string& path) {
    return std::get<RcptCommand>(ParseCommand("RCPT TO:" + path, kAllOffered).command);
  }

  void Feed(std::string_view octets) {
    std::memcpy(session.input().Prepare(octets.size()).data(), octets.data(), octets.size());
    session.input().Commit(octets.size());
  }

  ClientSession session;
  std::vector<std::string> sent;
  Event write_event = Event::kWritten;
  Event tls_event = Event::kTlsEstablished;
  Event end_event = Event::kClosed;  // when the script is over
  ClientSession::Wait last_wait{};
  ClientSession::Write::Message last_message{};
  int handshakes = 0;

 private:
  Event NextReply() {
    if (next_ == replies_.size() || replies_[next_].empty()) return end_event;
    Feed(replies_[next_++]);
    return Event::kBytesRead;
  }

  std::vector<std::string> replies_;
  size_t next_ = 0;
};

constexpr const char* kGreeting = "220 mx.example ESMTP\r\n";
constexpr const char* kHello = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n";
constexpr const char* kPlainHello = "250 mx.example\r\n";
constexpr const char* kFullHello =
    "250-mx.example\r\n250-PIPELINING\r\n250-DSN\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250 BINARYMIME\r\n";
constexpr const char* kXclientHello =
    "250-mx.example\r\n250-PIPELINING\r\n250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN\r\n";
constexpr const char* kTlsHello = "250-mx.example\r\n250 STARTTLS\r\n";

TEST(ClientSession, GreetsAndLearns) {
  Rig rig({kGreeting, kHello});
  EXPECT_TRUE(rig.Connect().accepted());
  EXPECT_EQ(rig.sent, (std::vector<std::string>{"EHLO edge.example\r\n"}));
  EXPECT_EQ(rig.session.capabilities(), Capabilities::FromEhlo({"PIPELINING", "SIZE 1000", "8BITMIME"}));
  EXPECT_TRUE(rig.session.usable());
}

TEST(ClientSession, RepliesInAnyPieces) {
  std::vector<std::string> pieces;
  for (char c : std::string(kGreeting) + kHello) pieces.emplace_back(1, c);
  // The next hop must not say more than was asked: the answer to EHLO starts after the greeting was read.
  Rig rig(pieces);
  EXPECT_TRUE(rig.Connect().accepted());
}

TEST(ClientSession, SendsMailAndRcptInOneWriteWithPipelining) {
  Rig rig({kGreeting, kHello, "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"});
  rig.Connect();
  EXPECT_TRUE(rig.MailAndRcpt(" SIZE=77 BODY=8BITMIME").accepted());
  ASSERT_EQ(rig.sent.size(), 2u);
  EXPECT_EQ(rig.sent[1], "MAIL FROM:<A@b.example> SIZE=77 BODY=8BITMIME\r\nRCPT TO:<x@y.example>\r\n");
}

TEST(ClientSession, WaitsForMailWithoutPipelining) {
  Rig rig({kGreeting, kPlainHello, "250 Ok\r\n", "250 Ok\r\n"});
  rig.Connect();
  EXPECT_TRUE(rig.MailAndRcpt(" SIZE=77 BODY=7BIT").accepted());
  ASSERT_EQ(rig.sent.size(), 3u);
  EXPECT_EQ(rig.sent[1], "MAIL FROM:<A@b.example>\r\n") << "only what the next hop has offered";
  EXPECT_EQ(rig.sent[2], "RCPT TO:<x@y.example>\r\n");
}

TEST(ClientSession, AWholeTransactionAndAnother) {
  Rig rig({kGreeting, kHello, "250 a\r\n", "250 b\r\n", "550 5.1.1 c\r\n", "354 go\r\n", "250 2.0.0 queued\r\n",
           "250 a\r\n250 b\r\n", "250 reset\r\n", "221 bye\r\n"});
  ASSERT_TRUE(rig.Connect().accepted());
  ASSERT_TRUE(rig.MailAndRcpt().accepted());
  const UpstreamOutcome refused = rig.Rcpt("<\"a b\"@y>");
  EXPECT_EQ(refused.kind, Kind::kRefused);
  EXPECT_FALSE(refused.whole_transaction);
  EXPECT_EQ(rig.sent.back(), "RCPT TO:<\"a b\"@y>\r\n");
  ASSERT_TRUE(rig.Run(rig.session.BeginData()).accepted());
  EXPECT_EQ(rig.last_wait, ClientSession::Wait::kData);
  const UpstreamOutcome verdict = rig.Run(rig.session.FinishData());
  EXPECT_EQ(rig.sent.back(), ".\r\n");
  EXPECT_EQ(rig.last_wait, ClientSession::Wait::kVerdict);
  EXPECT_TRUE(verdict.accepted());
  EXPECT_EQ(verdict.reply.text(), "queued");
  ASSERT_TRUE(rig.MailAndRcpt().accepted());
  ASSERT_TRUE(rig.Run(rig.session.Reset()).accepted());
  EXPECT_EQ(rig.sent.back(), "RSET\r\n");
  EXPECT_TRUE(rig.Run(rig.session.Quit()).accepted());
  EXPECT_EQ(rig.sent.back(), "QUIT\r\n");
  EXPECT_FALSE(rig.session.usable());
}

TEST(ClientSession, ARefusedMailConcernsTheWholeTransaction) {
  for (const char* hello : {kHello, kPlainHello}) {
    Rig rig({kGreeting, hello, "550 5.7.1 not you\r\n", "503 5.5.1 need MAIL\r\n"});
    rig.Connect();
    const UpstreamOutcome outcome = rig.MailAndRcpt();
    EXPECT_EQ(outcome.kind, Kind::kRefused);
    EXPECT_TRUE(outcome.whole_transaction);
    EXPECT_EQ(outcome.reply.text(), "not you");
    EXPECT_TRUE(rig.session.usable());
  }
}

TEST(ClientSession, RcptAcceptedAfterARefusedMailIsOutOfStep) {
  Rig rig({kGreeting, kHello, "550 no\r\n250 yes\r\n"});
  rig.Connect();
  EXPECT_EQ(rig.MailAndRcpt().kind, Kind::kOutOfStep);
  EXPECT_FALSE(rig.session.usable());
}

TEST(ClientSession, RefusalsBeforeMailAreAboutUs) {
  const struct {
    std::vector<std::string> replies;
    Kind kind;
  } kCases[] = {
      {{"421 4.3.2 busy\r\n"}, Kind::kUnreachable},
      {{"554 5.7.1 go away\r\n"}, Kind::kRefusedUs},
      {{kGreeting, "450 later\r\n"}, Kind::kUnreachable},
      {{kGreeting, "502 what\r\n"}, Kind::kRefusedUs},
      {{kGreeting}, Kind::kUnreachable},
      {{}, Kind::kUnreachable},
      {{"250 mx.example\r\n"}, Kind::kOutOfStep},
      {{kGreeting, "220 again\r\n"}, Kind::kOutOfStep},
      {{"HTTP/1.1 400 Bad Request\r\n"}, Kind::kOutOfStep},
      {{std::string(kGreeting) + kHello}, Kind::kOutOfStep},
      {{kGreeting, std::string(kHello) + "250 more\r\n"}, Kind::kOutOfStep},
  };
  for (const auto& test : kCases) {
    Rig rig(test.replies);
    const UpstreamOutcome outcome = rig.Connect();
    EXPECT_EQ(outcome.kind, test.kind) << (test.replies.empty() ? "" : test.replies.back());
    EXPECT_TRUE(outcome.whole_transaction);
    EXPECT_TRUE(outcome.connection_lost());
    EXPECT_FALSE(rig.session.usable());
  }
}

TEST(ClientSession, RequiredTlsComesFirstAndForgetsWhatWasSaidInClear) {
  Rig rig({kGreeting, kTlsHello, "220 go\r\n", kPlainHello, "250 a\r\n", "250 b\r\n"}, /*require_tls=*/true);
  EXPECT_TRUE(rig.Connect().accepted());
  EXPECT_EQ(rig.handshakes, 1);
  EXPECT_EQ(rig.sent, (std::vector<std::string>{"EHLO edge.example\r\n", "STARTTLS\r\n", "EHLO edge.example\r\n"}));
  EXPECT_EQ(rig.session.capabilities(), Capabilities());
  EXPECT_TRUE(rig.MailAndRcpt().accepted());
}

TEST(ClientSession, WithoutRequiredTlsNothingIsSaid) {
  const struct {
    std::vector<std::string> replies;
    Event tls_event;
    Kind kind;
  } kCases[] = {
      {{kGreeting, kPlainHello}, Event::kTlsEstablished, Kind::kTlsNotOffered},
      {{kGreeting, kTlsHello, "454 4.7.0 no\r\n"}, Event::kTlsEstablished, Kind::kTlsNotOffered},
      {{kGreeting, kTlsHello, "220 go\r\n250-fake\r\n250 AUTH PLAIN\r\n"}, Event::kTlsEstablished, Kind::kTlsFailed},
      {{kGreeting, kTlsHello, "220 go\r\n"}, Event::kTlsFailed, Kind::kTlsFailed},
      {{kGreeting, kTlsHello, "220 go\r\n"}, Event::kTimedOut, Kind::kUnreachable},
      {{kGreeting, kTlsHello, "250 go\r\n"}, Event::kTlsEstablished, Kind::kOutOfStep},
  };
  for (const auto& test : kCases) {
    Rig rig(test.replies, /*require_tls=*/true);
    rig.tls_event = test.tls_event;
    EXPECT_EQ(rig.Connect().kind, test.kind);
    EXPECT_FALSE(rig.session.usable());
    for (const std::string& line : rig.sent) EXPECT_FALSE(line.starts_with("MAIL"));
    EXPECT_EQ(rig.MailAndRcpt().kind, Kind::kLost) << "a conversation that is over stays over";
    for (const std::string& line : rig.sent) EXPECT_FALSE(line.starts_with("MAIL"));
  }
}

TEST(ClientSession, ExtraEarlyAndMalformedRepliesEndIt) {
  for (const char* reply : {"250 a\r\n250 b\r\n250 c\r\n", "250 a\r\n250 b\r\n2", "250 a\n", "250a\r\n", "350 a\r\n",
                            "150 a\r\n", "250 a\r\n354 b\r\n", "250-a\r\n251 b\r\n"}) {
    Rig rig({kGreeting, kHello, reply});
    rig.Connect();
    const UpstreamOutcome outcome = rig.MailAndRcpt();
    EXPECT_EQ(outcome.kind, Kind::kOutOfStep) << reply;
    EXPECT_TRUE(outcome.whole_transaction);
    EXPECT_FALSE(rig.session.usable());
  }
}

TEST(ClientSession, OctetsBeforeACommandEndIt) {
  Rig rig({kGreeting, kHello});
  rig.Connect();
  rig.Feed("250 ahead of time\r\n");
  const size_t writes = rig.sent.size();
  EXPECT_EQ(rig.MailAndRcpt().kind, Kind::kOutOfStep);
  EXPECT_EQ(rig.sent.size(), writes);
}

TEST(ClientSession, EndlessRepliesAreCutOff) {
  std::vector<std::string> replies = {kGreeting, kHello};
  for (int i = 0; i < 100000; ++i) replies.push_back("250-x\r\n");
  Rig rig(replies);
  rig.Connect();
  EXPECT_EQ(rig.MailAndRcpt().kind, Kind::kOutOfStep);
  EXPECT_LT(rig.session.input().capacity(), 8192u);
}

class InTransaction : public testing::Test {
 protected:
  // What comes after MAIL and RCPT have been accepted.
  static std::unique_ptr<Rig> Open(std::vector<std::string> replies) {
    replies.insert(replies.begin(), {kGreeting, kHello, "250 a\r\n250 b\r\n"});
    auto rig = std::make_unique<Rig>(std::move(replies));
    EXPECT_TRUE(rig->Connect().accepted());
    EXPECT_TRUE(rig->MailAndRcpt().accepted());
    return rig;
  }
};

TEST_F(InTransaction, DataNeeds354) {
  const struct {
    const char* reply;
    Kind kind;
  } kCases[] = {
      {"354 go\r\n", Kind::kAccepted},     {"250 ok\r\n", Kind::kOutOfStep},           {"334 x\r\n", Kind::kOutOfStep},
      {"451 4.3.0 x\r\n", Kind::kRefused}, {"354 go\r\n550 no\r\n", Kind::kOutOfStep}, {"", Kind::kLost}};
  for (const auto& test : kCases) {
    const auto rig = Open({test.reply});
    EXPECT_EQ(rig->Run(rig->session.BeginData()).kind, test.kind) << test.reply;
  }
}

TEST_F(InTransaction, AnAnswerBeforeTheDotIsAFailure) {
  for (const char* early : {"250 2.0.0 queued\r\n", "550 5.7.1 spam\r\n", "x"}) {
    const auto rig = Open({"354 go\r\n"});
    ASSERT_TRUE(rig->Run(rig->session.BeginData()).accepted());
    rig->Feed(early);
    // Seen while the message is written, or just before the dot: in neither case is it sent.
    EXPECT_EQ(rig->Run(rig->session.FinishData()).kind, Kind::kOutOfStep);
    EXPECT_EQ(rig->sent.back(), "DATA\r\n");

    const auto other = Open({"354 go\r\n"});
    ASSERT_TRUE(other->Run(other->session.BeginData()).accepted());
    other->Feed(early);
    EXPECT_EQ(other->session.Abort(Event::kBytesRead).kind, Kind::kOutOfStep);
    EXPECT_FALSE(other->session.usable());
    EXPECT_EQ(other->Run(other->session.FinishData()).kind, Kind::kLost);
    EXPECT_EQ(other->sent.back(), "DATA\r\n");
  }
}

TEST_F(InTransaction, AConnectionLostInTheMessageIsNoDoubt) {
  const auto rig = Open({"354 go\r\n"});
  ASSERT_TRUE(rig->Run(rig->session.BeginData()).accepted());
  EXPECT_EQ(rig->session.Abort(Event::kClosed).kind, Kind::kLost);
  EXPECT_EQ(rig->session.Abort(Event::kTimedOut).kind, Kind::kLost);
}

TEST_F(InTransaction, VerdictsPass) {
  const struct {
    const char* reply;
    Kind kind;
    bool usable;
  } kCases[] = {
      {"250 2.0.0 queued\r\n", Kind::kAccepted, true},
      {"450 4.2.0 later\r\n", Kind::kRefused, true},
      {"550 5.7.1 spam\r\n", Kind::kRefused, true},
      {"421 4.3.2 bye\r\n", Kind::kRefused, false},
      {"354 more\r\n", Kind::kInDoubt, false},
      {"nonsense\r\n", Kind::kInDoubt, false},
      {"", Kind::kInDoubt, false},
      // It has the message, whatever else it says.
      {"250 2.0.0 queued\r\n250 again\r\n", Kind::kAccepted, false},
      {"550 5.7.1 spam\r\n250 or not\r\n", Kind::kRefused, false},
  };
  for (const auto& test : kCases) {
    const auto rig = Open({"354 go\r\n", test.reply});
    ASSERT_TRUE(rig->Run(rig->session.BeginData()).accepted());
    EXPECT_EQ(rig->Run(rig->session.FinishData()).kind, test.kind) << test.reply;
    EXPECT_EQ(rig->session.usable(), test.usable) << test.reply;
  }
}

TEST_F(InTransaction, AfterTheDotEverythingElseIsInDoubt) {
  for (Event event : {Event::kClosed, Event::kTimedOut}) {
    const auto rig = Open({"354 go\r\n"});
    ASSERT_TRUE(rig->Run(rig->session.BeginData()).accepted());
    rig->write_event = event;
    EXPECT_EQ(rig->Run(rig->session.FinishData()).kind, Kind::kInDoubt);
  }
}

TEST_F(InTransaction, A421EndsTheConversation) {
  const auto rig = Open({"421 4.3.2 bye\r\n"});
  const UpstreamOutcome outcome = rig->Rcpt("<z@y>");
  EXPECT_EQ(outcome.kind, Kind::kRefused);
  EXPECT_TRUE(outcome.connection_lost());
  EXPECT_FALSE(rig->session.usable());
  EXPECT_EQ(rig->Rcpt("<z@y>").kind, Kind::kLost);
}

TEST_F(InTransaction, ARefusedResetEndsTheConversation) {
  const auto rig = Open({"451 no\r\n"});
  EXPECT_EQ(rig->Run(rig->session.Reset()).kind, Kind::kOutOfStep);
  EXPECT_FALSE(rig->session.usable());
}

TEST_F(InTransaction, QuitIsNeverSaidInsideAMessage) {
  const auto rig = Open({"354 go\r\n"});
  ASSERT_TRUE(rig->Run(rig->session.BeginData()).accepted());
  EXPECT_EQ(rig->Run(rig->session.Quit()).kind, Kind::kLost);
  EXPECT_EQ(rig->sent.back(), "DATA\r\n");
}

TEST(ClientSession, WhatTheNextHopCannotCarryIsRefusedAtOnce) {
  Rig rig({kGreeting, kPlainHello});
  rig.Connect();
  const size_t writes = rig.sent.size();
  EXPECT_EQ(rig.MailAndRcpt(" BODY=8BITMIME").kind, Kind::kCannotCarry);
  EXPECT_EQ(rig.MailAndRcpt(" BODY=BINARYMIME").kind, Kind::kCannotCarry);
  EXPECT_EQ(rig.MailAndRcpt(" SMTPUTF8").kind, Kind::kNotInternational);
  EXPECT_EQ(rig.MailAndRcpt(" RET=HDRS").kind, Kind::kLacksExtension);
  EXPECT_EQ(rig.MailAndRcpt(" ENVID=x").kind, Kind::kLacksExtension);
  EXPECT_EQ(rig.MailAndRcpt("", "<x@y> NOTIFY=NEVER").kind, Kind::kLacksExtension);
  EXPECT_TRUE(rig.MailAndRcpt("", "<x@y> ORCPT=rfc822;a").whole_transaction) << "MAIL has not been said";
  EXPECT_EQ(rig.sent.size(), writes);
  EXPECT_TRUE(rig.session.usable());
}

TEST(ClientSession, WhatARecipientLacksConcernsThatRecipient) {
  Rig rig({kGreeting, kPlainHello, "250 a\r\n", "250 b\r\n", "250 c\r\n"});
  rig.Connect();
  ASSERT_TRUE(rig.MailAndRcpt().accepted());
  const UpstreamOutcome outcome = rig.Rcpt("<z@y> NOTIFY=NEVER");
  EXPECT_EQ(outcome.kind, Kind::kLacksExtension);
  EXPECT_FALSE(outcome.whole_transaction);
  EXPECT_FALSE(outcome.connection_lost());
  EXPECT_TRUE(outcome.misconfigured());
  EXPECT_TRUE(rig.Rcpt("<z@y>").accepted());
}

TEST(ClientSession, ExtensionsAreWrittenAnew) {
  Rig rig({kGreeting, kFullHello, "250 a\r\n250 b\r\n", "250 c\r\n"});
  rig.Connect();
  ASSERT_TRUE(rig.MailAndRcpt(" smtputf8 envid=QQ+2B+3D314159+20x ret=hdrs body=8bitmime",
                              "<\u0438\u0432\u0430\u043d@b\u00fccher.example> notify=DELAY,success "
                              "orcpt=RFC822;a+2Bb+3Dc@x.example")
                  .accepted());
  EXPECT_EQ(rig.sent.back(),
            "MAIL FROM:<A@b.example> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B+3D314159+20x\r\n"
            "RCPT TO:<\u0438\u0432\u0430\u043d@xn--bcher-kva.example> NOTIFY=SUCCESS,DELAY "
            "ORCPT=RFC822;a+2Bb+3Dc@x.example\r\n");
  ASSERT_TRUE(rig.Rcpt("<z@y> NOTIFY=NEVER").accepted());
  EXPECT_EQ(rig.sent.back(), "RCPT TO:<z@y> NOTIFY=NEVER\r\n");
}

TEST(ClientSession, ABinaryMessageGoesByBdatAlone) {
  Rig rig({kGreeting, kFullHello, "250 a\r\n250 b\r\n", "250 7 octets\r\n", "250 2.0.0 queued\r\n"});
  rig.Connect();
  ASSERT_TRUE(rig.MailAndRcpt(" BODY=BINARYMIME").accepted());
  EXPECT_TRUE(rig.sent.back().starts_with("MAIL FROM:<A@b.example> BODY=BINARYMIME\r\n"));
  EXPECT_TRUE(rig.session.by_chunks());
  ASSERT_TRUE(rig.Run(rig.session.BeginData()).accepted());
  ASSERT_TRUE(rig.Run(rig.session.SendChunk(7)).accepted());
  EXPECT_EQ(rig.sent.back(), "BDAT 7\r\n");
  EXPECT_EQ(rig.last_message, ClientSession::Write::Message::kBehind);
  EXPECT_EQ(rig.last_wait, ClientSession::Wait::kChunk);
  const UpstreamOutcome verdict = rig.Run(rig.session.FinishData(0));
  EXPECT_EQ(rig.sent.back(), "BDAT 0 LAST\r\n");
  EXPECT_EQ(rig.last_wait, ClientSession::Wait::kVerdict);
  EXPECT_EQ(verdict.reply.text(), "queued");
  EXPECT_TRUE(rig.session.usable());
}

TEST(ClientSession, ARefusedChunkEndsTheConversationAndIsTheAnswer) {
  const struct {
    const char* reply;
    Kind kind;
  } kCases[] = {{"552 5.3.4 too big\r\n", Kind::kRefused},
                {"354 go\r\n", Kind::kOutOfStep},
                {"250 ok\r\n250 more\r\n", Kind::kOutOfStep},
                {"", Kind::kLost}};
  for (const auto& test : kCases) {
    Rig rig({kGreeting, kFullHello, "250 a\r\n250 b\r\n", test.reply});
    rig.Connect();
    ASSERT_TRUE(rig.MailAndRcpt(" BODY=BINARYMIME").accepted());
    ASSERT_TRUE(rig.Run(rig.session.BeginData()).accepted());
    EXPECT_EQ(rig.Run(rig.session.SendChunk(7)).kind, test.kind) << test.reply;
    EXPECT_FALSE(rig.session.usable()) << test.reply;
  }
}

TEST(ClientSession, AfterTheLastChunkWhatGoesWrongLeavesADoubt) {
  Rig rig({kGreeting, kFullHello, "250 a\r\n250 b\r\n"});
  rig.Connect();
  ASSERT_TRUE(rig.MailAndRcpt(" BODY=BINARYMIME").accepted());
  ASSERT_TRUE(rig.Run(rig.session.BeginData()).accepted());
  EXPECT_EQ(rig.Run(rig.session.FinishData(7)).kind, Kind::kInDoubt);
}

TEST(ClientSession, TheNextHopsMailmaxIsKept) {
  Rig rig({kGreeting, "250-mx.example\r\n250 LIMITS MAILMAX=1\r\n", "250 a\r\n", "250 b\r\n"});
  rig.Connect();
  EXPECT_FALSE(rig.session.exhausted());
  ASSERT_TRUE(rig.MailAndRcpt().accepted());
  EXPECT_TRUE(rig.session.exhausted());
}

ClientIdentity SomeClient() {
  ClientIdentity client;
  client.name_state = ClientIdentity::NameState::kConfirmed;
  client.name = "client.example";
  client.address = *base::IpAddress::Parse("192.0.2.7");
  client.port = 4711;
  client.esmtp = true;
  client.helo = "laptop";
  return client;
}

TEST(ClientSession, XclientComesBeforeMailAndBeginsAnew) {
  Rig rig({kGreeting, kXclientHello, "220 mx.example ESMTP\r\n", kFullHello, "250 a\r\n250 b\r\n"}, false,
          SomeClient());
  ASSERT_TRUE(rig.Connect().accepted());
  EXPECT_EQ(rig.sent, (std::vector<std::string>{"EHLO edge.example\r\n",
                                                "XCLIENT NAME=client.example ADDR=192.0.2.7 PORT=4711 PROTO=ESMTP "
                                                "HELO=laptop LOGIN=[UNAVAILABLE]\r\n",
                                                "EHLO laptop\r\n"}));
  EXPECT_TRUE(rig.session.capabilities().dsn) << "what counts is said after XCLIENT";
  EXPECT_FALSE(rig.session.offered().dsn) << "but it is said to this client alone";
  EXPECT_TRUE(rig.MailAndRcpt().accepted());
}

TEST(ClientSession, EhloSaysOurClientsNameOnlyWhereItIsOneAndIsAskedFor) {
  for (const auto& [helo, hello] : {std::pair("a\r\nMAIL FROM:<x>", kXclientHello), std::pair("", kXclientHello),
                                    std::pair("laptop", "250-mx.example\r\n250 XCLIENT NAME ADDR\r\n")}) {
    ClientIdentity client = SomeClient();
    client.helo = helo;
    Rig rig({kGreeting, hello, "220 again\r\n", kPlainHello}, false, client);
    ASSERT_TRUE(rig.Connect().accepted());
    EXPECT_EQ(rig.sent.back(), "EHLO edge.example\r\n");
  }
}

TEST(ClientSession, XclientIsSaidInsideTls) {
  Rig rig({kGreeting, kTlsHello, "220 go\r\n", kXclientHello, "220 again\r\n", kPlainHello}, /*require_tls=*/true,
          SomeClient());
  ASSERT_TRUE(rig.Connect().accepted());
  EXPECT_EQ(rig.handshakes, 1);
  EXPECT_EQ(rig.sent.size(), 5u);
}

TEST(ClientSession, ANewIdentityIsSaidOnce) {
  Rig rig({kGreeting, kXclientHello, "220 a\r\n", kXclientHello, "220 b\r\n", kXclientHello}, false, SomeClient());
  ASSERT_TRUE(rig.Connect().accepted());
  const size_t writes = rig.sent.size();
  EXPECT_TRUE(rig.Run(rig.session.Identify(SomeClient())).accepted());
  EXPECT_EQ(rig.sent.size(), writes);
  ClientIdentity other = SomeClient();
  other.login = "alice@example.com";
  EXPECT_TRUE(rig.Run(rig.session.Identify(other)).accepted());
  EXPECT_TRUE(rig.sent[writes].ends_with(" LOGIN=alice@example.com\r\n"));
  EXPECT_EQ(rig.sent.size(), writes + 2);
}

TEST(ClientSession, WithoutXclientNothingIsSaid) {
  const struct {
    std::vector<std::string> replies;
    Kind kind;
  } kCases[] = {
      {{kGreeting, kHello}, Kind::kLacksExtension},
      {{kGreeting, "250-mx.example\r\n250 XCLIENT SHOESIZE\r\n"}, Kind::kLacksExtension},
      {{kGreeting, kXclientHello, "550 5.7.0 insufficient authorization\r\n"}, Kind::kRefusedUs},
      {{kGreeting, kXclientHello, "421 4.3.0 later\r\n"}, Kind::kUnreachable},
      {{kGreeting, kXclientHello, "250 ok\r\n"}, Kind::kOutOfStep},
      {{kGreeting, kXclientHello, "220 a\r\n250 b\r\n"}, Kind::kOutOfStep},
      {{kGreeting, kXclientHello}, Kind::kUnreachable},
  };
  for (const auto& test : kCases) {
    Rig rig(test.replies, false, SomeClient());
    const UpstreamOutcome outcome = rig.Connect();
    EXPECT_EQ(outcome.kind, test.kind) << test.replies.back();
    EXPECT_TRUE(outcome.whole_transaction);
    EXPECT_FALSE(rig.session.usable());
    for (const std::string& line : rig.sent) EXPECT_FALSE(line.starts_with("MAIL"));
  }
}

// RFC 2920 3.1.
TEST(ClientSession, DataThatFollowsGoesWithTheRecipient) {
  for (const bool at_once : {true, false}) {
    const std::vector<std::string> replies =
        at_once ? std::vector<std::string>{kGreeting, kHello, "250 a\r\n250 b\r\n354 go\r\n", "250 queued\r\n"}
                : std::vector<std::string>{kGreeting, kHello, "250 a\r\n250 b\r\n3", "54 go\r\n", "250 queued\r\n"};
    Rig rig(replies);
    rig.Connect();
    EXPECT_TRUE(rig.MailAndRcpt("", "<x@y.example>", /*data_follows=*/true).accepted());
    ASSERT_EQ(rig.sent.back(), "MAIL FROM:<A@b.example>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n");
    const size_t writes = rig.sent.size();
    const UpstreamOutcome outcome = rig.Run(rig.session.BeginData());
    EXPECT_TRUE(outcome.accepted());
    EXPECT_EQ(outcome.reply.code, 354);
    EXPECT_EQ(rig.sent.size(), writes);
    EXPECT_TRUE(rig.Run(rig.session.FinishData()).accepted());
    EXPECT_TRUE(rig.session.spotless());
  }
}

TEST(ClientSession, DataThatFollowsASecondRecipientGoesWithThat) {
  Rig rig({kGreeting, kHello, "250 a\r\n250 b\r\n", "550 unknown\r\n354 go\r\n", "250 queued\r\n"});
  rig.Connect();
  rig.MailAndRcpt();
  EXPECT_EQ(rig.Rcpt("<z@y.example>", /*data_follows=*/true).reply.code, 550);
  EXPECT_EQ(rig.sent.back(), "RCPT TO:<z@y.example>\r\nDATA\r\n");
  EXPECT_TRUE(rig.Run(rig.session.BeginData()).accepted()) << "the first recipient gets it";
  EXPECT_TRUE(rig.Run(rig.session.FinishData()).accepted());
}

TEST(ClientSession, DataWaitsForItsTurnWithoutPipeliningAndForABinaryMessage) {
  Rig rig({kGreeting, "250 mx.example\r\n", "250 a\r\n", "250 b\r\n", "354 go\r\n"});
  rig.Connect();
  EXPECT_TRUE(rig.MailAndRcpt("", "<x@y.example>", /*data_follows=*/true).accepted());
  EXPECT_EQ(rig.sent.back(), "RCPT TO:<x@y.example>\r\n");
  EXPECT_TRUE(rig.Run(rig.session.BeginData()).accepted());
  EXPECT_EQ(rig.sent.back(), "DATA\r\n");

  Rig binary({kGreeting, kFullHello, "250 a\r\n250 b\r\n"});
  binary.Connect();
  EXPECT_TRUE(binary.MailAndRcpt(" BODY=BINARYMIME", "<x@y.example>", /*data_follows=*/true).accepted());
  EXPECT_TRUE(binary.sent.back().ends_with("RCPT TO:<x@y.example>\r\n"));
}

TEST(ClientSession, DataSaidForNobodyIsAnsweredBeforeTheRefusalIsPassedOn) {
  const struct {
    const char* replies;  // to MAIL, RCPT, DATA; what is missing never comes
    int code;             // of the outcome; 0: out of step
    bool whole_transaction;
    bool usable;
  } kCases[] = {
      {"250 a\r\n550 unknown\r\n503 nobody\r\n", 550, false, true},
      {"250 a\r\n450 busy\r\n554 nobody\r\n", 450, false, true},
      {"550 no\r\n503 MAIL\r\n503 MAIL\r\n", 550, true, true},
      {"250 a\r\n550 unknown\r\n354 for nobody\r\n", 550, false, false},
      {"550 no\r\n503 MAIL\r\n354 for nobody\r\n", 550, true, false},
      {"250 a\r\n550 unknown\r\n421 bye\r\n", 550, false, false},
      {"250 a\r\n421 bye\r\n", 421, true, false},
      {"250 a\r\n550 unknown\r\n", 550, false, false},
      {"250 a\r\n550 unknown\r\n250 what\r\n", 0, true, false},
      {"250 a\r\n550 unknown\r\n503 nobody\r\n250 extra\r\n", 0, true, false},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.replies);
    Rig rig({kGreeting, kHello, test.replies});
    rig.Connect();
    const UpstreamOutcome outcome = rig.MailAndRcpt("", "<x@y.example>", /*data_follows=*/true);
    EXPECT_EQ(outcome.kind, test.code == 0 ? Kind::kOutOfStep : Kind::kRefused);
    EXPECT_EQ(outcome.reply.code, test.code);
    EXPECT_EQ(outcome.whole_transaction, test.whole_transaction);
    EXPECT_EQ(rig.session.usable(), test.usable);
    EXPECT_FALSE(rig.session.spotless());
  }
}

TEST(ClientSession, OnceDataHasBeenSaidNothingButItsAnswerIsTaken) {
  const std::function<ClientSession::Action(ClientSession&)> kOthers[] = {
      [](ClientSession& session) { return session.Reset(); },
      [](ClientSession& session) { return session.Quit(); },
      [](ClientSession& session) { return session.Rcpt(Rig::Recipient("<z@y.example>")); },
      [](ClientSession& session) { return session.MailAndRcpt(MailCommand(), Rig::Recipient("<z@y.example>")); },
  };
  for (const auto& other : kOthers) {
    Rig rig({kGreeting, kHello, "250 a\r\n250 b\r\n354 go\r\n"});
    rig.Connect();
    rig.MailAndRcpt("", "<x@y.example>", /*data_follows=*/true);
    const size_t writes = rig.sent.size();
    EXPECT_EQ(rig.Run(other(rig.session)).kind, Kind::kLost);
    EXPECT_EQ(rig.sent.size(), writes) << "it would be part of the message";
    EXPECT_FALSE(rig.session.usable());
  }
}

// U1.
TEST(ClientSession, OnlyWhatEndedWellAndWasNeverRefusedIsSpotless) {
  constexpr const char* kMailAndRcpt = "250 ok\r\n250 ok\r\n";
  Rig rig({kGreeting, kHello, kMailAndRcpt, "354 go\r\n", "250 queued\r\n", kMailAndRcpt, "250 ok\r\n", kMailAndRcpt,
           "550 unknown\r\n", "250 ok\r\n"});
  EXPECT_FALSE(rig.session.spotless());
  rig.Connect();
  EXPECT_TRUE(rig.session.spotless());
  rig.MailAndRcpt();
  EXPECT_FALSE(rig.session.spotless());
  rig.Run(rig.session.BeginData());
  EXPECT_FALSE(rig.session.spotless());
  rig.Run(rig.session.FinishData());
  EXPECT_TRUE(rig.session.spotless());
  rig.MailAndRcpt();
  rig.Run(rig.session.Reset());
  EXPECT_TRUE(rig.session.spotless());
  rig.Feed("2");
  EXPECT_FALSE(rig.session.spotless());
  rig.session.input().Clear();
  rig.MailAndRcpt();
  EXPECT_EQ(rig.Rcpt("<z@y.example>").kind, Kind::kRefused);
  rig.Run(rig.session.Reset());
  EXPECT_TRUE(rig.session.usable());
  EXPECT_FALSE(rig.session.spotless());
  EXPECT_EQ(rig.session.transactions(), 3u);
}

TEST(ClientSession, WhatKnowsAClientIsNotSpotless) {
  Rig rig({kGreeting, kXclientHello, kGreeting, kXclientHello}, false, SomeClient());
  EXPECT_TRUE(rig.Connect().accepted());
  EXPECT_FALSE(rig.session.spotless());
}

TEST(ClientSession, A421ToMailInAGroupIsTheLastReply) {
  Rig rig({kGreeting, kHello, "421 4.3.2 bye\r\n"});
  rig.Connect();
  const UpstreamOutcome outcome = rig.MailAndRcpt();
  EXPECT_EQ(outcome.kind, Kind::kRefused);
  EXPECT_TRUE(outcome.whole_transaction);
  EXPECT_FALSE(rig.session.usable());
}

}  // namespace
}  // namespace gatepost::smtp
