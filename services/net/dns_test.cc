#include "services/net/dns.h"

#include <gtest/gtest.h>

#include <array>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <asio/read.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/base/fake_clock.h"
#include "services/base/strings.h"
#include "services/net/dns_cache.h"
#include "services/net/dns_test_message.h"
#include "services/net/resolver.h"

namespace gatepost::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing_dns::Answer;
using testing_dns::kA;
using testing_dns::Name;
using testing_dns::Question;
using testing_dns::Record;
using testing_dns::V4;

constexpr int kServfail = 2, kNxdomain = 3;

// A server on loopback, by UDP and TCP, that answers by script and on the test's own loop.
class ScriptedServer {
 public:
  struct Query {
    std::string name;
    uint16_t type;
    bool tcp;
  };
  // The answer, without the id of the query, or nothing at all.
  using Script = std::function<std::optional<std::string>(const Query& query)>;

  explicit ScriptedServer(asio::io_context& context) : udp_(context), acceptor_(context) {
    // One port for both; another program may have the one that we were given, so it is tried again.
    std::error_code error;
    do {
      udp_ = asio::ip::udp::socket(context, {asio::ip::address_v4::loopback(), 0});
      acceptor_ = asio::ip::tcp::acceptor(context, asio::ip::tcp::v4());
      acceptor_.set_option(asio::ip::tcp::acceptor::reuse_address(true));
      acceptor_.bind({asio::ip::address_v4::loopback(), udp_.local_endpoint().port()}, error);
    } while (error);
    acceptor_.listen();
    asio::co_spawn(context, ServeUdp(), asio::detached);
    asio::co_spawn(context, ServeTcp(), asio::detached);
  }

  base::Endpoint endpoint() const { return {*base::IpAddress::Parse("127.0.0.1"), udp_.local_endpoint().port()}; }
  void SetScript(Script script) { script_ = std::move(script); }
  int questions() const { return questions_; }
  void Close() {
    udp_.close();
    acceptor_.close();
  }

 private:
  static Query Parse(std::string_view octets, bool tcp) {
    std::string name;
    size_t at = 12;
    for (; octets[at] != 0; at += 1 + static_cast<size_t>(octets[at])) {
      if (!name.empty()) name.push_back('.');
      name += octets.substr(at + 1, static_cast<size_t>(octets[at]));
    }
    return {std::move(name), static_cast<uint16_t>(octets[at + 2]), tcp};
  }
  std::optional<std::string> Respond(std::string_view query, bool tcp) {
    ++questions_;
    std::optional<std::string> answer = script_(Parse(query, tcp));
    if (answer) answer->replace(0, 2, query.substr(0, 2));
    return answer;
  }
  asio::awaitable<void> ServeUdp() {
    std::array<char, 1500> space;
    for (;;) {
      asio::ip::udp::endpoint from;
      std::error_code error;
      const size_t n =
          co_await udp_.async_receive_from(asio::buffer(space), from, asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      const std::optional<std::string> answer = Respond({space.data(), n}, false);
      if (answer) udp_.send_to(asio::buffer(*answer), from, 0, error);
    }
  }
  asio::awaitable<void> ServeTcp() {
    for (;;) {
      std::error_code error;
      asio::ip::tcp::socket socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      std::array<unsigned char, 2> length;
      co_await asio::async_read(socket, asio::buffer(length), asio::redirect_error(asio::use_awaitable, error));
      std::string query(static_cast<size_t>(length[0] << 8 | length[1]), '\0');
      co_await asio::async_read(socket, asio::buffer(query), asio::redirect_error(asio::use_awaitable, error));
      if (error) continue;
      const std::optional<std::string> answer = Respond(query, true);
      if (!answer) continue;
      const std::string framed = testing_dns::Number16(answer->size()) + *answer;
      co_await asio::async_write(socket, asio::buffer(framed), asio::redirect_error(asio::use_awaitable, error));
    }
  }

  asio::ip::udp::socket udp_;
  asio::ip::tcp::acceptor acceptor_;
  Script script_ = [](const Query&) { return std::nullopt; };
  int questions_ = 0;
};

std::string WithCode(std::string answer, int code) {
  answer[3] = static_cast<char>((answer[3] & 0xf0) | code);
  return answer;
}

std::string OneAddress(const std::string& name, uint32_t ttl, int last = 1) {
  return Answer(name, kA, {Record(Question(), kA, ttl, V4(last))});
}

using Query = ScriptedServer::Query;

class DnsTest : public testing::Test {
 protected:
  void SetUp() override { Make({}); }
  void Make(DnsOptions options) {
    options.servers = {server_.endpoint()};
    auto dns = MakeDns(context_.get_executor(), clock_, options);
    ASSERT_TRUE(dns.ok()) << dns.status();
    dns_ = *std::move(dns);
  }

  // Asked now; the replies come as the loop runs.
  std::shared_ptr<std::optional<std::vector<DnsReply>>> Begin(std::vector<DnsQuestion> questions,
                                                              base::Duration wait = seconds(5)) {
    auto replies = std::make_shared<std::optional<std::vector<DnsReply>>>();
    asio::co_spawn(context_, Run(dns_.get(), std::move(questions), std::chrono::steady_clock::now() + wait, replies),
                   asio::detached);
    return replies;
  }
  static asio::awaitable<void> Run(Dns* dns, std::vector<DnsQuestion> questions, base::MonotonicTime deadline,
                                   std::shared_ptr<std::optional<std::vector<DnsReply>>> out) {
    *out = co_await dns->Ask(std::move(questions), deadline);
  }
  std::vector<DnsReply> Await(const std::shared_ptr<std::optional<std::vector<DnsReply>>>& replies) {
    while (!*replies) context_.run_one();
    return **replies;
  }
  std::vector<DnsReply> Ask(std::vector<DnsQuestion> questions, base::Duration wait = seconds(5)) {
    return Await(Begin(std::move(questions), wait));
  }

  asio::io_context context_{1};
  ScriptedServer server_{context_};
  base::FakeClock clock_;
  std::unique_ptr<Dns> dns_;
};

TEST_F(DnsTest, RepliesComeInTheOrderOfTheQuestions) {
  server_.SetScript([](const Query& query) -> std::optional<std::string> {
    if (query.name == "one.example") return OneAddress(query.name, 60, 1);
    if (query.name == "two.example") return OneAddress(query.name, 60, 2);
    if (query.name == "none.example") return WithCode(Answer(query.name, kA, {}), kNxdomain);
    if (query.name == "empty.example") return Answer(query.name, kA, {});
    return WithCode(Answer(query.name, kA, {}), kServfail);
  });
  const std::vector<DnsReply> replies =
      Ask({{"two.example"}, {"fail.example"}, {"one.example"}, {"none.example"}, {"empty.example"}, {"One.Example"}});
  ASSERT_EQ(replies.size(), 6u);
  EXPECT_EQ(replies[0].records.addresses.at(0).ToString(), "192.0.2.2");
  EXPECT_EQ(replies[1].outcome, DnsOutcome::kFailed);
  EXPECT_EQ(replies[2].records.addresses.at(0).ToString(), "192.0.2.1");
  EXPECT_EQ(replies[3].outcome, DnsOutcome::kNone);
  EXPECT_EQ(replies[4].outcome, DnsOutcome::kNone);
  EXPECT_EQ(replies[5].records.addresses, replies[2].records.addresses);
}

TEST_F(DnsTest, NoQuestionsNoWaiting) { EXPECT_TRUE(Ask({}).empty()); }

TEST_F(DnsTest, AnAnswerIsKeptForItsTtl) {
  server_.SetScript([](const Query& query) { return OneAddress(query.name, 60); });
  EXPECT_FALSE(Ask({{"a.example"}})[0].cached);
  clock_.Advance(seconds(60) - milliseconds(1));
  const DnsReply kept = Ask({{"A.example"}})[0];
  EXPECT_TRUE(kept.cached);
  EXPECT_EQ(kept.outcome, DnsOutcome::kAnswered);
  EXPECT_EQ(server_.questions(), 1);
  clock_.Advance(milliseconds(1));
  EXPECT_FALSE(Ask({{"a.example"}})[0].cached);
  EXPECT_EQ(server_.questions(), 2);
}

TEST_F(DnsTest, ATtlIsNeitherTooShortNorTooLong) {
  server_.SetScript(
      [](const Query& query) { return OneAddress(query.name, query.name == "short.example" ? 0 : 1'000'000); });
  Ask({{"short.example"}, {"long.example"}});
  clock_.Advance(seconds(5) - milliseconds(1));
  EXPECT_TRUE(Ask({{"short.example"}})[0].cached);
  clock_.Advance(milliseconds(1));
  EXPECT_FALSE(Ask({{"short.example"}})[0].cached);
  clock_.Advance(seconds(3595) - milliseconds(1));
  EXPECT_TRUE(Ask({{"long.example"}})[0].cached);
  clock_.Advance(milliseconds(1));
  EXPECT_FALSE(Ask({{"long.example"}})[0].cached);
}

TEST_F(DnsTest, ThatThereIsNothingIsKeptTooButAFailureIsNot) {
  server_.SetScript([](const Query& query) -> std::optional<std::string> {
    return WithCode(Answer(query.name, kA, {}), query.name == "none.example" ? kNxdomain : kServfail);
  });
  Ask({{"none.example"}, {"fail.example"}});
  const std::vector<DnsReply> again = Ask({{"none.example"}, {"fail.example"}});
  EXPECT_TRUE(again[0].cached);
  EXPECT_EQ(again[0].outcome, DnsOutcome::kNone);
  EXPECT_FALSE(again[1].cached);
  clock_.Advance(seconds(60));
  EXPECT_FALSE(Ask({{"none.example"}})[0].cached);
}

TEST_F(DnsTest, SilenceEndsAtTheDeadlineAndALateAnswerIsKept) {
  bool silent = true;
  server_.SetScript([&silent](const Query& query) -> std::optional<std::string> {
    if (silent) return std::nullopt;
    return OneAddress(query.name, 60);
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Ask({{"a.example"}}, milliseconds(100))[0].outcome, DnsOutcome::kTimedOut);
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(1));
  EXPECT_EQ(server_.questions(), 1);
  silent = false;
  // The second try, a second after the first, answers this one as well.
  EXPECT_EQ(Ask({{"a.example"}})[0].outcome, DnsOutcome::kAnswered);
  EXPECT_EQ(server_.questions(), 2);
  EXPECT_TRUE(Ask({{"a.example"}})[0].cached);
}

TEST_F(DnsTest, OneOfManyThatIsSilentCostsTheOthersNothing) {
  server_.SetScript([](const Query& query) -> std::optional<std::string> {
    if (query.name == "silent.example") return std::nullopt;
    return OneAddress(query.name, 60);
  });
  const std::vector<DnsReply> replies = Ask({{"silent.example"}, {"a.example"}}, milliseconds(100));
  EXPECT_EQ(replies[0].outcome, DnsOutcome::kTimedOut);
  EXPECT_EQ(replies[1].outcome, DnsOutcome::kAnswered);
}

TEST_F(DnsTest, EqualQuestionsOnTheirWayAreAskedOnce) {
  server_.SetScript([](const Query& query) { return OneAddress(query.name, 60); });
  const auto first = Begin({{"a.example"}});
  const auto second = Begin({{"A.EXAMPLE"}, {"a.example"}});
  EXPECT_EQ(Await(first)[0].outcome, DnsOutcome::kAnswered);
  EXPECT_EQ(Await(second)[1].outcome, DnsOutcome::kAnswered);
  EXPECT_EQ(server_.questions(), 1);
}

TEST_F(DnsTest, AtMostSoManyAreOnTheirWay) {
  DnsOptions options;
  options.most_in_flight = 2;
  Make(options);
  const std::vector<DnsReply> replies =
      Ask({{"a.example"}, {"b.example"}, {"c.example"}, {"a.example"}}, milliseconds(50));
  EXPECT_EQ(replies[0].outcome, DnsOutcome::kTimedOut);
  EXPECT_EQ(replies[1].outcome, DnsOutcome::kTimedOut);
  EXPECT_EQ(replies[2].outcome, DnsOutcome::kFailed);
  EXPECT_EQ(replies[3].outcome, DnsOutcome::kTimedOut);
}

TEST_F(DnsTest, ATruncatedAnswerIsAskedForAgainByTcp) {
  server_.SetScript([](const Query& query) {
    std::string answer = query.tcp ? OneAddress(query.name, 60) : Answer(query.name, kA, {});
    if (!query.tcp) answer[2] = static_cast<char>(answer[2] | 0x02);
    return answer;
  });
  EXPECT_EQ(Ask({{"a.example"}})[0].outcome, DnsOutcome::kAnswered);
}

TEST_F(DnsTest, AnAnswerThatIsNoneFails) {
  server_.SetScript([](const Query& query) { return Answer(query.name, kA, {Record(Question(), kA, 60, "abc")}); });
  EXPECT_EQ(Ask({{"a.example"}})[0].outcome, DnsOutcome::kFailed);
}

TEST_F(DnsTest, ANameThatCannotBeAskedForIsNone) {
  EXPECT_EQ(Ask({{std::string(64, 'a') + ".example"}})[0].outcome, DnsOutcome::kNone);
  EXPECT_EQ(Ask({{"a..example"}})[0].outcome, DnsOutcome::kNone);
  EXPECT_EQ(server_.questions(), 0);
}

TEST_F(DnsTest, WhoWaitsIsToldWhenItGoes) {
  const auto replies = Begin({{"a.example"}});
  while (server_.questions() == 0) context_.run_one();
  dns_.reset();
  EXPECT_EQ(Await(replies)[0].outcome, DnsOutcome::kFailed);
}

TEST_F(DnsTest, AServerThatIsNotThereFailsAtOnce) {
  DnsOptions options;
  {
    ScriptedServer gone(context_);
    options.servers = {gone.endpoint()};
    context_.poll();
    gone.Close();
    context_.poll();
  }
  auto dns = MakeDns(context_.get_executor(), clock_, options);
  ASSERT_TRUE(dns.ok()) << dns.status();
  dns_ = *std::move(dns);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Ask({{"a.example"}})[0].outcome, DnsOutcome::kFailed);
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(900));
}

class ResolverTest : public DnsTest {
 protected:
  void SetUp() override {
    auto resolver = MakeResolver(context_.get_executor(), clock_, {server_.endpoint()});
    ASSERT_TRUE(resolver.ok()) << resolver.status();
    resolver_ = *std::move(resolver);
  }
  using Found = absl::StatusOr<std::vector<base::IpAddress>>;
  Found Resolve(std::string host, base::Duration wait = seconds(5)) {
    std::optional<Found> found;
    asio::co_spawn(context_, resolver_->Resolve(std::move(host), std::chrono::steady_clock::now() + wait),
                   [&found](std::exception_ptr, Found result) { found = std::move(result); });
    while (!found) context_.run_one();
    return *std::move(found);
  }

  std::unique_ptr<Resolver> resolver_;
};

// requirements.md R5.
TEST_F(ResolverTest, ANextHopsNameIsAskedOfTheServersGiven) {
  server_.SetScript([](const Query& query) -> std::optional<std::string> {
    // As it is: the search list is the system's.
    if (query.name == "mx" && query.type == kA) return OneAddress(query.name, 60, 7);
    return WithCode(Answer(query.name, query.type, {}), kNxdomain);
  });
  const Found found = Resolve("mx");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->front().ToString(), "192.0.2.7");
  EXPECT_TRUE(absl::IsNotFound(Resolve("other").status()));
}

// failures.md 22: what was true before is better than nothing.
TEST_F(ResolverTest, AnAddressThatWasKnownStaysInUseWhenDnsFails) {
  enum class Mood { kWell, kFailing, kSilent } mood = Mood::kWell;
  server_.SetScript([&mood](const Query& query) -> std::optional<std::string> {
    if (mood == Mood::kSilent) return std::nullopt;
    if (mood == Mood::kFailing) return WithCode(Answer(query.name, query.type, {}), kServfail);
    return query.type == kA ? OneAddress(query.name, 60) : Answer(query.name, query.type, {});
  });
  ASSERT_TRUE(Resolve("mx.example").ok());
  clock_.Advance(std::chrono::hours(24));
  for (const Mood bad : {Mood::kFailing, Mood::kSilent}) {
    mood = bad;
    const Found found = Resolve("mx.example", milliseconds(200));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->front().ToString(), "192.0.2.1");
    EXPECT_FALSE(Resolve("new.example", milliseconds(200)).ok());
  }
}

TEST(DnsCacheTest, TheLeastRecentlyUsedGoesBeyondEitherBound) {
  const base::MonotonicTime now{};
  const base::MonotonicTime later = now + seconds(1);
  DnsCache<int> cache({3, 100});
  cache.Keep("a", 1, 10, later);
  cache.Keep("b", 2, 10, later);
  cache.Keep("c", 3, 10, later);
  EXPECT_NE(cache.FindFresh("a", now), nullptr);
  cache.Keep("d", 4, 10, later);
  EXPECT_EQ(cache.FindFresh("b", now), nullptr);
  EXPECT_NE(cache.FindFresh("a", now), nullptr);
  cache.Keep("e", 5, 77, later);  // 78 with its key: "d" and "a" of 11 each are as much as fits
  EXPECT_EQ(cache.size(), 3u);
  cache.Keep("e", 5, 78, later);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.FindFresh("e", later), nullptr);
  EXPECT_NE(cache.FindAny("e"), nullptr);
  cache.Keep("f", 6, 1000, later);  // more than there is room for
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace gatepost::net
