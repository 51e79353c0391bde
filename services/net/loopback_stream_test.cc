#include "services/net/loopback_stream.h"

#include <gtest/gtest.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "services/base/fake_clock.h"

namespace gatepost::net {
namespace {

using std::chrono::seconds;

class LoopbackStreamTest : public testing::Test {
 protected:
  asio::io_context context_{1};
  base::FakeClock clock_;
  LoopbackStream::Pair pair_ =
      LoopbackStream::Make(context_.get_executor(), clock_, *base::Endpoint::Parse("192.0.2.1:1025"), *base::Endpoint::Parse("192.0.2.2:25"));
  LoopbackStream& client_ = *pair_.first;
  LoopbackStream& server_ = *pair_.second;

  // Until nothing more happens by itself.
  void Poll() {
    context_.restart();
    context_.poll();
  }
  std::optional<std::error_code>& Write(LoopbackStream& stream, std::string text) {
    written_.reset();
    asio::co_spawn(
        context_,
        [](Stream& to, std::string octets, std::optional<std::error_code>* out) -> asio::awaitable<void> {
          const std::array<std::string_view, 1> pieces{octets};
          const std::error_code error = co_await to.Write(pieces);
          *out = error;
        }(stream, std::move(text), &written_),
        asio::detached);
    Poll();
    return written_;
  }
  // Reads until there is an error; `pieces_` is what came.
  void Read(LoopbackStream& stream) {
    pieces_.clear();
    ended_.reset();
    asio::co_spawn(
        context_,
        [](Stream& from, std::vector<std::string>* pieces, std::optional<std::error_code>* out) -> asio::awaitable<void> {
          std::array<char, 8> space;
          for (;;) {
            const IoResult result = co_await from.ReadSome(space);
            if (result.ec) {
              *out = result.ec;
              co_return;
            }
            pieces->emplace_back(space.data(), result.n);
          }
        }(stream, &pieces_, &ended_),
        asio::detached);
    Poll();
  }
  std::optional<std::error_code> written_;
  std::optional<std::error_code> ended_;
  std::vector<std::string> pieces_;
};

TEST_F(LoopbackStreamTest, OctetsArriveAndTheEndIsEof) {
  EXPECT_EQ(client_.peer(), server_.local());
  EXPECT_FALSE(server_.ReadableNow());
  EXPECT_FALSE(*Write(client_, "EHLO x\r\nQUIT\r\n"));
  EXPECT_TRUE(server_.ReadableNow());
  Read(server_);
  EXPECT_EQ(pieces_, (std::vector<std::string>{"EHLO x\r\n", "QUIT\r\n"}));
  EXPECT_FALSE(ended_);
  client_.Close();
  Poll();
  EXPECT_EQ(ended_, asio::error::eof);
  EXPECT_EQ(*Write(server_, "x"), std::errc::broken_pipe);
}

TEST_F(LoopbackStreamTest, ReadsAreAsShortAsAskedFor) {
  server_.SetReadFaults({.most_per_read = 1});
  Write(client_, "abc");
  Read(server_);
  EXPECT_EQ(pieces_, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(LoopbackStreamTest, AResetOrATruncationComesAtItsOctet) {
  server_.SetReadFaults({.reset_at = 3});
  Write(client_, "abcdef");
  Read(server_);
  EXPECT_EQ(pieces_, std::vector<std::string>{"abc"});
  EXPECT_EQ(ended_, std::errc::connection_reset);
  server_.SetReadFaults({.truncate_at = 5});
  Read(server_);
  EXPECT_EQ(pieces_, std::vector<std::string>{"de"});
  EXPECT_EQ(ended_, StreamError::kTruncated);
}

TEST_F(LoopbackStreamTest, AStallHoldsEverythingUntilItIsLifted) {
  server_.SetReadFaults({.stall_at = 2});
  Write(client_, "abc");
  client_.Close();
  Read(server_);
  EXPECT_EQ(pieces_, std::vector<std::string>{"ab"});
  EXPECT_FALSE(ended_);
  server_.SetReadFaults({});
  Poll();
  EXPECT_EQ(pieces_, (std::vector<std::string>{"ab", "c"}));
  EXPECT_EQ(ended_, asio::error::eof);
}

TEST_F(LoopbackStreamTest, DeadlinesFollowTheClockThatIsGiven) {
  server_.SetReadDeadline(clock_.Now() + seconds(10));
  Read(server_);
  clock_.Advance(seconds(9));
  server_.CheckDeadlines();
  Poll();
  EXPECT_FALSE(ended_);
  clock_.Advance(seconds(1));
  server_.CheckDeadlines();
  Poll();
  EXPECT_EQ(ended_, std::errc::timed_out);
}

TEST_F(LoopbackStreamTest, AWriterWaitsForRoomAndByItsDeadline) {
  server_.SetReadFaults({.capacity = 4});
  client_.SetWriteDeadline(clock_.Now() + seconds(10));
  Write(client_, "abcdef");
  EXPECT_FALSE(written_);
  Read(server_);
  EXPECT_EQ(pieces_, (std::vector<std::string>{"abcd", "ef"}));
  EXPECT_EQ(written_, std::error_code());
  server_.SetReadFaults({.stall_at = 0, .capacity = 4});
  Write(client_, "abcdef");
  clock_.Advance(seconds(10));
  client_.CheckDeadlines();
  Poll();
  EXPECT_EQ(written_, std::errc::timed_out);
}

TEST_F(LoopbackStreamTest, AnInterruptEndsTheReadThatWaitsAndNothingElse) {
  server_.Interrupt();  // nothing waits
  Read(server_);
  EXPECT_FALSE(ended_);
  server_.Interrupt();
  Poll();
  EXPECT_EQ(ended_, asio::error::operation_aborted);
  Write(client_, "x");
  Read(server_);
  EXPECT_EQ(pieces_, std::vector<std::string>{"x"});
  pair_.second->Close();
  Poll();
  EXPECT_EQ(ended_, asio::error::operation_aborted);
}

}  // namespace
}  // namespace gatepost::net
