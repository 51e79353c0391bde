// Nothing that a client sent with AUTH stays in a session's memory, also when AUTH is refused. The same of a whole
// edge: tests/integration/core_scan_test.py.
#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/freed_memory.h"
#include "services/smtp/server_session.h"
#include "services/smtp/testing/session_harness.h"

namespace gatepost::smtp {
namespace {

// With base64 of NUL alice NUL correct horse battery staple, and what of it is searched for.
constexpr std::string_view kAuth = "AUTH PLAIN AGFsaWNlAGNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=\r\n";
constexpr std::string_view kSecret = "Y3QgaG9yc2UgYmF0dGVy";
constexpr std::string_view kHello = "EHLO x\r\n";

SessionSetup ClearSetup() {
  SessionSetup setup;
  setup.settings.authentication.anonymous = false;
  setup.settings.authentication.allow_clear_text_credentials = true;
  return setup;
}

// Past the harness, which would keep a copy of what it sends. The session answers at once and is not used any more.
void SendAlone(SessionHarness* harness, std::string_view line) {
  ServerSession& session = harness->session();
  const std::span<char> room = session.input().Prepare(line.size());
  std::memcpy(room.data(), line.data(), line.size());
  session.input().Commit(line.size());
  session.Advance(harness->clock().Now(), BytesRead{});
}

// How often `line`, sent to a session that has come as far as `lead` brings it, is found when its memory is freed, and
// what the session said.
struct Left {
  int found;
  std::string said;
};
Left LeftOf(const SessionSetup& setup, const std::vector<std::string_view>& lead, std::string_view line,
            std::string_view sought) {
  std::string said;
  base::FreedMemory freed(sought);
  {
    SessionHarness harness(setup);
    harness.Begin();
    for (const std::string_view sent : lead) harness.Send(sent);
    SendAlone(&harness, line);
    said = harness.session().output();
  }
  return {freed.found(), said};
}

TEST(AuthSecretsTest, NothingIsLeftOfARefusedAuth) {
  SessionSetup nothing_served = ClearSetup();
  nothing_served.mechanisms = {};
  SessionSetup tls_alone = ClearSetup();
  tls_alone.settings.authentication.allow_clear_text_credentials = false;
  SessionSetup secure_alone = ClearSetup();
  secure_alone.settings.tls.require_secure_channel = true;
  SessionSetup anonymous = ClearSetup();
  anonymous.settings.authentication.anonymous = true;
  const struct {
    const char* what;
    SessionSetup setup;
    std::vector<std::string_view> lead;
    std::string_view line, reply;
  } cases[] = {
      {"before EHLO", ClearSetup(), {}, kAuth, "503"},
      {"a second time", ClearSetup(), {kHello, "AUTH PLAIN AHUAZ29vZA==\r\n"}, kAuth, "503"},
      {"in a transaction", anonymous, {kHello, "MAIL FROM:<a@b.example>\r\n"}, kAuth, "503"},
      {"by policy", tls_alone, {kHello}, kAuth, "538"},
      {"without TLS", secure_alone, {kHello}, kAuth, "530"},
      {"the service is away", nothing_served, {kHello}, kAuth, "454"},
      {"an unknown mechanism", ClearSetup(), {kHello},
       "AUTH DIGEST AGFsaWNlAGNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=\r\n", "504"},
      {"a line that does not parse", ClearSetup(), {kHello},
       "AUTH  AGFsaWNlAGNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=\r\n", "501"},
      {"no base64 at its end", ClearSetup(), {kHello},
       "AUTH PLAIN AGFsaWNlAGNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU!\r\n", "501"},
      {"a password where a command is due", ClearSetup(), {kHello}, "Y3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=\r\n", "500"},
  };
  for (const auto& test : cases) {
    const Left left = LeftOf(test.setup, test.lead, test.line, kSecret);
    EXPECT_EQ(left.said.substr(0, 3), test.reply) << test.what;
    EXPECT_EQ(left.found, 0) << test.what;
  }
}

TEST(AuthSecretsTest, NothingDecodedIsLeftWhenTheEndIsNoBase64) {
  const Left left = LeftOf(ClearSetup(), {kHello},
                           "AUTH PLAIN AGFsaWNlAGNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU!\r\n", "horse battery");
  EXPECT_EQ(left.said.substr(0, 3), "501");
  EXPECT_EQ(left.found, 0);
}

// The control.
TEST(AuthSecretsTest, TheSearchFindsAnotherLine) {
  EXPECT_GT(LeftOf(ClearSetup(), {}, "EHLO Y3QgaG9yc2UgYmF0dGVy.example\r\n", kSecret).found, 0);
}

}  // namespace
}  // namespace gatepost::smtp
