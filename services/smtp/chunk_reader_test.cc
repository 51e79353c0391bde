// threats: B1 (the final CR LF), B3, B8 (binary messages).
#include "services/smtp/chunk_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>

#include "services/smtp/data_writer.h"
#include "services/smtp/reference_reader.h"

namespace gatepost::smtp {
namespace {

struct Outcome {
  std::string body;
  BodyDefect defect = BodyDefect::kNone;
  uint64_t octets = 0;
  int received_fields = 0;
};

Outcome Read(std::string_view octets, const std::function<size_t()>& next_size, bool binary = false) {
  ChunkReader reader(binary);
  Outcome outcome;
  while (!octets.empty()) {
    const size_t size = std::min(next_size(), octets.size());
    const ChunkReader::Result result = reader.Next(octets.substr(0, size));
    outcome.body.append(result.held).append(result.body);
    octets.remove_prefix(size);
  }
  reader.Finish();
  outcome.defect = reader.defect();
  outcome.octets = reader.octets();
  outcome.received_fields = reader.received_fields();
  return outcome;
}

std::function<size_t()> Always(size_t size) {
  return [size] { return size; };
}

TEST(ChunkReader, NothingIsAnEnd) {
  const std::string octets = "a: b\r\n\r\n\r\n.\r\nQUIT\r\n";
  for (size_t step = 1; step < 30; ++step) {
    const Outcome outcome = Read(octets, Always(step));
    EXPECT_EQ(outcome.body, octets);
    EXPECT_EQ(outcome.defect, BodyDefect::kNone);
    EXPECT_EQ(outcome.octets, octets.size());
  }
}

TEST(ChunkReader, CrAndLfInDifferentChunksBelongTogether) {
  EXPECT_EQ(Read("a\r\nb\r\n", Always(2)).defect, BodyDefect::kNone);
  EXPECT_EQ(Read("a\r\nb\r\n", Always(2)).body, "a\r\nb\r\n");
  EXPECT_EQ(Read("a\rb", Always(2)).defect, BodyDefect::kBareCr);
  EXPECT_EQ(Read("a\rb", Always(2)).body, "a");
}

TEST(ChunkReader, EndingInABareCrIsADefect) {
  EXPECT_EQ(Read("a\r", Always(1)).defect, BodyDefect::kBareCr);
  EXPECT_EQ(Read("a\r", Always(1)).body, "a");
  EXPECT_EQ(Read("a", Always(1)).defect, BodyDefect::kNone);
}

TEST(ChunkReader, RefusesWhatDataRefuses) {
  for (const std::string& vector : SmugglingVectors()) {
    for (size_t step : {1u, 2u, 3u, 100u}) {
      EXPECT_NE(Read("x" + vector + "y\r\n", Always(step)).defect, BodyDefect::kNone);
    }
  }
  EXPECT_EQ(Read(" x\r\n", Always(1)).defect, BodyDefect::kLeadingBlank);
  EXPECT_EQ(Read(std::string("x\0y", 3), Always(1)).defect, BodyDefect::kNul);
}

TEST(ChunkReader, IsLikeTheReferenceOnRandomOctetsAndSplits) {
  std::mt19937 random(3030);
  constexpr std::string_view kAlphabet("\r\n.\r\nxy \0", 9);
  for (int round = 0; round < 20000; ++round) {
    std::string octets;
    for (size_t run = random() % 10; run > 0; --run) {
      if (random() % 3 == 0) octets += std::string(random() % 130, 'x');
      if (random() % 2 == 0) octets += "\r\n";
      if (random() % 4 == 0) octets += kAlphabet[random() % kAlphabet.size()];
    }
    const ReferenceMessage expected = ReadByReference(octets, /*stuffed=*/false);
    const size_t most = 1 + random() % 100;
    const Outcome outcome = Read(octets, [&] { return 1 + random() % most; });
    if (expected.defect == BodyDefect::kNone && octets.ends_with('\r')) {
      ASSERT_EQ(outcome.defect, BodyDefect::kBareCr);
      ASSERT_EQ(outcome.body + "\r", expected.raw);
    } else {
      ASSERT_EQ(outcome.defect, expected.defect);
      ASSERT_EQ(outcome.body, expected.raw);
    }
    ASSERT_EQ(outcome.octets, octets.size());
    if (outcome.defect == BodyDefect::kNone) ASSERT_EQ(outcome.received_fields, expected.received_fields);
  }
}

TEST(ChunkReader, ABinaryMessageHoldsAnything) {
  const std::string octets("a: b\r\n\r\n\0\n\r.\r\r\n.\n\xff\r", 20);
  for (size_t step = 1; step < 22; ++step) {
    const Outcome outcome = Read(octets, Always(step), /*binary=*/true);
    EXPECT_EQ(outcome.body, octets);
    EXPECT_EQ(outcome.defect, BodyDefect::kNone);
    EXPECT_EQ(outcome.octets, octets.size());
  }
  for (const char* blank : {" a", "\ta"}) {
    EXPECT_EQ(Read(blank, Always(1), /*binary=*/true).defect, BodyDefect::kLeadingBlank);
    EXPECT_EQ(Read(blank, Always(1), /*binary=*/true).body, "");
  }
}

TEST(ChunkReader, ABinaryMessagesHeaderHasLinesThatEndInCrLf) {
  const struct {
    const char* octets;
    int fields;
  } kCases[] = {
      {"Received: a\r\nreceived : b\r\nX: Received: c\r\n\r\nReceived: d\r\n", 2},
      {"X: a\nReceived: b\r\nReceived: c\r\n", 1},
      {"X: a\rReceived: b\r\n", 0},
      {"\rReceived: a\r\n", 0},
      {"X: a\n\nY: b\r\nReceived: c\r\n", 1},
      {"Re\rceived: a\r\n", 0},
      {"X: a\r\r\nReceived: b\r\n", 1},
  };
  for (const auto& test : kCases) {
    for (size_t step : {1, 2, 3, 100}) {
      EXPECT_EQ(Read(test.octets, Always(step), /*binary=*/true).received_fields, test.fields) << test.octets;
    }
  }
}

TEST(DotStuffer, StuffsAtLineStartsOnly) {
  DotStuffer stuffer;
  std::string out;
  stuffer.Append(".a\r\n..\r\na.b\r\n.", &out);
  EXPECT_EQ(out, "..a\r\n...\r\na.b\r\n..");
  EXPECT_EQ(stuffer.Finish(), "\r\n");
  stuffer.Append("\r\n", &out);
  EXPECT_EQ(stuffer.Finish(), "");
}

TEST(DotStuffer, AnEmptyMessageNeedsNoCrLf) { EXPECT_EQ(DotStuffer().Finish(), ""); }

TEST(DotStuffer, WhatComesOutIsReadBackByDataReader) {
  std::mt19937 random(1951);
  for (int round = 0; round < 5000; ++round) {
    std::string message = "x";
    for (size_t run = random() % 20; run > 0; --run) {
      message += std::string(random() % 3 == 0 ? random() % 70 : random() % 2, 'x');
      message += random() % 2 == 0 ? "\r\n" : ".";
    }
    DotStuffer stuffer;
    std::string out;
    for (std::string_view rest = message; !rest.empty();) {
      const size_t size = std::min<size_t>(1 + random() % 9, rest.size());
      stuffer.Append(rest.substr(0, size), &out);
      rest.remove_prefix(size);
    }
    out.append(stuffer.Finish());
    if (!message.ends_with("\r\n")) message += "\r\n";
    const ReferenceMessage back = ReadByReference(out + std::string(kEndOfData), /*stuffed=*/true);
    ASSERT_TRUE(back.ended);
    ASSERT_EQ(back.consumed, out.size() + 3);
    ASSERT_EQ(back.unstuffed, message);
  }
}

}  // namespace
}  // namespace gatepost::smtp
