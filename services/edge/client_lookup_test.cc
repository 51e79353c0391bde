#include "services/edge/client_lookup.h"

#include <gtest/gtest.h>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/base/fake_clock.h"
#include "services/base/strings.h"

namespace gatepost::edge {
namespace {

using net::DnsOutcome;
using net::DnsReply;
using net::DnsType;
using policy::BlockListing;
using policy::ClientName;
using std::chrono::seconds;

base::IpAddress Address(std::string_view text) { return *base::IpAddress::Parse(text); }

// Answers from a table; what is not in it does not exist. Keeps what it was asked, and by when.
class FakeDns final : public net::Dns {
 public:
  asio::awaitable<std::vector<DnsReply>> Ask(std::vector<net::DnsQuestion> questions,
                                             base::MonotonicTime deadline) override {
    deadlines.push_back(deadline);
    std::vector<DnsReply> replies;
    for (const net::DnsQuestion& question : questions) {
      asked.push_back(question.name);
      const auto found = table.find({question.name, question.type});
      DnsReply& reply = replies.emplace_back();
      reply.outcome = DnsOutcome::kNone;
      if (found != table.end()) reply = found->second;
    }
    clock->Advance(seconds(1));
    if (hold != nullptr) {
      std::error_code cancelled;
      co_await hold->async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    co_return replies;
  }
  void Names(const std::string& question, std::vector<std::string> names, bool more = false) {
    DnsReply& reply = table[{question, DnsType::kPtr}];
    reply.outcome = DnsOutcome::kAnswered;
    reply.records.names = std::move(names);
    reply.records.more = more;
  }
  void Addresses(const std::string& question, const std::vector<std::string>& addresses) {
    for (const std::string& text : addresses) {
      const base::IpAddress address = Address(text);
      DnsReply& reply = table[{question, address.is_v4() ? DnsType::kA : DnsType::kAaaa}];
      reply.outcome = DnsOutcome::kAnswered;
      reply.records.addresses.push_back(address);
    }
  }
  void Fails(const std::string& question, DnsType type, DnsOutcome outcome = DnsOutcome::kFailed) {
    table[{question, type}].outcome = outcome;
  }

  base::FakeClock* clock = nullptr;
  std::map<std::pair<std::string, DnsType>, DnsReply> table;
  std::vector<std::string> asked;
  std::vector<base::MonotonicTime> deadlines;
  asio::steady_timer* hold = nullptr;  // not nullptr: answers wait until it is cancelled
};

class ClientLookupTest : public testing::Test {
 protected:
  ClientLookupTest() { dns_.clock = &clock_; }

  template <typename T>
  T Run(asio::awaitable<T> what) {
    std::optional<T> result;
    asio::io_context context(1);
    asio::co_spawn(context, std::move(what), [&result](std::exception_ptr, T value) { result = std::move(value); });
    context.run();
    return *std::move(result);
  }
  ClientName Name(std::string_view address) { return Run(lookup_.FindName(Address(address), seconds(3), metrics_)); }
  BlockListing Listing(std::string_view address, const std::vector<policy::BlockList>& lists) {
    return Run(lookup_.FindListing(Address(address), lists, seconds(3), metrics_));
  }
  void ExpectName(ClientName::State state, const std::vector<std::string>& names = {}) {
    const ClientName name = Name("192.0.2.1");
    EXPECT_EQ(name.state, state);
    EXPECT_EQ(name.names, names);
  }

  const std::string reverse_ = "1.2.0.192.in-addr.arpa";
  base::FakeClock clock_;
  FakeDns dns_;
  metrics::Registry registry_;
  ServerMetrics metrics_{registry_, "a"};
  DnsClientLookup lookup_{dns_, clock_};
};

TEST_F(ClientLookupTest, ANameThatResolvesBackIsConfirmed) {
  dns_.Names(reverse_, {"mail.example", "liar.example"});
  dns_.Addresses("mail.example", {"198.51.100.1", "192.0.2.1"});
  dns_.Addresses("liar.example", {"198.51.100.1"});
  ExpectName(ClientName::State::kConfirmed, {"mail.example"});
}

TEST_F(ClientLookupTest, AnIPv6AddressIsConfirmedByAaaaAlone) {
  dns_.Names(net::ReverseName(Address("2001:db8::1")), {"mail.example"});
  dns_.Addresses("mail.example", {"192.0.2.1", "2001:db8::1"});
  EXPECT_EQ(Name("2001:db8::1").names, std::vector<std::string>{"mail.example"});
}

// threats.md I4: who owns a reverse zone that does not answer must not use up what everybody asks with.
TEST_F(ClientLookupTest, LookUpsOfOneIpv6NetworkAreBounded) {
  asio::io_context context(1);
  asio::steady_timer hold(context, asio::steady_timer::time_point::max());
  dns_.hold = &hold;
  int failed = 0;
  int waiting = 0;
  const auto start = [&](const std::string& address) {
    ++waiting;
    asio::co_spawn(context, lookup_.FindName(Address(address), seconds(3), metrics_),
                   [&](std::exception_ptr, ClientName name) {
                     --waiting;
                     failed += name.state == ClientName::State::kFailed;
                   });
  };
  for (int i = 1; i <= 17; ++i) start(base::StrCat("2001:db8::", i));
  context.poll();
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(waiting, 16);
  start("2001:db8:0:1::1");
  for (int i = 0; i < 20; ++i) start("192.0.2.1");
  context.poll();
  EXPECT_EQ(failed, 1);
  hold.cancel();
  context.run();
  EXPECT_EQ(waiting, 0);
  dns_.hold = nullptr;
  EXPECT_EQ(Name("2001:db8::1").state, ClientName::State::kUnknown);
}

// threats.md I4.
TEST_F(ClientLookupTest, ANameThatDoesNotResolveBackIsUnknown) {
  dns_.Names(reverse_, {"trusted.example"});
  dns_.Addresses("trusted.example", {"198.51.100.1"});
  ExpectName(ClientName::State::kUnknown);
  dns_.table.erase({"trusted.example", DnsType::kA});
  ExpectName(ClientName::State::kUnknown);
}

TEST_F(ClientLookupTest, NoPtrIsUnknownAndNothingMoreIsAsked) {
  ExpectName(ClientName::State::kUnknown);
  EXPECT_EQ(dns_.asked, std::vector<std::string>{reverse_});
}

TEST_F(ClientLookupTest, MoreRecordsThanAreLookedAtAreNoName) {
  dns_.Names(reverse_, {"mail.example"}, /*more=*/true);
  dns_.Addresses("mail.example", {"192.0.2.1"});
  ExpectName(ClientName::State::kUnknown);
  EXPECT_EQ(dns_.asked.size(), 1u);
}

TEST_F(ClientLookupTest, TenNamesAreAskedBackAndNotOneMore) {
  std::vector<std::string> names;
  for (int i = 10; i < 21; ++i) {
    names.push_back(base::StrCat("h", i, ".example"));
    dns_.Addresses(names.back(), {"192.0.2.1"});
  }
  dns_.Names(reverse_, names);
  names.pop_back();
  ExpectName(ClientName::State::kConfirmed, names);
  EXPECT_EQ(dns_.asked.size(), 11u);
}

TEST_F(ClientLookupTest, AFailureIsNotUnknown) {
  for (const DnsOutcome outcome : {DnsOutcome::kFailed, DnsOutcome::kTimedOut}) {
    dns_.Fails(reverse_, DnsType::kPtr, outcome);
    ExpectName(ClientName::State::kFailed);
  }
  dns_.Names(reverse_, {"mail.example", "other.example"});
  dns_.Fails("mail.example", DnsType::kA);
  ExpectName(ClientName::State::kFailed);
  // Another name that is confirmed is as good as all.
  dns_.Addresses("other.example", {"192.0.2.1"});
  ExpectName(ClientName::State::kConfirmed, {"other.example"});
}

TEST_F(ClientLookupTest, OneDeadlineForAll) {
  dns_.Names(reverse_, {"mail.example"});
  const base::MonotonicTime start = clock_.Now();
  Name("192.0.2.1");
  EXPECT_EQ(dns_.deadlines, (std::vector<base::MonotonicTime>{start + seconds(3), start + seconds(3)}));
}

TEST_F(ClientLookupTest, TheFirstListThatHasTheAddressDecides) {
  const std::vector<policy::BlockList> lists{{"a.example", {}}, {"b.example", {}}, {"c.example", {}}};
  EXPECT_EQ(Listing("192.0.2.1", lists).state, BlockListing::State::kNotListed);
  dns_.Addresses("1.2.0.192.c.example", {"127.0.0.2"});
  dns_.Addresses("1.2.0.192.b.example", {"127.0.0.9"});
  BlockListing listing = Listing("192.0.2.1", lists);
  EXPECT_EQ(listing.state, BlockListing::State::kListed);
  EXPECT_EQ(listing.list, 1u);
  EXPECT_EQ(dns_.deadlines.size(), 2u);  // all at once, each time
  dns_.Fails("1.2.0.192.a.example", DnsType::kA);
  listing = Listing("192.0.2.1", lists);
  EXPECT_EQ(listing.state, BlockListing::State::kListed);
  EXPECT_EQ(listing.list, 1u);
}

TEST_F(ClientLookupTest, AListThatCannotBeAskedFailsUnlessAnotherHasTheAddress) {
  dns_.Fails("1.2.0.192.a.example", DnsType::kA, DnsOutcome::kTimedOut);
  EXPECT_EQ(Listing("192.0.2.1", {{"a.example", {}}, {"b.example", {}}}).state, BlockListing::State::kFailed);
}

TEST_F(ClientLookupTest, OnlyTheAnswersThatMeanListedDo) {
  dns_.Addresses("1.2.0.192.a.example", {"127.0.0.4"});
  EXPECT_EQ(Listing("192.0.2.1", {{"a.example", {Address("127.0.0.2")}}}).state, BlockListing::State::kNotListed);
  EXPECT_EQ(Listing("192.0.2.1", {{"a.example", {Address("127.0.0.2"), Address("127.0.0.4")}}}).state,
            BlockListing::State::kListed);
  // Whoever answers every name with an address of its own lists nobody.
  dns_.Addresses("1.2.0.192.b.example", {"198.51.100.1"});
  EXPECT_EQ(Listing("192.0.2.1", {{"b.example", {}}}).state, BlockListing::State::kNotListed);
  // How lists refuse to answer.
  dns_.Addresses("1.2.0.192.c.example", {"127.255.255.254"});
  EXPECT_EQ(Listing("192.0.2.1", {{"c.example", {}}}).state, BlockListing::State::kFailed);
}

TEST_F(ClientLookupTest, AnIPv6AddressIsAskedForByItsNibbles) {
  dns_.Addresses("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.a.example", {"127.0.0.2"});
  EXPECT_EQ(Listing("2001:db8::1", {{"a.example", {}}}).state, BlockListing::State::kListed);
}

}  // namespace
}  // namespace gatepost::edge
