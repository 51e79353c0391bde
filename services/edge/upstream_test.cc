// The upstream's connection against next hops on loopback sockets that behave as the test says. Rows 13, 15, 16 of the
// failures; U3, U4 of the threats; the "Upstream" table of the limits.
#include "services/edge/upstream.h"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <functional>
#include <future>
#include <optional>

#include "gtest/gtest.h"
#include "services/base/strings.h"
#include "services/edge/fake_upstream.h"
#include "services/edge/transport.h"

namespace gatepost::edge {
namespace {

using namespace std::chrono_literals;
using smtp::UpstreamOutcome;
using Kind = UpstreamOutcome::Kind;
using Peer = FakeUpstream::Peer;

// A port on which nobody listens.
uint16_t DeadPort() {
  FakeUpstream once([](Peer&, int) {});
  return once.port();
}

class UpstreamTest : public testing::Test {
 protected:
  UpstreamTest() : transport_(context_.get_executor(), clock_) {
    mail_.path.mailbox = {"a", "b.example"};
    recipient_.path.mailbox = {"c", "d.example"};
    route_->client_name = "edge.example";
  }

  void AddHop(uint16_t port) { route_->hops.push_back({{"127.0.0.1", port}, nullptr, std::make_shared<HopState>()}); }

  std::unique_ptr<Upstream> Make() {
    Upstream::Options options{
        .route = route_, .dialer = &transport_, .budget = &budget_, .clock = &clock_, .observer = nullptr};
    return std::make_unique<Upstream>(std::move(options));
  }

  template <typename T>
  T Run(asio::awaitable<T> operation) {
    std::optional<T> result;
    asio::co_spawn(context_, std::move(operation), [&](std::exception_ptr, T value) { result = std::move(value); });
    context_.restart();
    while (!result) context_.run_one();
    return *std::move(result);
  }
  void Quit(Upstream& upstream) {
    bool done = false;
    asio::co_spawn(context_, upstream.Quit(), [&](std::exception_ptr) { done = true; });
    context_.restart();
    while (!done) context_.run_one();
  }

  // A whole message; the outcome of the first step that is not accepted, or of the last. `step` says which.
  UpstreamOutcome Send(Upstream& upstream, std::string* step = nullptr) {
    std::string ignored;
    std::string& name = step == nullptr ? ignored : *step;
    name = "open";
    UpstreamOutcome outcome = Run(upstream.Open({.mail = &mail_, .recipient = &recipient_, .client = identity_}));
    if (!outcome.accepted()) return outcome;
    name = "data";
    outcome = Run(upstream.BeginData());
    if (!outcome.accepted()) return outcome;
    const std::array<std::string_view, 2> pieces{"Received: x\r\n", "Subject: y\r\n\r\n"};
    name = "body";
    outcome = Run(upstream.SendBody(pieces));
    if (!outcome.accepted()) return outcome;
    const std::array<std::string_view, 2> tail{"..z\r\n", ""};
    name = "dot";
    return Run(upstream.Finish(tail, clock_.Now()));
  }

  static std::string Client(const UpstreamOutcome& outcome) {
    const smtp::Reply reply = smtp::ReplyToClient(outcome, policy::Dialect::kRfc);
    return base::StrCat(reply.code, " ", reply.enhanced);
  }

  asio::io_context context_{1};
  base::SystemClock clock_;
  Transport transport_;
  Budget budget_{10};
  std::shared_ptr<Route> route_ = std::make_shared<Route>();
  smtp::MailCommand mail_;
  smtp::RcptCommand recipient_;
  const smtp::ClientIdentity* identity_ = nullptr;
};

void Willing(Peer& peer) {
  peer.UpToData();
  peer.Say("354 go\r\n");
  peer.Body();
  peer.Say("250 2.0.0 queued\r\n");
}

TEST_F(UpstreamTest, MessageArrivesOctetForOctet) {
  FakeUpstream server([](Peer& peer, int) {
    Willing(peer);
    peer.Line();
    peer.Say("221 bye\r\n");
  });
  AddHop(server.port());
  auto upstream = Make();
  const UpstreamOutcome outcome = Send(*upstream);
  ASSERT_TRUE(outcome.accepted()) << outcome.detail;
  EXPECT_EQ(outcome.reply.text(), "queued");
  Quit(*upstream);
  EXPECT_FALSE(upstream->connected());
  EXPECT_EQ(budget_.used(), 0u);
  ASSERT_EQ(server.Received(1).size(), 1u);
  EXPECT_EQ(server.Received(1)[0],
            "EHLO edge.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
            "Received: x\r\nSubject: y\r\n\r\n..z\r\n.\r\nQUIT\r\n");
}

TEST_F(UpstreamTest, NextAddressIsTriedWhenTheFirstRefuses) {
  FakeUpstream busy([](Peer& peer, int) { peer.Say("421 busy\r\n"); });
  FakeUpstream server([](Peer& peer, int) { Willing(peer); });
  AddHop(DeadPort());
  AddHop(busy.port());
  AddHop(server.port());
  auto upstream = Make();
  EXPECT_TRUE(Send(*upstream).accepted());
}

TEST_F(UpstreamTest, NobodyToConnectToIs451AndConcernsTheTransaction) {
  AddHop(DeadPort());
  auto upstream = Make();
  const UpstreamOutcome outcome = Send(*upstream);
  EXPECT_EQ(outcome.kind, Kind::kUnreachable);
  EXPECT_TRUE(outcome.whole_transaction);
  EXPECT_EQ(Client(outcome), "451 4.4.1");
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(UpstreamTest, NoNextHopIs451) {
  auto upstream = Make();
  EXPECT_EQ(Client(Send(*upstream)), "451 4.4.1");
}

TEST_F(UpstreamTest, SilentServerCostsItsTimeOutAndTheNextIsTried) {
  route_->timeouts.greeting = 50ms;
  FakeUpstream silent([](Peer& peer, int) { peer.Drain(); });
  FakeUpstream server([](Peer& peer, int) { Willing(peer); });
  AddHop(silent.port());
  AddHop(server.port());
  auto upstream = Make();
  EXPECT_TRUE(Send(*upstream).accepted());
}

TEST_F(UpstreamTest, AllOfTheOpeningHasOneDeadline) {
  route_->timeouts.opening = 100ms;
  FakeUpstream silent([](Peer& peer, int) { peer.Drain(); });
  for (int i = 0; i < 8; ++i) AddHop(silent.port());
  auto upstream = Make();
  const base::MonotonicTime start = clock_.Now();
  EXPECT_EQ(Client(Send(*upstream)), "451 4.4.1");
  EXPECT_LT(clock_.Now() - start, 5s);
}

// Row 15: 18 refusals.
TEST_F(UpstreamTest, RefusalsAtEveryStep) {
  struct Case {
    const char* step;  // at which the next hop says `reply`
    const char* reply;
    const char* client;  // what our client is told
  };
  const Case cases[] = {
      {"CONNECT", "450 4.3.2 later", "451 4.4.1"},   {"CONNECT", "554 5.7.1 go away", "451 4.3.5"},
      {"CONNECT", "421 busy", "451 4.4.1"},          {"EHLO", "450 4.3.2 later", "451 4.4.1"},
      {"EHLO", "550 5.7.1 no", "451 4.3.5"},         {"EHLO", "421 busy", "451 4.4.1"},
      {"MAIL", "451 4.7.1 greylisted", "451 4.7.1"}, {"MAIL", "550 5.7.1 no", "550 5.7.1"},
      {"MAIL", "421 4.3.2 bye", "451 4.3.2"},        {"RCPT", "450 4.2.1 busy", "450 4.2.1"},
      {"RCPT", "550 5.1.1 unknown", "550 5.1.1"},    {"RCPT", "421 4.3.2 bye", "451 4.3.2"},
      {"DATA", "451 4.3.0 no", "451 4.3.0"},         {"DATA", "554 5.7.1 no", "554 5.7.1"},
      {"DATA", "421 4.3.2 bye", "451 4.3.2"},        {"DOT", "452 4.3.1 full", "452 4.3.1"},
      {"DOT", "554 5.7.1 spam", "554 5.7.1"},        {"DOT", "421 4.3.2 bye", "451 4.3.2"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(base::StrCat(test.step, " ", test.reply));
    const std::string_view step = test.step;
    const std::string reply = base::StrCat(test.reply, "\r\n");
    FakeUpstream server([&](Peer& peer, int) {
      const auto say = [&](std::string_view here, std::string_view usual) { peer.Say(here == step ? reply : usual); };
      say("CONNECT", "220 up ESMTP\r\n");
      if (step == "CONNECT") return peer.Drain();
      peer.Line();
      say("EHLO", "250 up\r\n");
      if (step == "EHLO") return peer.Drain();
      peer.Line();
      say("MAIL", "250 ok\r\n");
      if (step == "MAIL") return peer.Drain();
      peer.Line();
      say("RCPT", "250 ok\r\n");
      if (step == "RCPT") return peer.Drain();
      peer.Line();
      say("DATA", "354 go\r\n");
      if (step == "DATA") return peer.Drain();
      peer.Body();
      say("DOT", "250 ok\r\n");
      peer.Drain();
    });
    route_->hops.clear();
    AddHop(server.port());
    auto upstream = Make();
    const UpstreamOutcome outcome = Send(*upstream);
    EXPECT_FALSE(outcome.accepted());
    EXPECT_FALSE(outcome.in_doubt());
    EXPECT_EQ(Client(outcome), test.client);
    upstream->Drop();
  }
}

// Row 16: whatever happens after our dot, the message is in doubt, and never sent again.
TEST_F(UpstreamTest, LostAfterTheDotIsInDoubtAndNeverTriedAgain) {
  for (const bool reset : {false, true}) {
    SCOPED_TRACE(reset ? "reset" : "closed");
    int messages = 0;
    {
      FakeUpstream server([&](Peer& peer, int) {
        peer.UpToData();
        peer.Say("354 go\r\n");
        peer.Body();
        ++messages;
        if (reset) peer.Reset();
      });
      route_->hops.clear();
      AddHop(server.port());
      AddHop(server.port());
      auto upstream = Make();
      const UpstreamOutcome outcome = Send(*upstream);
      EXPECT_EQ(outcome.kind, Kind::kInDoubt);
      EXPECT_EQ(Client(outcome), "451 4.4.2");
    }
    EXPECT_EQ(messages, 1);
  }
}

TEST_F(UpstreamTest, SlowVerdictIsInDoubtAtTheDeadline) {
  route_->timeouts.final = 50ms;
  FakeUpstream server([](Peer& peer, int) {
    peer.UpToData();
    peer.Say("354 go\r\n");
    peer.Body();
    peer.Drain();
  });
  AddHop(server.port());
  auto upstream = Make();
  const UpstreamOutcome outcome = Send(*upstream);
  EXPECT_EQ(outcome.kind, Kind::kInDoubt);
  EXPECT_EQ(Client(outcome), "451 4.4.2");
}

TEST_F(UpstreamTest, Slow354Is451) {
  route_->timeouts.data = 50ms;
  FakeUpstream server([](Peer& peer, int) {
    peer.UpToData();
    peer.Drain();
  });
  AddHop(server.port());
  auto upstream = Make();
  std::string step;
  EXPECT_EQ(Client(Send(*upstream, &step)), "451 4.4.1");
  EXPECT_EQ(step, "data");
}

// U4.
TEST_F(UpstreamTest, AcceptanceBeforeOurDotIsAFailureAndNoDotIsSent) {
  std::promise<void> said;
  FakeUpstream server([&](Peer& peer, int) {
    peer.UpToData();
    peer.Say("354 go\r\n");
    while (peer.received().find("Subject: y\r\n\r\n") == std::string::npos) peer.Line();
    peer.Say("250 2.0.0 queued\r\n");
    said.set_value();
    peer.Drain();
  });
  AddHop(server.port());
  auto upstream = Make();
  ASSERT_TRUE(Run(upstream->Open({.mail = &mail_, .recipient = &recipient_, .client = identity_})).accepted());
  ASSERT_TRUE(Run(upstream->BeginData()).accepted());
  const std::array<std::string_view, 2> pieces{"Subject: y\r\n\r\n", ""};
  ASSERT_TRUE(Run(upstream->SendBody(pieces)).accepted());
  said.get_future().get();
  const std::array<std::string_view, 2> tail{"z\r\n", ""};
  const UpstreamOutcome outcome = Run(upstream->Finish(tail, clock_.Now()));
  EXPECT_EQ(outcome.kind, Kind::kOutOfStep);
  EXPECT_FALSE(upstream->connected());
  EXPECT_EQ(server.Received(1).at(0).find("\r\n.\r\n"), std::string::npos);
}

TEST_F(UpstreamTest, LostWhileTheBodyIsWrittenIs451WithoutDoubt) {
  std::promise<void> gone;
  FakeUpstream server([&](Peer& peer, int) {
    peer.UpToData();
    peer.Say("354 go\r\n");
    peer.Reset();
    gone.set_value();
  });
  AddHop(server.port());
  auto upstream = Make();
  ASSERT_TRUE(Run(upstream->Open({.mail = &mail_, .recipient = &recipient_, .client = identity_})).accepted());
  ASSERT_TRUE(Run(upstream->BeginData()).accepted());
  gone.get_future().get();
  server.Received(1);
  const std::array<std::string_view, 2> pieces{"x\r\n", ""};
  const UpstreamOutcome outcome = Run(upstream->SendBody(pieces));
  EXPECT_EQ(outcome.kind, Kind::kLost);
  EXPECT_EQ(Client(outcome), "451 4.4.1");
}

TEST_F(UpstreamTest, ConnectionIsReusedAndResetBeforeTheNextTransaction) {
  FakeUpstream server([](Peer& peer, int) {
    Willing(peer);
    for (int i = 0; i < 2; ++i) {  // MAIL and RCPT
      peer.Line();
      peer.Say("250 ok\r\n");
    }
    for (int i = 0; i < 3; ++i) {  // RSET, MAIL, RCPT
      peer.Line();
      peer.Say("250 ok\r\n");
    }
    peer.Drain();
  });
  AddHop(server.port());
  auto upstream = Make();
  ASSERT_TRUE(Send(*upstream).accepted());
  ASSERT_TRUE(Run(upstream->Open({.mail = &mail_, .recipient = &recipient_, .client = identity_})).accepted());
  upstream->Reset();
  ASSERT_TRUE(Run(upstream->Open({.mail = &mail_, .recipient = &recipient_, .client = identity_})).accepted());
  upstream->Drop();
  const std::string received = server.Received(1).at(0);
  EXPECT_NE(received.find("RCPT TO:<c@d.example>\r\nRSET\r\nMAIL FROM"), std::string::npos) << received;
}

TEST_F(UpstreamTest, DataThatFollowsGoesInTheSameWrite) {
  std::promise<std::string> group;
  FakeUpstream server([&](Peer& peer, int) {
    peer.Say("220 up.example ESMTP\r\n");
    peer.Line();
    const size_t before = peer.received().size();
    peer.Say("250-up.example\r\n250 PIPELINING\r\n");
    peer.Line();
    group.set_value(peer.received().substr(before));
    peer.Say("250 a\r\n250 b\r\n354 go\r\n");
    peer.Body();
    peer.Say("250 2.0.0 queued\r\n");
    peer.Drain();
  });
  AddHop(server.port());
  auto upstream = Make();
  ASSERT_TRUE(Run(upstream->Open({.mail = &mail_, .recipient = &recipient_, .client = nullptr, .data_follows = true}))
                  .accepted());
  EXPECT_EQ(group.get_future().get(), "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
  ASSERT_TRUE(Run(upstream->BeginData()).accepted());
  const std::array<std::string_view, 1> pieces{"x: y\r\n\r\nz\r\n"};
  EXPECT_TRUE(Run(upstream->Finish(pieces, clock_.Now())).accepted());
}

TEST_F(UpstreamTest, ASessionThatEndsAfterDataWasSaidSaysNoMore) {
  FakeUpstream server([&](Peer& peer, int) {
    peer.UpToData();
    peer.Say("354 go\r\n");
    peer.Drain();
  });
  AddHop(server.port());
  auto upstream = Make();
  ASSERT_TRUE(Run(upstream->Open({.mail = &mail_, .recipient = &recipient_, .client = nullptr, .data_follows = true}))
                  .accepted());
  Quit(*upstream);
  EXPECT_FALSE(upstream->connected());
  EXPECT_TRUE(server.Received(1).at(0).ends_with("DATA\r\n"));
}

TEST_F(UpstreamTest, ConnectionThatDiedBetweenTransactionsIsReplaced) {
  FakeUpstream server([](Peer& peer, int number) {
    Willing(peer);
    if (number == 0) {
      peer.Say("421 4.4.2 idle for too long\r\n");
    } else {
      peer.Drain();
    }
  });
  AddHop(server.port());
  auto upstream = Make();
  ASSERT_TRUE(Send(*upstream).accepted());
  server.Received(1);  // The first connection has ended.
  ASSERT_TRUE(Send(*upstream).accepted());
  upstream->Drop();
  EXPECT_EQ(server.Received(2).size(), 2u);
}

// B8: as they are, and no dot.
TEST_F(UpstreamTest, ABinaryMessageGoesInChunks) {
  std::promise<std::string> chunks;
  FakeUpstream server([&](Peer& peer, int) {
    std::string said = peer.UpToData("250-up.example\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 BINARYMIME\r\n");
    said += peer.Octets(27) + '|';
    peer.Say("250 2.0.0 more\r\n");
    said += peer.Line() + peer.Octets(5) + '|';
    peer.Say("250 2.0.0 queued\r\n");
    chunks.set_value(said + peer.Line());
    peer.Say("221 bye\r\n");
  });
  AddHop(server.port());
  mail_.body = smtp::BodyType::kBinaryMime;
  auto upstream = Make();
  ASSERT_TRUE(Send(*upstream).accepted());
  Quit(*upstream);
  EXPECT_EQ(chunks.get_future().get(), "BDAT 27Received: x\r\nSubject: y\r\n\r\n|BDAT 5 LAST..z\r\n|QUIT");
}

TEST_F(UpstreamTest, ARefusedChunkIsTheAnswerAndEndsTheConnection) {
  FakeUpstream server([&](Peer& peer, int) {
    peer.UpToData("250-up.example\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 BINARYMIME\r\n");
    peer.Octets(27);
    peer.Say("552 5.3.4 too big\r\n");
    peer.Drain();
  });
  AddHop(server.port());
  mail_.body = smtp::BodyType::kBinaryMime;
  auto upstream = Make();
  std::string step;
  EXPECT_EQ(Client(Send(*upstream, &step)), "552 5.3.4");
  EXPECT_EQ(step, "body");
  EXPECT_FALSE(upstream->connected());
  EXPECT_EQ(server.Received(1).at(0).find("LAST"), std::string::npos);
}

// U6.
TEST_F(UpstreamTest, ANewIdentityIsToldOnTheConnectionThatIsKept) {
  constexpr std::string_view kHello = "250-up.example\r\n250 XCLIENT ADDR LOGIN\r\n";
  std::string told;
  FakeUpstream server([&](Peer& peer, int) {
    peer.Say("220 up.example ESMTP\r\n");
    for (int i = 0; i < 2; ++i) {
      if (i == 0) peer.Line();
      if (i == 0) peer.Say(kHello);
      told += peer.Line() + '|';
      peer.Say("220 up.example ESMTP\r\n");
      told += peer.Line() + '|';
      peer.Say(kHello);
      peer.Envelope();
      peer.Say("354 go\r\n");
      peer.Body();
      peer.Say("250 2.0.0 queued\r\n");
    }
    peer.Line();
    peer.Say("221 bye\r\n");
  });
  AddHop(server.port());
  smtp::ClientIdentity client;
  client.address = *base::IpAddress::Parse("192.0.2.7");
  identity_ = &client;
  auto upstream = Make();
  ASSERT_TRUE(Send(*upstream).accepted());
  client.login = "a+b";
  ASSERT_TRUE(Send(*upstream).accepted());
  Quit(*upstream);
  server.Received(1);
  EXPECT_EQ(told,
            "XCLIENT ADDR=192.0.2.7 LOGIN=[UNAVAILABLE]|EHLO edge.example|"
            "XCLIENT ADDR=192.0.2.7 LOGIN=a+2Bb|EHLO edge.example|");
}

TEST_F(UpstreamTest, ANextHopThatDoesNotAskForTheIdentityIsMisconfigured) {
  FakeUpstream server([](Peer& peer, int) {
    peer.UpToData();
    peer.Drain();
  });
  AddHop(server.port());
  const smtp::ClientIdentity client;
  identity_ = &client;
  auto upstream = Make();
  EXPECT_EQ(Client(Send(*upstream)), "451 4.3.5");
  EXPECT_EQ(server.Received(1).at(0), "EHLO edge.example\r\n");
}

// RFC 9422.
TEST_F(UpstreamTest, ANextHopsMailmaxIsKeptByAnotherConnection) {
  FakeUpstream server([](Peer& peer, int) {
    peer.UpToData("250-up.example\r\n250-8BITMIME\r\n250 LIMITS MAILMAX=1\r\n");
    peer.Say("354 go\r\n");
    peer.Body();
    peer.Say("250 2.0.0 queued\r\n");
    peer.Line();
    peer.Say("221 bye\r\n");
  });
  AddHop(server.port());
  auto upstream = Make();
  ASSERT_TRUE(Send(*upstream).accepted());
  ASSERT_TRUE(Send(*upstream).accepted());
  Quit(*upstream);
  for (const std::string& received : server.Received(2)) EXPECT_TRUE(received.ends_with("\r\n.\r\nQUIT\r\n"));
}

TEST_F(UpstreamTest, WithoutAFreeConnectionTheDeadlineEndsIn451) {
  route_->timeouts.opening = 60ms;
  FakeUpstream server([](Peer& peer, int) { Willing(peer); });
  AddHop(server.port());
  Budget none(0);
  Upstream::Options options{
      .route = route_, .dialer = &transport_, .budget = &none, .clock = &clock_, .observer = nullptr};
  Upstream upstream(std::move(options));
  const UpstreamOutcome outcome = Send(upstream);
  EXPECT_EQ(outcome.kind, Kind::kNoConnection);
  EXPECT_EQ(Client(outcome), "451 4.3.2");
}

TEST_F(UpstreamTest, WhatANextHopCanDoIsLearnt) {
  FakeUpstream server([](Peer& peer, int) { Willing(peer); });
  AddHop(server.port());
  EXPECT_EQ(route_->capabilities(), smtp::Capabilities::Unseen());
  auto upstream = Make();
  ASSERT_TRUE(Send(*upstream).accepted());
  EXPECT_EQ(route_->capabilities().size, 1000000u);
  EXPECT_FALSE(route_->capabilities().enhanced_status_codes);
}

}  // namespace
}  // namespace gatepost::edge
