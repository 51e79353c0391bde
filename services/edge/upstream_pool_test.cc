// Connections that sessions leave for the next one, against next hops on loopback sockets that behave as the test says.
// U1 of the threats: nothing of one client reaches another's transaction, and a transaction gets the answers that it
// would get on a connection of its own. Longer than most: the next hops that misbehave are made in this one file.
#include "services/edge/upstream_pool.h"

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <atomic>
#include <functional>
#include <future>
#include <optional>

#include "gtest/gtest.h"
#include "services/base/clock.h"
#include "services/edge/fake_upstream.h"
#include "services/edge/transport.h"
#include "services/edge/upstream.h"

namespace gatepost::edge {
namespace {

using namespace std::chrono_literals;
using smtp::UpstreamOutcome;
using Kind = UpstreamOutcome::Kind;
using Peer = FakeUpstream::Peer;

constexpr std::string_view kHello = "250-up.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n";

// A willing server for any number of transactions. `answers`: what a command gets instead of its usual reply; the first
// that begins so, once.
struct Server {
  std::vector<std::pair<std::string, std::string>> answers;
  std::string hello{kHello};

  std::string Answer(std::string_view line, std::string usual) {
    for (auto at = answers.begin(); at != answers.end(); ++at) {
      if (!line.starts_with(at->first)) continue;
      std::string answer = at->second;
      answers.erase(at);
      return answer;
    }
    return usual;
  }

  void Serve(Peer& peer) {
    bool in_transaction = false;
    peer.Say("220 up.example ESMTP\r\n");
    for (std::string line = peer.Line(); !line.empty(); line = peer.Line()) {
      if (line.starts_with("EHLO")) {
        peer.Say(hello);
      } else if (line == "DATA") {
        const std::string answer = Answer(line, "354 go\r\n");
        peer.Say(answer);
        if (!answer.starts_with("354")) continue;
        peer.Body();
        peer.Say(Answer("DOT", "250 2.0.0 queued\r\n"));
      } else if (line == "QUIT") {
        peer.Say("221 bye\r\n");
        return;
      } else if (line.starts_with("RCPT") && !in_transaction) {
        peer.Say("503 5.5.1 MAIL first\r\n");
      } else {
        const std::string answer = Answer(line, "250 2.0.0 ok\r\n");
        if (line.starts_with("MAIL")) in_transaction = answer.starts_with("250");
        peer.Say(answer);
      }
    }
  }
};

// Stands still from the system's time on, by which sockets go, until a test moves it.
class StoppedClock final : public base::Clock {
 public:
  base::MonotonicTime Now() const override { return now_; }
  base::WallTime WallNow() const override { return base::SystemClock().WallNow(); }
  void Advance(base::Duration by) { now_ += by; }

 private:
  base::MonotonicTime now_ = base::SystemClock().Now();
};

struct Counted final : UpstreamObserver {
  void OnOpen(int change) override { open += change; }
  void OnTakenOver(bool good) override { ++(good ? taken_over : replaced); }
  int open = 0;
  int taken_over = 0;
  int replaced = 0;
};

class UpstreamPoolTest : public testing::Test {
 protected:
  UpstreamPoolTest() : transport_(context_.get_executor(), clock_) {
    route_->client_name = "edge.example";
    MakePool({});
  }

  void MakePool(UpstreamPool::Options options) { pool_.emplace(context_.get_executor(), clock_, budget_, options); }

  // A next hop that lives no longer than what is idle at it: who waits there for its end would wait for ever.
  class NextHop : public FakeUpstream {
   public:
    NextHop(UpstreamPoolTest* test, std::function<void(Peer&, int)> script)
        : FakeUpstream(std::move(script)), test_(test) {}
    ~NextHop() { test_->CloseIdle(); }

   private:
    UpstreamPoolTest* const test_;
  };

  void CloseIdle() {
    pool_->CloseAll();
    context_.restart();
    context_.poll();
  }

  static Route::Hop To(const FakeUpstream& server) {
    return {{"127.0.0.1", server.port()}, nullptr, std::make_shared<HopState>()};
  }

  std::unique_ptr<Upstream> Session() {
    Upstream::Options options{.route = route_,
                              .dialer = &transport_,
                              .budget = &budget_,
                              .pool = &*pool_,
                              .clock = &clock_,
                              .observer = &counted_};
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

  UpstreamOutcome Open(Upstream& upstream, std::string_view sender, const smtp::ClientIdentity* identity = nullptr) {
    mail_.path.mailbox = {std::string(sender), "a.example"};
    recipient_.path.mailbox = {std::string(sender), "b.example"};
    return Run(upstream.Open({.mail = &mail_, .recipient = &recipient_, .client = identity}));
  }
  UpstreamOutcome Send(Upstream& upstream, std::string_view sender, const smtp::ClientIdentity* identity = nullptr) {
    UpstreamOutcome outcome = Open(upstream, sender, identity);
    if (outcome.accepted()) outcome = Run(upstream.BeginData());
    if (!outcome.accepted()) return outcome;
    const std::array<std::string_view, 2> pieces{sender, "\r\n"};
    return Run(upstream.Finish(pieces, clock_.Now()));
  }
  // A session with one message, from its beginning to its end.
  UpstreamOutcome SendAndLeave(std::string_view sender) {
    const std::unique_ptr<Upstream> session = Session();
    UpstreamOutcome outcome = Send(*session, sender);
    session->Leave();
    return outcome;
  }
  // What was said over all connections, as they ended; closes what is idle.
  std::vector<std::string> Said(FakeUpstream& server, size_t connections) {
    CloseIdle();
    return server.Received(connections);
  }

  // Each session had a connection of its own.
  static void ExpectApart(const std::vector<std::string>& said) {
    EXPECT_EQ(said.size(), 2u);
    for (const std::string& octets : said) {
      EXPECT_TRUE(octets.find("one") == std::string::npos || octets.find("two") == std::string::npos) << octets;
    }
  }

  asio::io_context context_{1};
  StoppedClock clock_;
  Transport transport_;
  Budget budget_{100};
  Counted counted_;
  std::shared_ptr<Route> route_ = std::make_shared<Route>();
  std::optional<UpstreamPool> pool_;
  smtp::MailCommand mail_;
  smtp::RcptCommand recipient_;
};

TEST_F(UpstreamPoolTest, NextSessionTakesOverTheConnectionAndBeginsWithMail) {
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  EXPECT_EQ(pool_->size(), 1u);
  EXPECT_EQ(counted_.open, 0);  // No session holds it, but it takes its part of the budget.
  EXPECT_EQ(budget_.used(), 1u);
  ASSERT_TRUE(SendAndLeave("two").accepted());
  EXPECT_EQ(counted_.taken_over, 1);
  EXPECT_EQ(Said(server, 1),
            std::vector<std::string>{"EHLO edge.example\r\n"
                                     "MAIL FROM:<one@a.example>\r\nRCPT TO:<one@b.example>\r\nDATA\r\none\r\n.\r\n"
                                     "MAIL FROM:<two@a.example>\r\nRCPT TO:<two@b.example>\r\nDATA\r\ntwo\r\n.\r\n"
                                     "QUIT\r\n"});
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(UpstreamPoolTest, OneConnectionServesOneSessionAtATime) {
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  const auto first = Session();
  const auto second = Session();
  ASSERT_TRUE(Open(*first, "two").accepted());
  ASSERT_TRUE(Open(*second, "three").accepted());
  EXPECT_EQ(budget_.used(), 2u);
  EXPECT_EQ(counted_.taken_over, 1);
}

// Wherever the first session fails, the second begins on a connection of its own.
TEST_F(UpstreamPoolTest, ConnectionIsLeftOnlyAfterAnAcceptedMessageAndNoRefusal) {
  const std::function<void(Upstream&)> ends[] = {
      [&](Upstream& upstream) { Open(upstream, "one"); },  // then the client goes
      [&](Upstream& upstream) {                            // RSET
        Open(upstream, "one");
        upstream.Reset();
      },
      [&](Upstream& upstream) {  // in the midst of the message
        Open(upstream, "one");
        Run(upstream.BeginData());
      },
      [&](Upstream& upstream) {  // an accepted message, and a transaction that was given up
        Send(upstream, "one");
        Open(upstream, "one");
      },
      [&](Upstream& upstream) {  // one of two recipients refused
        Open(upstream, "one");
        recipient_.path.mailbox.local = "refused";
        Run(upstream.AddRecipient({.recipient = &recipient_}));
        Run(upstream.BeginData());
        const std::array<std::string_view, 1> pieces{"one\r\n"};
        Run(upstream.Finish(pieces, clock_.Now()));
      },
  };
  for (const auto& end : ends) {
    NextHop server(this, [](Peer& peer, int) {
      Server serving;
      serving.answers = {{"RCPT TO:<refused", "550 5.1.1 unknown\r\n"}};
      serving.Serve(peer);
    });
    route_->hops = {To(server)};
    {
      const auto session = Session();
      end(*session);
      session->Leave();
      EXPECT_TRUE(session->connected());
    }
    EXPECT_EQ(pool_->size(), 0u);
    EXPECT_TRUE(SendAndLeave("two").accepted());
    ExpectApart(Said(server, 2));
  }
}

TEST_F(UpstreamPoolTest, ConnectionOnWhichAStepWasRefusedIsNotLeft) {
  for (const char* step : {"MAIL", "RCPT", "DATA", "DOT"}) {
    SCOPED_TRACE(step);
    NextHop server(this, [&](Peer& peer, int) {
      Server serving;
      serving.answers = {{step, "550 5.7.1 no\r\n"}};
      serving.Serve(peer);
    });
    route_->hops = {To(server)};
    EXPECT_EQ(SendAndLeave("one").reply.code, 550);
    EXPECT_EQ(pool_->size(), 0u);
  }
}

// An early reply, a 421, the end: whatever comes while a connection is idle, nobody takes it for an answer.
TEST_F(UpstreamPoolTest, ConnectionThatSpokeWhileIdleIsNotTakenOver) {
  for (const std::string_view octets : {"250 2.0.0 queued\r\n", "421 4.4.2 idle for too long\r\n", "2", ""}) {
    SCOPED_TRACE(octets);
    std::promise<void> left, said;
    NextHop server(this, [&](Peer& peer, int number) {
      if (number > 0) return Server().Serve(peer);
      peer.UpToData(kHello);
      peer.Say("354 go\r\n");
      peer.Body();
      peer.Say("250 2.0.0 queued\r\n");
      left.get_future().get();
      peer.Say(octets);
      if (octets.empty()) ::shutdown(peer.descriptor(), SHUT_WR);
      said.set_value();
      peer.Drain();
    });
    route_->hops = {To(server)};
    ASSERT_TRUE(SendAndLeave("one").accepted());
    ASSERT_EQ(pool_->size(), 1u);
    left.set_value();
    said.get_future().get();
    const int before = counted_.replaced;
    EXPECT_TRUE(SendAndLeave("two").accepted());
    EXPECT_EQ(counted_.replaced, before + 1);
    ExpectApart(Said(server, 2));
  }
}

// What the next hop has against the connection is not the transaction's affair.
TEST_F(UpstreamPoolTest, MailThatIsNotAcceptedOnATakenConnectionIsSaidAgainOnAFreshOne) {
  for (const char* answer :
       {"421 4.7.0 too many messages\r\n", "452 4.3.2 too many messages\r\n", "503 5.5.1 no\r\n", ""}) {
    SCOPED_TRACE(answer);
    NextHop server(this, [&](Peer& peer, int number) {
      Server serving;
      if (number == 0 && *answer != '\0') serving.answers = {{"MAIL FROM:<two", answer}};
      if (*answer != '\0' || number > 0) return serving.Serve(peer);
      peer.UpToData(kHello);
      peer.Say("354 go\r\n");
      peer.Body();
      peer.Say("250 2.0.0 queued\r\n");
      peer.Line();  // MAIL; and the connection is gone
    });
    route_->hops = {To(server)};
    ASSERT_TRUE(SendAndLeave("one").accepted());
    const int before = counted_.replaced;
    EXPECT_TRUE(SendAndLeave("two").accepted());
    EXPECT_EQ(counted_.replaced, before + 1);
    EXPECT_EQ(Said(server, 2).size(), 2u);
  }
}

// A next hop that lost its power looks alive: it is not waited for as long as one that has just greeted us.
TEST_F(UpstreamPoolTest, MailThatATakenConnectionDoesNotAnswerForTenSecondsIsSaidAgainOnAFreshOne) {
  NextHop server(this, [&](Peer& peer, int number) {
    if (number > 0) return Server().Serve(peer);
    peer.UpToData(kHello);
    peer.Say("354 go\r\n");
    peer.Body();
    peer.Say("250 2.0.0 queued\r\n");
    peer.Drain();  // and not a word
  });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  // By the system's time, by which sockets go, half a second of the ten is left.
  clock_.Advance(std::chrono::milliseconds(500) - limits::kTakenOverAnswer);
  EXPECT_TRUE(SendAndLeave("two").accepted());
  EXPECT_EQ(counted_.replaced, 1);
  EXPECT_EQ(Said(server, 2).size(), 2u);
}

// What the next hop lacks is not the connection's affair.
TEST_F(UpstreamPoolTest, MessageThatTheNextHopCannotCarryCostsNoConnection) {
  NextHop server(this, [&](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  mail_.smtputf8 = true;
  EXPECT_EQ(SendAndLeave("tw\xc3\xb6").kind, UpstreamOutcome::Kind::kNotInternational);
  EXPECT_EQ(counted_.replaced, 0);
  mail_.smtputf8 = false;
}

TEST_F(UpstreamPoolTest, RefusalOfMailIsTheAnswerWhenAFreshConnectionGivesIt) {
  NextHop server(this, [&](Peer& peer, int) {
    Server serving;
    serving.answers = {{"MAIL FROM:<two", "550 5.7.1 no\r\n"}};
    serving.Serve(peer);
  });
  route_->hops = {To(server)};
  {
    const auto first = Session();
    const auto second = Session();
    ASSERT_TRUE(Send(*first, "one").accepted());
    ASSERT_TRUE(Send(*second, "one").accepted());
    first->Leave();
    second->Leave();
  }
  EXPECT_EQ(SendAndLeave("two").reply.code, 550);
  EXPECT_EQ(counted_.replaced, 1);
  EXPECT_EQ(pool_->size(), 1u) << "it says nothing of the others";
  const std::vector<std::string> said = Said(server, 3);
  EXPECT_EQ(
      std::count_if(said.begin(), said.end(), [](const std::string& octets) { return octets.ends_with("QUIT\r\n"); }),
      2)
      << "the one that was idle, and the one that was taken over";
}

TEST_F(UpstreamPoolTest, RefusedRecipientIsTheAnswerAndNotAskedForAgain) {
  NextHop server(this, [&](Peer& peer, int) {
    Server serving;
    serving.answers = {{"RCPT TO:<two", "550 5.1.1 unknown\r\n"}};
    serving.Serve(peer);
  });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  EXPECT_EQ(SendAndLeave("two").reply.code, 550);
  EXPECT_EQ(counted_.taken_over, 1);
  EXPECT_EQ(counted_.replaced, 0);
}

// After DATA nothing is said again.
TEST_F(UpstreamPoolTest, LostAfterDataOnATakenConnectionIsNotTriedAgain) {
  std::atomic<int> connections = 0;
  NextHop server(this, [&](Peer& peer, int) {
    ++connections;
    peer.UpToData(kHello);
    peer.Say("354 go\r\n");
    peer.Body();
    peer.Say("250 2.0.0 queued\r\n");
    peer.Envelope();
    peer.Say("354 go\r\n");
    peer.Body();
  });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  EXPECT_EQ(SendAndLeave("two").kind, Kind::kInDoubt);
  EXPECT_EQ(connections, 1);
}

TEST_F(UpstreamPoolTest, TheFirstNextHopComesFirstThoughASecondHasIdleConnections) {
  NextHop first(this, [](Peer& peer, int number) {
    if (number == 0) {
      peer.Say("421 busy\r\n");
    } else {
      Server().Serve(peer);
    }
  });
  NextHop second(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(first), To(second)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  ASSERT_TRUE(SendAndLeave("two").accepted());
  EXPECT_EQ(counted_.taken_over, 0);
  EXPECT_EQ(pool_->size(), 2u);
}

TEST_F(UpstreamPoolTest, AnotherConfigurationHasConnectionsOfItsOwn) {
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  route_ = std::make_shared<Route>(*route_);
  ASSERT_TRUE(SendAndLeave("two").accepted());
  EXPECT_EQ(counted_.taken_over, 0);
}

TEST_F(UpstreamPoolTest, ConnectionThatKnowsAClientIsNeitherLeftNorTaken) {
  NextHop server(this, [](Peer& peer, int) {
    peer.Say("220 up.example ESMTP\r\n");
    for (std::string line = peer.Line(); !line.empty(); line = peer.Line()) {
      if (line.starts_with("EHLO")) {
        peer.Say("250-up.example\r\n250 XCLIENT ADDR LOGIN\r\n");
      } else if (line.starts_with("XCLIENT")) {
        peer.Say("220 up.example ESMTP\r\n");
      } else if (line == "DATA") {
        peer.Say("354 go\r\n");
        peer.Body();
        peer.Say("250 2.0.0 queued\r\n");
      } else {
        peer.Say("250 2.0.0 ok\r\n");
      }
    }
  });
  route_->hops = {To(server)};
  smtp::ClientIdentity client;
  client.address = *base::IpAddress::Parse("192.0.2.7");
  {
    const auto session = Session();
    ASSERT_TRUE(Send(*session, "one", &client).accepted());
    session->Leave();
  }
  EXPECT_EQ(pool_->size(), 0u);
  ASSERT_TRUE(SendAndLeave("two").accepted());
  EXPECT_EQ(pool_->size(), 1u);
  const auto session = Session();
  ASSERT_TRUE(Send(*session, "three", &client).accepted());
  EXPECT_EQ(counted_.taken_over, 0);
}

TEST_F(UpstreamPoolTest, ConnectionThatBeganWithAProxyHeaderIsNotLeft) {
  NextHop server(this, [](Peer& peer, int) {
    peer.Octets(16);  // LOCAL
    Server().Serve(peer);
  });
  route_->proxy_header = true;
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  EXPECT_EQ(pool_->size(), 0u);
}

TEST_F(UpstreamPoolTest, AsManyIdleToANextHopAsAllowedAndNotOneMore) {
  MakePool({.per_next_hop = 2});
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  std::vector<std::unique_ptr<Upstream>> sessions;
  for (int i = 0; i < 3; ++i) {
    sessions.push_back(Session());
    ASSERT_TRUE(Send(*sessions.back(), "one").accepted());
  }
  for (const auto& session : sessions) session->Leave();
  EXPECT_EQ(pool_->size(), 2u);
  EXPECT_TRUE(sessions.back()->connected());
}

TEST_F(UpstreamPoolTest, AsManyIdleInAllAsAllowedThenTheOldestGoes) {
  MakePool({.most = 2});
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  for (size_t idle : {1, 2, 2}) {
    route_ = std::make_shared<Route>(*route_);
    ASSERT_TRUE(SendAndLeave("one").accepted());
    EXPECT_EQ(pool_->size(), idle);
  }
  EXPECT_EQ(budget_.used(), 2u);
}

TEST_F(UpstreamPoolTest, ConnectionIsTakenJustBeforeItHasIdledTooLongAndNotThen) {
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  clock_.Advance(limits::kUpstreamIdle - 1ms);
  ASSERT_TRUE(SendAndLeave("two").accepted());
  EXPECT_EQ(counted_.taken_over, 1);
  clock_.Advance(limits::kUpstreamIdle);
  ASSERT_TRUE(SendAndLeave("three").accepted());
  EXPECT_EQ(counted_.taken_over, 1);
}

TEST_F(UpstreamPoolTest, ConnectionThatHasIdledTooLongIsClosedWithQuit) {
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  clock_.Advance(limits::kUpstreamIdle);
  context_.restart();
  while (pool_->size() > 0) context_.run_one();
  EXPECT_EQ(budget_.used(), 0u);
  context_.poll();
  EXPECT_TRUE(server.Received(1).at(0).ends_with("QUIT\r\n"));
}

TEST_F(UpstreamPoolTest, ConnectionIsLeftJustBelowItsAgeAndNotAtIt) {
  for (const bool old : {false, true}) {
    NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
    route_->hops = {To(server)};
    const auto session = Session();
    ASSERT_TRUE(Send(*session, "one").accepted());
    clock_.Advance(old ? base::Duration(limits::kUpstreamAge) : limits::kUpstreamAge - 1ms);
    session->Leave();
    EXPECT_EQ(pool_->size(), old ? 0u : 1u);
  }
}

TEST_F(UpstreamPoolTest, ConnectionIsLeftForItsLastTransactionAndNotBeyond) {
  MakePool({.transactions = 2});
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  EXPECT_EQ(pool_->size(), 1u);
  ASSERT_TRUE(SendAndLeave("two").accepted());
  EXPECT_EQ(pool_->size(), 0u);
}

// RFC 9422.
TEST_F(UpstreamPoolTest, NextHopThatTakesOneTransactionGetsOne) {
  NextHop server(this, [](Peer& peer, int) {
    Server serving;
    serving.hello = "250-up.example\r\n250 LIMITS MAILMAX=1\r\n";
    serving.Serve(peer);
  });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  EXPECT_EQ(pool_->size(), 0u);
}

TEST_F(UpstreamPoolTest, NothingIsLeftWhenMoreThanHalfOfTheBudgetIsTaken) {
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  std::vector<Budget::Lease> others;
  while (budget_.used() < 49) others.push_back(budget_.TryAcquire());
  ASSERT_TRUE(SendAndLeave("one").accepted());
  EXPECT_EQ(pool_->size(), 1u);
  others.push_back(budget_.TryAcquire());
  ASSERT_TRUE(SendAndLeave("two").accepted());
  EXPECT_EQ(pool_->size(), 0u);
}

TEST_F(UpstreamPoolTest, IdleConnectionYieldsItsPlaceInTheBudget) {
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  std::vector<Budget::Lease> others;
  while (budget_.used() < budget_.most()) others.push_back(budget_.TryAcquire());
  route_ = std::make_shared<Route>(*route_);
  EXPECT_TRUE(SendAndLeave("two").accepted());
}

TEST_F(UpstreamPoolTest, WhenOneIsDeadTheOthersToItsAddressAreNotTried) {
  std::promise<void> sent;
  std::shared_future<void> all_sent = sent.get_future().share();
  NextHop server(this, [&](Peer& peer, int number) {
    if (number >= 2) return Server().Serve(peer);
    peer.UpToData(kHello);
    peer.Say("354 go\r\n");
    peer.Body();
    peer.Say("250 2.0.0 queued\r\n");
    all_sent.get();
  });
  route_->hops = {To(server)};
  {
    const auto first = Session();
    const auto second = Session();
    ASSERT_TRUE(Send(*first, "one").accepted());
    ASSERT_TRUE(Send(*second, "two").accepted());
    first->Leave();
    second->Leave();
  }
  ASSERT_EQ(pool_->size(), 2u);
  sent.set_value();
  server.Received(2);  // Both have ended.
  EXPECT_TRUE(SendAndLeave("three").accepted());
  EXPECT_EQ(counted_.replaced, 1);
  EXPECT_EQ(pool_->size(), 1u);
}

TEST_F(UpstreamPoolTest, ShutPoolClosesWhatIsIdleAndKeepsNothing) {
  NextHop server(this, [](Peer& peer, int) { Server().Serve(peer); });
  route_->hops = {To(server)};
  ASSERT_TRUE(SendAndLeave("one").accepted());
  pool_->Shut();
  EXPECT_EQ(pool_->size(), 0u);
  context_.restart();
  context_.poll();
  EXPECT_TRUE(server.Received(1).at(0).ends_with("QUIT\r\n"));
  ASSERT_TRUE(SendAndLeave("two").accepted());
  EXPECT_EQ(pool_->size(), 0u);
}

}  // namespace
}  // namespace gatepost::edge
