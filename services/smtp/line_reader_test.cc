// limits: command line (2,048), AUTH (12,288). threats: P3, S5, S6.
#include "services/smtp/line_reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "services/smtp/limits.h"

namespace gatepost::smtp {
namespace {

using Status = LineReader::Status;
using Expect = LineReader::Expect;

void Append(InputBuffer& buffer, std::string_view text) {
  if (text.empty()) return;
  std::memcpy(buffer.Prepare(text.size()).data(), text.data(), text.size());
  buffer.Commit(text.size());
}

// Everything that comes of `octets`, given in pieces of `step`: lines as they are, the rest by a name in brackets.
std::vector<std::string> ReadAll(std::string_view octets, size_t step, Expect expect = Expect::kCommand,
                                 size_t* most_memory = nullptr) {
  LineReader reader;
  InputBuffer input;
  std::vector<std::string> found;
  while (true) {
    const LineReader::Result result = reader.Next(input, expect);
    if (most_memory != nullptr) *most_memory = std::max(*most_memory, input.capacity());
    switch (result.status) {
      case Status::kNeedMore:
        if (octets.empty()) return found;
        Append(input, octets.substr(0, step));
        octets.remove_prefix(std::min(step, octets.size()));
        break;
      case Status::kLine:
        found.emplace_back(result.line);
        EXPECT_EQ(result.consumed, result.line.size() + 2);
        input.Consume(result.consumed);
        break;
      case Status::kTooLong:
        found.emplace_back("<too long>");
        break;
      case Status::kAuthTooLong:
        found.emplace_back("<AUTH too long>");
        break;
      case Status::kBadOctet:
        found.emplace_back("<bad octet>");
        return found;
      case Status::kFlood:
        found.emplace_back("<flood>");
        return found;
    }
  }
}

void ExpectAlways(const std::string& octets, const std::vector<std::string>& expected,
                  Expect expect = Expect::kCommand) {
  for (size_t step :
       {size_t{1}, size_t{2}, size_t{3}, size_t{1000}, size_t{2047}, size_t{2048}, size_t{2049}, octets.size() + 1}) {
    EXPECT_EQ(ReadAll(octets, step, expect), expected) << octets.size() << " octets in pieces of " << step;
  }
}

std::string Line(size_t size_with_crlf) { return std::string(size_with_crlf - 2, 'x') + "\r\n"; }

TEST(LineReader, SplitsAtCrLfOnly) { ExpectAlways("EHLO a\r\n\r\nNOOP\r\nQUI", {"EHLO a", "", "NOOP"}); }

TEST(LineReader, RefusesBareCrAndLf) {
  ExpectAlways("EHLO x\n", {"<bad octet>"});
  ExpectAlways("NOOP\r\nNOOP\nQUIT\r\n", {"NOOP", "<bad octet>"});
  ExpectAlways("NOOP\rQUIT\r\n", {"<bad octet>"});
  ExpectAlways("NOOP\r\r\n", {"<bad octet>"});
  ExpectAlways("\n", {"<bad octet>"});
}

TEST(LineReader, RefusesControlOctets) {
  for (int octet = 0; octet < 256; ++octet) {
    if (octet == '\r') continue;
    const std::string line = std::string("NOOP ") + static_cast<char>(octet);
    const bool control = octet < 0x20 || octet == 0x7f;
    ExpectAlways(line + "\r\n", {control ? "<bad octet>" : line});
  }
}

TEST(LineReader, CommandLineOf2048OctetsIsTheLimit) {
  const std::string at_limit = Line(2048);
  ExpectAlways(at_limit + "NOOP\r\n", {at_limit.substr(0, 2046), "NOOP"});
  ExpectAlways(Line(2049) + "NOOP\r\n", {"<too long>", "NOOP"});
  ExpectAlways(Line(2050) + "NOOP\r\n", {"<too long>", "NOOP"});
  ExpectAlways(Line(65537) + "NOOP\r\n", {"<too long>", "NOOP"});
}

TEST(LineReader, LinesThatRfc5321AsksForPass) {
  for (size_t size : {511u, 512u, 513u, 1012u}) ExpectAlways(Line(size), {std::string(size - 2, 'x')});
}

TEST(LineReader, SixtyFourKibWithoutCrLfIsAFlood) {
  ExpectAlways(std::string(65535, 'x') + "\r\nNOOP\r\n", {"<too long>", "NOOP"});
  ExpectAlways(std::string(65536, 'x') + "\r\nNOOP\r\n", {"<flood>"});
  ExpectAlways(std::string(70000, 'x') + "\n", {"<flood>"});
  ExpectAlways(std::string(60000, 'x') + "\n", {"<bad octet>"});
}

TEST(LineReader, HoldsLittleOfALineThatIsTooLong) {
  size_t memory = 0;
  ReadAll(std::string(65000, 'x') + "\r\n", 100, Expect::kCommand, &memory);
  EXPECT_LT(memory, 2 * limits::kCommandLine);
}

TEST(LineReader, AuthLinesMayBeLonger) {
  const std::string auth = "aUtH PLAIN ";
  const size_t room = limits::kAuthLine - auth.size() - 2;
  ExpectAlways(auth + std::string(room, 'A') + "\r\nNOOP\r\n", {auth + std::string(room, 'A'), "NOOP"});
  ExpectAlways(auth + std::string(room + 1, 'A') + "\r\nNOOP\r\n", {"<AUTH too long>", "NOOP"});
  ExpectAlways("AUTHX " + std::string(2040, 'A') + "\r\n", {"AUTHX " + std::string(2040, 'A')});
  ExpectAlways("AUTHX " + std::string(2041, 'A') + "\r\n", {"<too long>"});
}

TEST(LineReader, AuthResponseOf12288OctetsIsTheLimit) {
  const std::string at_limit(12288, 'A');
  ExpectAlways(at_limit + "\r\n", {at_limit}, Expect::kAuthResponse);
  ExpectAlways(at_limit + "A\r\nNOOP\r\n", {"<AUTH too long>", "NOOP"}, Expect::kAuthResponse);
}

TEST(LineReader, KnowsWhetherALineHasBegun) {
  LineReader reader;
  InputBuffer input;
  EXPECT_FALSE(reader.in_line());
  Append(input, "NO");
  reader.Next(input);
  EXPECT_TRUE(reader.in_line());
  Append(input, "OP\r\n");
  EXPECT_EQ(reader.Next(input).line, "NOOP");
  EXPECT_FALSE(reader.in_line());
  input.Clear();
  Append(input, std::string(3000, 'x'));
  reader.Next(input);
  EXPECT_TRUE(reader.in_line());
  reader.Reset();
  EXPECT_FALSE(reader.in_line());
}

}  // namespace
}  // namespace gatepost::smtp
