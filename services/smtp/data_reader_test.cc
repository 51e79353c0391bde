// threats: S1, S2, S3, S4 (the blank), D5 (a 10 MiB line), M1 (counting), P4 (text lines).
#include "services/smtp/data_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "services/smtp/reference_reader.h"

namespace gatepost::smtp {
namespace {

struct Outcome {
  bool ended = false;
  size_t consumed = 0;
  std::string body;
  BodyDefect defect = BodyDefect::kNone;
  uint64_t octets = 0;
  int received_fields = 0;
};

// Reads `octets` as they come from a socket: each piece behind what the reader left of the ones before.
Outcome Read(std::string_view octets, const std::function<size_t()>& next_size) {
  DataReader reader;
  Outcome outcome;
  std::string pending;
  size_t given = 0;
  while (given < octets.size() && !outcome.ended) {
    const size_t size = std::min(next_size(), octets.size() - given);
    pending.append(octets.substr(given, size));
    given += size;
    DataReader::Result result;
    do {
      result = reader.Next(pending);
      EXPECT_LE(result.body.size(), result.consumed);
      EXPECT_LE(pending.size() - result.consumed, result.ended || result.dot_dropped ? pending.size() : 2u);
      EXPECT_EQ(result.body, pending.substr(0, result.body.size())) << "the body is a prefix of what was given";
      outcome.body.append(result.body);
      outcome.consumed += result.consumed;
      outcome.ended = result.ended;
      pending.erase(0, result.consumed);
    } while (result.dot_dropped && !pending.empty());
  }
  outcome.defect = reader.defect();
  outcome.octets = reader.octets();
  outcome.received_fields = reader.received_fields();
  return outcome;
}

void ExpectLikeReference(std::string_view octets, const std::function<size_t()>& next_size) {
  const Outcome outcome = Read(octets, next_size);
  const ReferenceMessage expected = ReadByReference(octets, /*stuffed=*/true);
  ASSERT_EQ(outcome.ended, expected.ended);
  ASSERT_EQ(outcome.defect, expected.defect);
  if (expected.ended) {
    ASSERT_EQ(outcome.consumed, expected.consumed);
    ASSERT_EQ(outcome.body, expected.raw);
    ASSERT_EQ(outcome.octets, expected.unstuffed.size());
    if (expected.defect == BodyDefect::kNone) ASSERT_EQ(outcome.received_fields, expected.received_fields);
  } else {
    // Up to two octets may be waiting for what decides on them.
    ASSERT_TRUE(expected.raw.starts_with(outcome.body));
    ASSERT_LE(expected.raw.size() - outcome.body.size(), 2u);
  }
}

std::function<size_t()> Always(size_t size) {
  return [size] { return size; };
}
std::function<size_t()> SplitAt(size_t first) {
  return [first, begun = false]() mutable { return std::exchange(begun, true) ? size_t{1} << 30 : first; };
}

std::string Smuggled(const std::string& vector) {
  return "x" + vector + "MAIL FROM:<evil@v>\r\nRCPT TO:<b@in.example>\r\nDATA\r\nFrom: ceo\r\n\r\ny\r\n.\r\n";
}

TEST(DataReader, NoSmugglingVectorEndsTheDataAtAnySplit) {
  for (const std::string& vector : SmugglingVectors()) {
    const std::string octets = Smuggled(vector) + "QUIT\r\n";
    for (size_t split = 1; split < octets.size(); ++split) {
      const Outcome outcome = Read(octets, SplitAt(split));
      ASSERT_TRUE(outcome.ended);
      ASSERT_EQ(octets.substr(outcome.consumed), "QUIT\r\n");
      ASSERT_NE(outcome.defect, BodyDefect::kNone);
      ASSERT_EQ(outcome.body.find("evil"), std::string::npos) << "nothing beyond the defect is passed on";
      ExpectLikeReference(octets, SplitAt(split));
    }
    ExpectLikeReference(octets, Always(1));
  }
}

TEST(DataReader, VectorsAtEveryOffsetOfABlock) {
  for (const std::string& vector : SmugglingVectors()) {
    for (size_t before = 0; before < 200; ++before) {
      const std::string octets = "\r\n" + std::string(before, 'h') + Smuggled(vector);
      ExpectLikeReference(octets, Always(1 << 20));
      ExpectLikeReference(octets, Always(64));
      ExpectLikeReference(octets, SplitAt(before + 4));
    }
  }
}

TEST(DataReader, AVectorAtTheVeryEndDecidesWithTheNextOctets) {
  // "\r\n.\r" and nothing more: not an end, and not yet a defect.
  const Outcome outcome = Read("x\r\n.\r", Always(1));
  EXPECT_FALSE(outcome.ended);
  EXPECT_EQ(outcome.defect, BodyDefect::kNone);
  EXPECT_EQ(outcome.body, "x\r\n");
}

TEST(DataReader, EndsAtOnceWhenTheFirstLineIsADot) {
  for (size_t step = 1; step < 5; ++step) {
    const Outcome outcome = Read(".\r\nQUIT\r\n", Always(step));
    EXPECT_TRUE(outcome.ended);
    EXPECT_EQ(outcome.consumed, 3u);
    EXPECT_EQ(outcome.body, "");
    EXPECT_EQ(outcome.octets, 0u);
  }
}

// threats.md S3: no next hop may see a line that begins with one dot alone.
TEST(DataReader, DropsADotThatStandsForNothing) {
  const std::string octets = ".a\r\n. \r\n.\t\r\n..b\r\nc\r\n.d\r\n.\r\n";
  for (size_t step = 1; step <= octets.size(); ++step) {
    const Outcome outcome = Read(octets, Always(step));
    EXPECT_TRUE(outcome.ended);
    EXPECT_EQ(outcome.defect, BodyDefect::kNone);
    EXPECT_EQ(outcome.body, "a\r\n \r\n\t\r\n..b\r\nc\r\nd\r\n");
    EXPECT_EQ(outcome.consumed, octets.size());
  }
}

TEST(DataReader, KeepsStuffedLinesVerbatimAndCountsThemUnstuffed) {
  const std::string octets = "..\r\n..a\r\n...\r\n..\t\r\na.\r\n.\r\n";
  for (size_t step = 1; step < octets.size(); ++step) {
    const Outcome outcome = Read(octets, Always(step));
    EXPECT_TRUE(outcome.ended);
    EXPECT_EQ(outcome.defect, BodyDefect::kNone);
    EXPECT_EQ(outcome.body, octets.substr(0, octets.size() - 3));
    EXPECT_EQ(outcome.octets, octets.size() - 3 - 4);
  }
}

TEST(DataReader, DotsAtTheEdgesOfABlock) {
  for (size_t length = 0; length < 300; ++length) {
    for (const char* tail : {".", "..", "\r\n.x", "\r\n..", ".\r\n", "\r\n.", "\r\n"}) {
      const std::string octets = "h: v\r\n\r\n" + std::string(length, 'x') + tail + "\r\nend\r\n.\r\n";
      ExpectLikeReference(octets, Always(1 << 20));
      ExpectLikeReference(octets, SplitAt(8 + length));
      ExpectLikeReference(octets, SplitAt(8 + length + 1));
    }
  }
}

TEST(DataReader, LongLinesPassWhole) {
  const std::string line(10 << 20, 'x');
  const std::string octets = line + "\r\n\r\n" + line + "\r\n.\r\n";
  const Outcome outcome = Read(octets, Always(65536));
  EXPECT_TRUE(outcome.ended);
  EXPECT_EQ(outcome.defect, BodyDefect::kNone);
  EXPECT_EQ(outcome.body.size(), octets.size() - 3);
}

TEST(DataReader, TheFirstOctetMustNotBeABlank) {
  EXPECT_EQ(Read(" folded: x\r\n.\r\n", Always(100)).defect, BodyDefect::kLeadingBlank);
  EXPECT_EQ(Read("\tx\r\n.\r\n", Always(1)).defect, BodyDefect::kLeadingBlank);
  EXPECT_EQ(Read(". stuffed\r\n.\r\n", Always(1)).defect, BodyDefect::kLeadingBlank);
  EXPECT_EQ(Read("a: b\r\n c\r\n.\r\n", Always(1)).defect, BodyDefect::kNone);
  EXPECT_EQ(Read("\r\n x\r\n.\r\n", Always(1)).defect, BodyDefect::kNone);
  EXPECT_EQ(Read("no colon\r\n.\r\n", Always(1)).defect, BodyDefect::kNone);
}

TEST(DataReader, CountsReceivedFieldsOfTheHeaderOnly) {
  const std::string octets =
      "Received: a\r\n by b\r\nrEcEiVeD \t: c\r\n.Received: stuffed\r\nX-Received: no\r\nReceived-SPF: no\r\n"
      "Received\r\nSubject: Received: no\r\n\r\nReceived: body\r\n.\r\n";
  for (size_t step = 1; step < 200; ++step) EXPECT_EQ(Read(octets, Always(step)).received_fields, 3) << step;
}

TEST(DataReader, CountsBeyondADefect) {
  const Outcome outcome = Read(std::string("a\nb\0c\rd\r\n", 9) + "..e\r\n.\r\n", Always(1));
  EXPECT_EQ(outcome.defect, BodyDefect::kBareLf);
  EXPECT_EQ(outcome.body, "a");
  EXPECT_EQ(outcome.octets, 13u);
}

TEST(DataReader, IsLikeTheReferenceOnRandomOctetsAndSplits) {
  std::mt19937 random(20261124);
  constexpr std::string_view kAlphabet("\r\n..\r\nxy \0\t:R", 14);
  for (int round = 0; round < 20000; ++round) {
    std::string octets;
    const size_t runs = random() % 12;
    if (random() % 2 == 0) octets = "\r\n";
    for (size_t run = 0; run < runs; ++run) {
      if (random() % 3 == 0) octets += std::string(random() % 130, 'x');
      if (random() % 2 == 0) octets += "\r\n";
      for (size_t i = random() % 4; i > 0; --i) octets += kAlphabet[random() % kAlphabet.size()];
    }
    octets += "\r\n.\r\nQUIT\r\n";
    const size_t most = 1 + random() % 100;
    ExpectLikeReference(octets, [&] { return 1 + random() % most; });
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace gatepost::smtp
