// threats: U2. limits: a reply of the next hop (4 KiB, 50 lines), its text (400 octets).
#include "services/smtp/reply_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace gatepost::smtp {
namespace {

using Status = ReplyResult::Status;

// The status of every proper prefix is kNeedMore, or already kMalformed: a result never changes when more comes.
Status Parse(const std::string& octets, UpstreamReply* reply, size_t* consumed = nullptr) {
  const ReplyResult whole = ParseReply(octets, reply);
  for (size_t size = 0; size < octets.size(); ++size) {
    UpstreamReply part;
    const ReplyResult result = ParseReply(std::string_view(octets).substr(0, size), &part);
    if (result.status == Status::kNeedMore) continue;
    EXPECT_EQ(result.status, whole.status) << size << " octets of " << octets;
    EXPECT_EQ(result.consumed, whole.consumed);
    if (whole.status == Status::kReply) EXPECT_EQ(part, *reply);
  }
  if (consumed != nullptr) *consumed = whole.consumed;
  return whole.status;
}

Status StatusOf(const std::string& octets) {
  UpstreamReply reply;
  return Parse(octets, &reply);
}

TEST(ReplyReader, ReadsOneLine) {
  UpstreamReply reply;
  size_t consumed = 0;
  ASSERT_EQ(Parse("250 2.1.5 Ok\r\n354 go", &reply, &consumed), Status::kReply);
  EXPECT_EQ(consumed, 14u);
  EXPECT_EQ(reply.code, 250);
  EXPECT_EQ(reply.enhanced(), "2.1.5");
  EXPECT_EQ(reply.text(), "Ok");
}

TEST(ReplyReader, ReadsSeveralLines) {
  UpstreamReply reply;
  ASSERT_EQ(Parse("550-5.7.1 No\r\n550-5.7.1\r\n550 5.7.1 mail\r\n", &reply), Status::kReply);
  EXPECT_EQ(reply.lines.size(), 3u);
  EXPECT_EQ(reply.enhanced(), "5.7.1");
  EXPECT_EQ(reply.text(), "No mail");
}

TEST(ReplyReader, ACodeAloneIsAReply) {
  UpstreamReply reply;
  ASSERT_EQ(Parse("250\r\n", &reply), Status::kReply);
  EXPECT_EQ(reply.text(), "");
  ASSERT_EQ(Parse("250-a\r\n250\r\n", &reply), Status::kReply);
  EXPECT_EQ(reply.lines.size(), 2u);
  ASSERT_EQ(Parse("250 \r\n", &reply), Status::kReply);
}

TEST(ReplyReader, RefusesWhatIsNoReply) {
  for (const char* octets :
       {"x", "150 a\r\n", "650 a\r\n", "260 a\r\n", "25x a\r\n", "25\r\n", "\r\n", "250a\r\n", "250\ta\r\n", "250 a\n",
        "250 a\rb\r\n", "250 a\x01\r\n", "250 a\x7f\r\n", "250-a\r\n251 b\r\n", "250-a\r\n550 b\r\n", "250-a\r\n\r\n",
        " 250 a\r\n", "250-a\r\n 250 b\r\n", "HTTP/1.1 200 OK\r\n"}) {
    EXPECT_EQ(StatusOf(octets), Status::kMalformed) << octets;
  }
  EXPECT_EQ(StatusOf(std::string("250 a\0b\r\n", 9)), Status::kMalformed);
}

TEST(ReplyReader, AReplyHas4096OctetsAtMost) {
  UpstreamReply reply;
  EXPECT_EQ(ParseReply("250 " + std::string(4096 - 6, 'x') + "\r\n", &reply).status, Status::kReply);
  EXPECT_EQ(ParseReply("250 " + std::string(4096 - 5, 'x') + "\r\n", &reply).status, Status::kMalformed);
  EXPECT_EQ(ParseReply(std::string("250 ") + std::string(4091, 'x'), &reply).status, Status::kNeedMore);
  EXPECT_EQ(ParseReply(std::string("250 ") + std::string(4092, 'x'), &reply).status, Status::kMalformed);
  EXPECT_EQ(ParseReply(std::string("250 ") + std::string(10 << 20, 'x'), &reply).status, Status::kMalformed);
}

TEST(ReplyReader, AReplyHas50LinesAtMost) {
  std::string lines;
  for (int i = 0; i < 49; ++i) lines += "250-a\r\n";
  EXPECT_EQ(StatusOf(lines + "250 a\r\n"), Status::kReply);
  EXPECT_EQ(StatusOf(lines + "250-a\r\n"), Status::kMalformed);
}

TEST(ReplyReader, EnhancedCodesCountOnlyInTheReplysClass) {
  const auto enhanced = [](const std::string& line) {
    UpstreamReply reply;
    EXPECT_EQ(Parse(line + "\r\n", &reply), Status::kReply);
    return reply.enhanced();
  };
  EXPECT_EQ(enhanced("550 5.1.1 x"), "5.1.1");
  EXPECT_EQ(enhanced("550 5.111.999"), "5.111.999");
  EXPECT_EQ(enhanced("550 4.1.1 x"), "");
  EXPECT_EQ(enhanced("550 5.1111.1 x"), "");
  EXPECT_EQ(enhanced("550 5.1. x"), "");
  EXPECT_EQ(enhanced("550 5..1 x"), "");
  EXPECT_EQ(enhanced("550 5.1.1x"), "");
  EXPECT_EQ(enhanced("550 5.1.1.1 x"), "");
  EXPECT_EQ(enhanced("550 no"), "");
}

TEST(ReplyReader, TextIsPassedOnWhenPrintableAndShort) {
  UpstreamReply reply;
  ASSERT_EQ(Parse("550 5.1.1 caf\xc3\xa9\r\n", &reply), Status::kReply);
  EXPECT_EQ(reply.text(), "");
  ASSERT_EQ(Parse("550 5.1.1 a\tb\r\n", &reply), Status::kReply);
  EXPECT_EQ(reply.text(), "");
  ASSERT_EQ(Parse("550 5.1.1 " + std::string(400, 'x') + "\r\n", &reply), Status::kReply);
  EXPECT_EQ(reply.text(), std::string(400, 'x'));
  ASSERT_EQ(Parse("550 5.1.1 " + std::string(401, 'x') + "\r\n", &reply), Status::kReply);
  EXPECT_EQ(reply.text(), "");
  ASSERT_EQ(Parse("550 4.0.0 other class\r\n", &reply), Status::kReply);
  EXPECT_EQ(reply.text(), "4.0.0 other class");
}

}  // namespace
}  // namespace gatepost::smtp
