// Whole sessions on a worker, over sockets: the driver's loop, its interrupts, its limits. Rows 2 and 17 of the
// failures; S7 of the threats (the end of a connection is never the end of a message).
#include "services/edge/worker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <google/protobuf/text_format.h>

#include <atomic>
#include <future>

#include "gtest/gtest.h"
#include "services/base/strings.h"
#include "services/edge/compiler.h"
#include "services/edge/fake_upstream.h"
#include "services/edge/transport.h"

namespace gatepost::edge {
namespace {

using Peer = FakeUpstream::Peer;
using namespace std::chrono_literals;

// A client on a blocking socket: FakeUpstream's peer, the other way round.
std::unique_ptr<Peer> Dial(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const timeval patience{20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return std::make_unique<Peer>(fd);
}

// Says yes to everybody, as alice.
class YesSayer final : public AuthService {
 public:
  class Yes final : public AuthExchange {
   public:
    asio::awaitable<smtp::AuthAnswer> Start(std::string_view, std::optional<std::string_view>) override {
      policy::Identity identity;
      identity.login = "alice@example.com";
      identity.user = "users/alice";
      co_return smtp::AuthAnswer{smtp::AuthSuccess{identity}};
    }
    asio::awaitable<smtp::AuthAnswer> Respond(std::string_view) override {
      co_return smtp::AuthAnswer{smtp::AuthUnavailable{}};
    }
  };
  std::unique_ptr<AuthExchange> Begin(const AuthContext& context) override {
    last = context;
    return std::make_unique<Yes>();
  }
  std::vector<std::string> mechanisms() const override { return {"PLAIN", "LOGIN"}; }
  AuthContext last;
};

class WorkerTest : public testing::Test {
 protected:
  WorkerTest()
      : null_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
        log_(clock_, {.fd = null_}),
        worker_({.log = log_,
                 .clock = clock_,
                 .random = random_,
                 .client_budget = clients_,
                 .upstream_budget = upstreams_}),
        transport_(worker_.context().get_executor(), clock_) {
    worker_.Use(&auth_, &transport_, &transport_, nullptr);
    worker_.Run();
  }
  ~WorkerTest() override {
    worker_.Join();
    ::close(null_);
  }

  // The virtual server `virtualServers/a`: anonymous, example.com is local; `more` in text format.
  void Adopt(int64_t revision, uint16_t upstream, const std::string& more = "") {
    config::v1::Unit unit;
    const std::string text = base::StrCat(R"(epoch: "e" reset: true revision: )", revision, R"(
      virtual_servers { name: "virtualServers/a" fqdn: "mx.example.com"
        local_domains { domain: "example.com" }
        authentication { anonymous: true basic { allow_clear_text_credentials: true } }
        delivery { default_route { next_hops { host: "127.0.0.1" port: )",
                                          upstream, "} } }", more, "}");
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &unit));
    const auto resources = Merge({}, std::span(&unit, 1));
    ASSERT_TRUE(resources.ok()) << resources.status();
    auto snapshot = compiler_.Compile(*resources);
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    worker_.Do([&] { worker_.Adopt(*snapshot); });
  }
  uint16_t Listen() {
    const auto bound = worker_.Do([&] {
      return worker_.Listen({base::IpAddress::V4(0x7f000001), 0}, {"virtualServers/a", policy::TlsMode::kNone});
    });
    EXPECT_TRUE(bound.ok()) << bound.status();
    return bound.ok() ? bound->port : uint16_t{0};
  }
  size_t Sessions() {
    return worker_.Do([&] { return worker_.sessions(); });
  }
  void AwaitNoSessions() {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (Sessions() != 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_EQ(Sessions(), 0u);
  }

  static std::string Command(Peer& client, std::string_view line) {
    client.Say(base::StrCat(line, "\r\n"));
    std::string reply;
    do {
      reply = client.Line();
    } while (reply.size() > 3 && reply[3] == '-');
    return reply;
  }
  // Greeting, EHLO.
  static void Begin(Peer& client) {
    EXPECT_EQ(client.Line(), "220 mx.example.com ESMTP Gatepost");
    EXPECT_EQ(Command(client, "EHLO c.example").substr(0, 3), "250");
  }
  static void Envelope(Peer& client) {
    EXPECT_EQ(Command(client, "MAIL FROM:<a@b.example>"), "250 2.1.0 Sender OK");
    EXPECT_EQ(Command(client, "RCPT TO:<x@example.com>"), "250 2.1.5 Recipient OK");
  }

  base::SystemClock clock_;
  base::SystemRandom random_;
  const int null_;
  base::Log log_;
  metrics::Registry registry_;
  Budget clients_{100};
  Budget upstreams_{100};
  Compiler compiler_{
      [this](const std::string& id) { return std::make_shared<const LazyServerMetrics>(registry_, id); }};
  YesSayer auth_;
  Worker worker_;
  Transport transport_;
};

void Willing(Peer& peer, int) {
  peer.UpToData();
  peer.Say("354 go\r\n");
  peer.Body();
  peer.Say("250 2.0.0 queued\r\n");
  peer.Line();
  peer.Say("221 bye\r\n");
  peer.Drain();
}

TEST_F(WorkerTest, MessageGoesThrough) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port());
  auto client = Dial(Listen());
  Begin(*client);
  Envelope(*client);
  EXPECT_EQ(Command(*client, "RCPT TO:<x@elsewhere.example>"), "550 5.7.1 Unable to relay for x@elsewhere.example");
  EXPECT_EQ(Command(*client, "DATA").substr(0, 3), "354");
  EXPECT_EQ(Command(*client, "Subject: s\r\n\r\n..x\r\n.").substr(0, 18), "250 2.0.0 Accepted");
  EXPECT_EQ(Command(*client, "QUIT").substr(0, 3), "221");
  EXPECT_EQ(client->Line(), "");
  client.reset();
  AwaitNoSessions();
  const std::string received = upstream.Received(1).at(0);
  EXPECT_NE(received.find("\r\nSubject: s\r\n\r\n..x\r\n.\r\nQUIT\r\n"), std::string::npos) << received;
  EXPECT_EQ(clients_.used(), 0u);
  EXPECT_EQ(upstreams_.used(), 0u);
}

// S7: the connection ends in the middle of a message, in every way that a socket has.
TEST_F(WorkerTest, EndOfTheConnectionIsNeverTheEndOfTheMessage) {
  for (const char* sent :
       {"Subject: s\r\n\r\nx", "Subject: s\r\n\r\nx\r\n", "Subject: s\r\n\r\nx\r\n.", "Subject: s\r\n\r\nx\r\n.\r"}) {
    for (const bool reset : {false, true}) {
      SCOPED_TRACE(base::StrCat(sent, reset ? " and a reset" : " and a FIN"));
      FakeUpstream upstream(Willing);
      Adopt(1, upstream.port());
      auto client = Dial(Listen());
      Begin(*client);
      Envelope(*client);
      EXPECT_EQ(Command(*client, "DATA").substr(0, 3), "354");
      client->Say(sent);
      if (reset) client->Reset();
      client.reset();
      AwaitNoSessions();
      const std::string received = upstream.Received(1).at(0);
      EXPECT_EQ(received.find("\r\n.\r\n"), std::string::npos) << received;
      EXPECT_EQ(received.find("QUIT"), std::string::npos) << received;
    }
  }
}

// Row 17: delivered, and the client is gone: the session ends in order and the upstream keeps its message.
TEST_F(WorkerTest, ClientThatVanishesAfterItsDotChangesNothingUpstream) {
  std::promise<void> dot, go;
  FakeUpstream upstream([&](Peer& peer, int) {
    peer.UpToData();
    peer.Say("354 go\r\n");
    peer.Body();
    dot.set_value();
    go.get_future().get();
    peer.Say("250 2.0.0 queued\r\n");
    peer.Line();
    peer.Say("221 bye\r\n");
    peer.Drain();
  });
  Adopt(1, upstream.port());
  auto client = Dial(Listen());
  Begin(*client);
  Envelope(*client);
  Command(*client, "DATA");
  client->Say("x: y\r\n\r\n.\r\n");
  dot.get_future().get();
  client->Reset();
  client.reset();
  go.set_value();
  AwaitNoSessions();
  EXPECT_NE(upstream.Received(1).at(0).find("\r\n.\r\n"), std::string::npos);
}

TEST_F(WorkerTest, SessionKeepsItsPolicyFromStartToEnd) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port());
  const uint16_t port = Listen();
  auto old = Dial(port);
  Begin(*old);
  Adopt(2, upstream.port(), R"(relay { mode: ALL_EXCEPT allow_open_relay: true })");
  EXPECT_EQ(Command(*old, "MAIL FROM:<a@b.example>").substr(0, 3), "250");
  EXPECT_EQ(Command(*old, "RCPT TO:<x@elsewhere.example>").substr(0, 3), "550");
  auto fresh = Dial(port);
  Begin(*fresh);
  EXPECT_EQ(Command(*fresh, "MAIL FROM:<a@b.example>").substr(0, 3), "250");
  EXPECT_EQ(Command(*fresh, "RCPT TO:<x@elsewhere.example>").substr(0, 3), "250");
}

TEST_F(WorkerTest, StoppedVirtualServerEndsSessionsBetweenTransactions) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port());
  const uint16_t port = Listen();
  auto idle = Dial(port);
  Begin(*idle);
  auto busy = Dial(port);
  Begin(*busy);
  Envelope(*busy);
  Adopt(2, upstream.port(), "state: STOPPED");
  EXPECT_EQ(idle->Line(), "421 4.3.2 mx.example.com Closing");
  EXPECT_EQ(Command(*busy, "DATA").substr(0, 3), "354");
  EXPECT_EQ(Command(*busy, "x: y\r\n\r\n.").substr(0, 18), "250 2.0.0 Accepted");
  EXPECT_EQ(busy->Line(), "421 4.3.2 mx.example.com Closing");
}

TEST_F(WorkerTest, PauseLetsSessionsGoOnAndTurnsNewOnesAway) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port());
  const uint16_t port = Listen();
  auto client = Dial(port);
  Begin(*client);
  Adopt(2, upstream.port(), "state: PAUSED");
  EXPECT_EQ(Dial(port)->Line(), "421 mx.example.com Not accepting connections");
  Envelope(*client);
  EXPECT_EQ(Command(*client, "DATA").substr(0, 3), "354");
  EXPECT_EQ(Command(*client, "x: y\r\n\r\n.").substr(0, 18), "250 2.0.0 Accepted");
  Adopt(3, upstream.port());
  EXPECT_EQ(Dial(port)->Line().substr(0, 4), "220 ");
}

// Row 2: SIGTERM with sessions idle, in a transaction, past the dot.
TEST_F(WorkerTest, DrainEndsIdleSessionsAndWaitsForTransactions) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port());
  const uint16_t port = Listen();
  auto idle = Dial(port);
  Begin(*idle);
  auto busy = Dial(port);
  Begin(*busy);
  Envelope(*busy);
  EXPECT_EQ(Command(*busy, "DATA").substr(0, 3), "354");
  worker_.Do([&] { worker_.Drain(); });
  EXPECT_EQ(idle->Line(), "421 4.3.2 mx.example.com Closing");
  EXPECT_EQ(Command(*busy, "x: y\r\n\r\n.").substr(0, 18), "250 2.0.0 Accepted");
  EXPECT_EQ(busy->Line(), "421 4.3.2 mx.example.com Closing");
  idle.reset();
  busy.reset();
  AwaitNoSessions();
}

TEST_F(WorkerTest, EndOfTheDrainCutsATransactionButNotOnePastItsDot) {
  std::promise<void> dot, go;
  FakeUpstream upstream([&](Peer& peer, int number) {
    if (number == 1) return peer.Drain();
    peer.UpToData();
    peer.Say("354 go\r\n");
    peer.Body();
    dot.set_value();
    go.get_future().get();
    peer.Say("250 2.0.0 queued\r\n");
    peer.Line();
    peer.Say("221 bye\r\n");
    peer.Drain();
  });
  Adopt(1, upstream.port());
  const uint16_t port = Listen();
  auto past_dot = Dial(port);
  Begin(*past_dot);
  Envelope(*past_dot);
  EXPECT_EQ(Command(*past_dot, "DATA").substr(0, 3), "354");
  past_dot->Say("x: y\r\n\r\n.\r\n");
  dot.get_future().get();
  auto busy = Dial(port);
  Begin(*busy);
  EXPECT_EQ(Command(*busy, "MAIL FROM:<a@b.example>").substr(0, 3), "250");
  worker_.Do([&] { worker_.Drain(); });
  worker_.Do([&] { worker_.EndSessions(); });
  EXPECT_EQ(busy->Line(), "421 4.3.2 mx.example.com Closing");
  go.set_value();
  EXPECT_EQ(past_dot->Line().substr(0, 18), "250 2.0.0 Accepted");
  EXPECT_EQ(past_dot->Line(), "421 4.3.2 mx.example.com Closing");
}

// Row 26: memory is short.
TEST_F(WorkerTest, IdleSessionsEndLongestIdleFirstAndTransactionsAreNotCut) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port());
  const uint16_t port = Listen();
  auto busy = Dial(port);
  Begin(*busy);
  Envelope(*busy);
  auto first = Dial(port);
  Begin(*first);
  auto second = Dial(port);
  Begin(*second);
  auto third = Dial(port);
  Begin(*third);
  EXPECT_EQ(Command(*first, "NOOP").substr(0, 3), "250");  // now it is the last
  // What is done on the worker after a reply was seen finds its session waiting.
  const auto end_idle = [&](size_t most) { return worker_.Do([&] { return worker_.EndIdle(most); }); };
  EXPECT_EQ(end_idle(0), 0u);
  EXPECT_EQ(end_idle(2), 2u);
  EXPECT_EQ(second->Line(), "421 4.3.2 mx.example.com Closing");
  EXPECT_EQ(second->Line(), "") << "closed at once, though the client has not closed";
  EXPECT_EQ(third->Line(), "421 4.3.2 mx.example.com Closing");
  EXPECT_EQ(Command(*first, "NOOP").substr(0, 3), "250");
  EXPECT_EQ(end_idle(100), 1u);
  EXPECT_EQ(first->Line(), "421 4.3.2 mx.example.com Closing");
  EXPECT_EQ(end_idle(100), 0u);
  EXPECT_EQ(Command(*busy, "DATA").substr(0, 3), "354");
  EXPECT_EQ(end_idle(100), 0u);
  EXPECT_EQ(Command(*busy, "x: y\r\n\r\n.").substr(0, 18), "250 2.0.0 Accepted");
  EXPECT_EQ(Command(*busy, "NOOP").substr(0, 3), "250") << "what was not idle then goes on";
}

TEST_F(WorkerTest, RevokedLoginEndsBetweenTransactions) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port());
  const uint16_t port = Listen();
  auto alice = Dial(port);
  Begin(*alice);
  EXPECT_EQ(Command(*alice, "AUTH PLAIN AGEAYg==").substr(0, 3), "235");
  auto other = Dial(port);
  Begin(*other);
  worker_.Do([&] { worker_.Revoke("users/alice", clock_.WallNow() + 1s); });
  EXPECT_EQ(alice->Line(), "421 4.7.0 mx.example.com Login revoked");
  EXPECT_EQ(Command(*other, "NOOP").substr(0, 3), "250");
  EXPECT_EQ(auth_.last.virtual_server, "virtualServers/a");
  EXPECT_EQ(auth_.last.address, "127.0.0.1");
  EXPECT_FALSE(auth_.last.tls.active);
}

TEST_F(WorkerTest, RevocationBeforeTheLoginDoesNotConcernIt) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port());
  auto alice = Dial(Listen());
  Begin(*alice);
  const base::WallTime before = clock_.WallNow() - 1s;
  EXPECT_EQ(Command(*alice, "AUTH PLAIN AGEAYg==").substr(0, 3), "235");
  worker_.Do([&] { worker_.Revoke("users/alice", before); });
  EXPECT_EQ(Command(*alice, "NOOP").substr(0, 3), "250");
}

// The limit, and one beyond.
TEST_F(WorkerTest, ConnectionsOfOneSourceAreLimited) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port(), "connection_limits { max_per_source: 2 }");
  const uint16_t port = Listen();
  auto first = Dial(port);
  Begin(*first);
  auto second = Dial(port);
  Begin(*second);
  auto third = Dial(port);
  EXPECT_EQ(third->Line(), "421 mx.example.com Too many connections");
  EXPECT_EQ(third->Line(), "");
}

// Row 26: of new connections, as of those beyond the limit.
TEST_F(WorkerTest, ClosedBudgetTurnsNewConnectionsAwayAndKeepsSessions) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port());
  const uint16_t port = Listen();
  auto client = Dial(port);
  Begin(*client);
  clients_.Close(true);
  auto beyond = Dial(port);
  EXPECT_EQ(beyond->Line(), "421 mx.example.com Too many connections");
  EXPECT_EQ(beyond->Line(), "");
  EXPECT_EQ(Command(*client, "NOOP").substr(0, 3), "250");
  clients_.Close(false);
  Begin(*Dial(port));
}

TEST_F(WorkerTest, ConnectionsOfTheEdgeAreLimited) {
  FakeUpstream upstream(Willing);
  Adopt(1, upstream.port(), "connection_limits { max_per_source: 0 }");
  const uint16_t port = Listen();
  std::vector<Budget::Lease> leases;
  while (clients_.used() + 1 < clients_.most()) leases.push_back(clients_.TryAcquire());
  auto last = Dial(port);
  Begin(*last);
  auto beyond = Dial(port);
  EXPECT_EQ(beyond->Line(), "421 mx.example.com Too many connections");
}

}  // namespace
}  // namespace gatepost::edge
