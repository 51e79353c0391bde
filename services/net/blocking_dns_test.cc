#include "services/net/blocking_dns.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "services/net/dns_test_message.h"

namespace gatepost::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing_dns::kA;

// A socket on loopback to which questions come; it answers when it is told to.
class Responder {
 public:
  Responder() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&any), &size), 0);
    port_ = ntohs(any.sin_port);
  }
  ~Responder() { close(fd_); }

  DnsOptions Options() const {
    DnsOptions options;
    options.servers = {{*base::IpAddress::Parse("127.0.0.1"), port_}};
    return options;
  }
  // Blocks until a question is there; its sender and id are kept.
  void Receive() {
    char space[1500];
    size_ = sizeof from_;
    EXPECT_GE(recvfrom(fd_, space, sizeof space, 0, reinterpret_cast<sockaddr*>(&from_), &size_), 12);
    id_.assign(space, 2);
  }
  void Answer(std::string message) {
    message.replace(0, 2, id_);
    EXPECT_GT(sendto(fd_, message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&from_), size_), 0);
  }

 private:
  const int fd_;
  uint16_t port_ = 0;
  sockaddr_in from_{};
  socklen_t size_ = 0;
  std::string id_;
};

const std::string kAnswer =
    testing_dns::Answer("a.example", kA, {testing_dns::Record(testing_dns::Question(), kA, 60, testing_dns::V4(7))});

std::unique_ptr<BlockingDns> Start(const base::Clock& clock, const DnsOptions& options, size_t most_asking) {
  auto dns = StartBlockingDns(clock, options, most_asking);
  EXPECT_TRUE(dns.ok()) << dns.status();
  return *std::move(dns);
}

TEST(BlockingDnsTest, WhoAsksWaitsForTheReply) {
  const base::SystemClock clock;
  Responder responder;
  const auto dns = Start(clock, responder.Options(), 1);
  std::thread server([&] {
    responder.Receive();
    responder.Answer(kAnswer);
  });
  const auto replies = dns->Ask({{"a.example", DnsType::kA}}, clock.Now() + seconds(10));
  server.join();
  ASSERT_EQ(replies.size(), 1u);
  ASSERT_EQ(replies[0].outcome, DnsOutcome::kAnswered);
  EXPECT_EQ(replies[0].records.addresses[0].ToString(), "192.0.2.7");
  EXPECT_TRUE(dns->Ask({{"a.example", DnsType::kA}}, clock.Now() + seconds(10))[0].cached);
}

TEST(BlockingDnsTest, NobodyWaitsBeyondTheDeadline) {
  const base::SystemClock clock;
  const Responder silent;
  const auto dns = Start(clock, silent.Options(), 1);
  const auto before = clock.Now();
  const auto replies = dns->Ask({{"a.example", DnsType::kA}}, before + milliseconds(50));
  EXPECT_EQ(replies[0].outcome, DnsOutcome::kTimedOut);
  EXPECT_GE(clock.Now(), before + milliseconds(50));
}

TEST(BlockingDnsTest, TheLastThatMayAskIsAnsweredAndTheNextIsNot) {
  const base::SystemClock clock;
  Responder responder;
  const auto dns = Start(clock, responder.Options(), 1);
  std::thread asking([&] {
    EXPECT_EQ(dns->Ask({{"a.example", DnsType::kA}}, clock.Now() + seconds(30))[0].outcome, DnsOutcome::kAnswered);
  });
  responder.Receive();  // now one waits
  EXPECT_EQ(dns->Ask({{"b.example", DnsType::kA}}, clock.Now() + seconds(30))[0].outcome, DnsOutcome::kFailed);
  responder.Answer(kAnswer);
  asking.join();
}

TEST(BlockingDnsTest, TakingItDownWaitsForWhoAsks) {
  const base::SystemClock clock;
  Responder silent;
  auto dns = Start(clock, silent.Options(), 1);
  std::vector<DnsReply> replies;
  std::thread asking(
      [&, asked = dns.get()] { replies = asked->Ask({{"a.example", DnsType::kA}}, clock.Now() + milliseconds(200)); });
  silent.Receive();
  dns.reset();
  asking.join();
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].outcome, DnsOutcome::kTimedOut);
}

}  // namespace
}  // namespace gatepost::net
