#include "services/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "services/base/fake_clock.h"

namespace gatepost::base {
namespace {

// What a log writes into a pipe until it is gone.
class LogTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(pipe2(pipe_, O_CLOEXEC), 0); }
  void TearDown() override {
    close(pipe_[0]);
    if (pipe_[1] >= 0) close(pipe_[1]);
  }
  std::string ReadAll() {
    close(pipe_[1]);
    pipe_[1] = -1;
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = read(pipe_[0], buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(n));
    return all;
  }
  int pipe_[2];
  FakeClock clock_{WallTime(std::chrono::milliseconds(1'795'518'227'123))};
};

TEST_F(LogTest, WritesOneJsonLineForAnEvent) {
  {
    Log log(clock_, {.fd = pipe_[1]});
    log.Info("session_end", {{"session", "s1"}, {"messages", 2}, {"ok", true}, {"seconds", 0.5}});
  }
  EXPECT_EQ(ReadAll(),
            "{\"time\":\"2026-11-24T11:03:47.123Z\",\"level\":\"info\",\"event\":\"session_end\",\"session\":\"s1\","
            "\"messages\":2,\"ok\":true,\"seconds\":0.5}\n");
}

// threats.md M2.
TEST_F(LogTest, NothingLoggedCanForgeALine) {
  {
    Log log(clock_, {.fd = pipe_[1]});
    log.Info("x", {{"v", "\"} {\"level\":\"x\r\n\x1b[2J\x7f\xe2\x80\xa8\xff\xc2\x9b"}});
  }
  const std::string line = ReadAll();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  for (char c : line.substr(0, line.size() - 1)) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  EXPECT_NE(line.find("\\\"} {\\\"level\\\":\\\"x\\u000d\\u000a\\u001b[2J\\u007f\\u2028\\\\xff\\u009b"),
            std::string::npos)
      << line;
}

TEST_F(LogTest, CutsLongValues) {
  {
    Log log(clock_, {.fd = pipe_[1]});
    log.Info("x", {{"at", std::string(1024, 'a')}, {"beyond", std::string(1025, 'b')}});
  }
  const std::string line = ReadAll();
  EXPECT_NE(line.find("\"" + std::string(1024, 'a') + "\""), std::string::npos);
  EXPECT_NE(line.find("\"" + std::string(1024, 'b') + "...\""), std::string::npos);
}

// failures.md F28: a blocked output drops and counts, and never blocks who logs, nor the log's end.
TEST_F(LogTest, ABlockedOutputDropsLinesAndCountsThem) {
  // Not an octet more fits into the pipe, and nobody reads it.
  ASSERT_EQ(fcntl(pipe_[1], F_SETFL, O_NONBLOCK), 0);
  const std::string filling(4096, '.');
  while (write(pipe_[1], filling.data(), filling.size()) > 0) {
  }
  ASSERT_EQ(errno, EAGAIN);
  ASSERT_EQ(fcntl(pipe_[1], F_SETFL, 0), 0);
  {
    Log log(clock_, {.fd = pipe_[1], .queue_octets = 1 << 16});
    // One queue waits, one more may be with the writer: 2 x 65,536 octets are fewer than 700 of these lines.
    for (int i = 0; i < 10'000; ++i) log.Info("x", {{"v", std::string(200, 'v')}});
    EXPECT_GT(log.dropped(), 9'000u);
  }
  EXPECT_EQ(ReadAll().find('{'), std::string::npos);
}

}  // namespace
}  // namespace gatepost::base
