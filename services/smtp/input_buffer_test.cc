#include "services/smtp/input_buffer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>

namespace gatepost::smtp {
namespace {

void Append(InputBuffer& buffer, std::string_view text) {
  const std::span<char> room = buffer.Prepare(text.size());
  ASSERT_EQ(room.size(), text.size());
  std::memcpy(room.data(), text.data(), text.size());
  buffer.Commit(text.size());
}

TEST(InputBuffer, HoldsNoMemoryWhenEmpty) {
  InputBuffer buffer;
  EXPECT_EQ(buffer.capacity(), 0u);
  Append(buffer, "abc");
  EXPECT_GE(buffer.capacity(), 3u);
  buffer.Consume(3);
  EXPECT_EQ(buffer.capacity(), 0u);
  buffer.Prepare(4096);
  buffer.Commit(0);
  EXPECT_EQ(buffer.capacity(), 0u);
  EXPECT_EQ(buffer.readable(), "");
}

TEST(InputBuffer, WipesWhatWasASecretAlsoWhereItHadLain) {
  InputBuffer buffer;
  Append(buffer, "PASSWORD\r\nNOOP");
  const char* begin = buffer.readable().data();
  buffer.Wipe(10);
  EXPECT_EQ(std::string_view(begin, 10), std::string(10, '\0'));
  EXPECT_EQ(buffer.readable(), "NOOP");
  // There is room when the unread octets go to the front.
  Append(buffer, "\r\nNO");
  begin = buffer.readable().data();
  EXPECT_EQ(std::string_view(begin, 14), "NOOP\r\nNO" + std::string(6, '\0'));
}

TEST(InputBuffer, KeepsWhatIsUnreadInOnePiece) {
  InputBuffer buffer;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    Append(buffer, "0123456789");
    expected += "0123456789";
    if (i % 3 == 2) {
      buffer.Consume(17);
      expected.erase(0, 17);
    }
    ASSERT_EQ(buffer.readable(), expected);
  }
  buffer.Clear();
  EXPECT_TRUE(buffer.empty());
}

TEST(InputBuffer, CommitsLessThanPrepared) {
  InputBuffer buffer;
  std::memcpy(buffer.Prepare(100).data(), "xy", 2);
  buffer.Commit(2);
  Append(buffer, "z");
  EXPECT_EQ(buffer.readable(), "xyz");
}

TEST(InputBuffer, ReusesTheRoomOfWhatWasConsumed) {
  InputBuffer buffer;
  Append(buffer, std::string(1000, 'a'));
  buffer.Consume(990);
  Append(buffer, std::string(990, 'b'));
  EXPECT_EQ(buffer.capacity(), 1000u);
  EXPECT_EQ(buffer.readable(), std::string(10, 'a') + std::string(990, 'b'));
}

TEST(InputBuffer, MovesWithItsOctets) {
  InputBuffer from;
  Append(from, "abc");
  InputBuffer to(std::move(from));
  EXPECT_EQ(to.readable(), "abc");
  from = InputBuffer();
  EXPECT_EQ(from.readable(), "");
}

}  // namespace
}  // namespace gatepost::smtp
