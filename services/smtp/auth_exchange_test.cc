// AUTH: threats A1, A2, A3, A5, A13, A14, T7; limits.md: AUTH response, failed AUTH, its delay.
#include <gtest/gtest.h>

#include "services/base/base64.h"
#include "services/base/strings.h"
#include "services/smtp/limits.h"
#include "services/smtp/server_session.h"
#include "services/smtp/testing/session_harness.h"

namespace gatepost::smtp {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;
using Log = std::vector<std::string>;

constexpr char kAccepted[] = "235 2.7.0 Authentication successful\r\n";
constexpr char kRejected[] = "535 5.7.8 Authentication credentials invalid\r\n";
constexpr char kMalformed[] = "501 5.5.2 ";
constexpr char kTooLong[] = "500 5.5.6 ";

std::string Plain(std::string_view user, std::string_view password) {
  return base::Base64Encode(base::StrCat('\0', user, '\0', password));
}

SessionSetup ClearSetup() {
  SessionSetup setup;
  setup.settings.authentication.anonymous = false;
  setup.settings.authentication.allow_clear_text_credentials = true;
  return setup;
}

class AuthTest : public testing::Test {
 protected:
  AuthTest() : session_(ClearSetup()) { session_.Greet(); }
  SessionHarness session_;
};

TEST_F(AuthTest, OfferedInOrder) {
  EXPECT_NE(session_.Send("EHLO x\r\n").find("250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-8BITMIME\r\n"),
            std::string::npos);
}

TEST_F(AuthTest, PlainWithAndWithoutInitialResponse) {
  EXPECT_EQ(session_.Send("auth plain " + Plain("alice", "good") + "\r\n"), kAccepted);
  EXPECT_EQ(session_.session().identity()->login, "alice");
  EXPECT_EQ(session_.Send("MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Sender OK\r\n");
  SessionHarness second(ClearSetup());
  second.Greet();
  EXPECT_EQ(second.Send("AUTH PLAIN\r\n"), "334 \r\n");  // A2: with its space
  EXPECT_TRUE(second.auth_log().empty());
  EXPECT_EQ(second.Send(Plain("alice", "good") + "\r\n"), kAccepted);
  EXPECT_EQ(second.auth_log(), Log{"START PLAIN"});
}

// A5
TEST_F(AuthTest, LoginPromptsExactly) {
  EXPECT_EQ(session_.Send("AUTH LOGIN\r\n"), "334 VXNlcm5hbWU6\r\n");
  EXPECT_EQ(session_.Send("YWxpY2U=\r\n"), "334 UGFzc3dvcmQ6\r\n");
  EXPECT_EQ(session_.Send("Z29vZA==\r\n"), kAccepted);
}

TEST_F(AuthTest, LoginWithInitialResponseSkipsTheFirstPrompt) {
  EXPECT_EQ(session_.Send("AUTH LOGIN YWxpY2U=\r\n"), "334 UGFzc3dvcmQ6\r\n");
  EXPECT_EQ(session_.Send("*\r\n").substr(0, 9), "501 5.7.0");
  EXPECT_EQ(session_.auth_log().back(), "CANCEL");
  EXPECT_EQ(session_.Send("NOOP\r\n"), "250 2.0.0 OK\r\n");
}

TEST_F(AuthTest, EmptyResponsesAreResponses) {
  EXPECT_EQ(session_.Send("AUTH LOGIN\r\n"), "334 VXNlcm5hbWU6\r\n");
  EXPECT_EQ(session_.Send("\r\n"), "334 UGFzc3dvcmQ6\r\n");
  EXPECT_EQ(session_.Send("\r\n"), kRejected);
}

// [MS-SMTPNTLM]: without an initial response the first line is a text, and ours.
TEST_F(AuthTest, NtlmIsSupportedInPlainWords) {
  SessionSetup setup = ClearSetup();
  setup.mechanisms = {"NTLM"};
  setup.settings.authentication.integrated_requires_tls = false;
  SessionHarness session(std::move(setup));
  session.Greet();
  EXPECT_EQ(session.Send("AUTH NTLM\r\n"), "334 ntlm supported\r\n");
  EXPECT_TRUE(session.auth_log().empty());
  session.Send("TlRMTVNTUA==\r\n");
  EXPECT_EQ(session.auth_log().front(), "START NTLM");
}

// RFC 4954 4: a mechanism's last words come as a challenge, and count when the client has answered it.
TEST_F(AuthTest, LastWordsAreAChallengeBeforeTheSuccess) {
  const std::string plain = Plain("alice", "last words");
  EXPECT_EQ(session_.Send("AUTH PLAIN " + plain + "\r\n"), "334 dj1zaWduYXR1cmU=\r\n");
  EXPECT_EQ(session_.session().identity(), nullptr);
  EXPECT_EQ(session_.Send("\r\n"), kAccepted);
  EXPECT_EQ(session_.session().identity()->login, "alice");
  EXPECT_EQ(session_.auth_log(), Log{"START PLAIN"}) << "the service has no more to say";
}

TEST_F(AuthTest, AClientThatDoesNotTakeTheLastWordsIsNotAuthenticated) {
  const std::string plain = Plain("alice", "last words");
  for (const auto& [line, expected] :
       {std::pair<std::string, std::string>{"*", "501 5.7.0 "}, {"AA==", "501 5.5.2 "}, {"!", "501 5.5.2 "}}) {
    EXPECT_EQ(session_.Send("AUTH PLAIN " + plain + "\r\n").substr(0, 4), "334 ");
    EXPECT_EQ(session_.Send(line + "\r\n").substr(0, 10), expected);
    EXPECT_EQ(session_.session().identity(), nullptr);
  }
  EXPECT_EQ(session_.Send("AUTH PLAIN\r\n"), "334 \r\n");
  EXPECT_EQ(session_.Send("\r\n").substr(0, 10), kMalformed) << "what was proved before is forgotten";
  EXPECT_EQ(session_.session().identity(), nullptr);
}

// A2
TEST_F(AuthTest, MalformedBase64NeverReachesTheService) {
  for (std::string_view bad : {"!!!", "AHU", "AHU==", "AH==", "AHUAZ29vZB==", "A HUA", "AHUAZ29vZA", "="}) {
    EXPECT_EQ(session_.Send("AUTH PLAIN\r\n"), "334 \r\n");
    EXPECT_EQ(session_.Send(base::StrCat(bad, "\r\n")).substr(0, 10), kMalformed) << bad;
  }
  for (std::string_view bad : {"!!!", "AHU", "AHU==", "AHUAZ29vZB=="}) {
    EXPECT_EQ(session_.Send(base::StrCat("AUTH PLAIN ", bad, "\r\n")).substr(0, 10), kMalformed) << bad;
  }
  EXPECT_TRUE(session_.auth_log().empty());
  EXPECT_EQ(session_.Send("AUTH PLAIN =\r\n").substr(0, 10), kMalformed);  // empty: no message of PLAIN
  EXPECT_EQ(session_.Send("AUTH PLAIN " + Plain("u", "good") + " x\r\n").substr(0, 10), kMalformed);
}

// A1, limits.md: base64 of an initial response, or a response line.
TEST_F(AuthTest, ResponsesAtTheLimitAndBeyond) {
  std::string at_limit(limits::kAuthResponse, 'A');
  session_.Send("AUTH PLAIN\r\n");
  EXPECT_EQ(session_.Send(at_limit + "\r\n").substr(0, 10), kMalformed);  // taken, and no message of PLAIN
  EXPECT_EQ(session_.auth_log(), Log{"START PLAIN"});
  session_.Send("AUTH PLAIN\r\n");
  EXPECT_EQ(session_.Send(at_limit + "A\r\n").substr(0, 10), kTooLong);
  EXPECT_EQ(session_.Send("AUTH PLAIN " + at_limit + "\r\n").substr(0, 10), kMalformed);
  EXPECT_EQ(session_.auth_log().size(), 2u);
  EXPECT_EQ(session_.Send("AUTH PLAIN " + at_limit + "AAAA\r\n").substr(0, 10), kTooLong);
  EXPECT_EQ(session_.Send("AUTH PLAIN " + std::string(60000, 'A') + "\r\n").substr(0, 10), kTooLong);
  EXPECT_EQ(session_.auth_log().size(), 2u);
  EXPECT_EQ(session_.Send("AUTH PLAIN " + std::string(1 << 20, 'A') + "\r\n").substr(0, 10), "421 4.7.0 ");
}

// A3
TEST_F(AuthTest, OutOfOrderIs503) {
  const std::string out_of_order = "503 5.5.1 ";
  SessionHarness before_ehlo(ClearSetup());
  before_ehlo.Begin();
  EXPECT_EQ(before_ehlo.Send("AUTH PLAIN " + Plain("u", "good") + "\r\n").substr(0, 10), out_of_order);
  EXPECT_EQ(session_.Send("AUTH PLAIN " + Plain("u", "good") + "\r\n"), kAccepted);
  EXPECT_EQ(session_.Send("AUTH PLAIN " + Plain("u", "good") + "\r\n").substr(0, 10), out_of_order);
  SessionSetup anonymous = ClearSetup();
  anonymous.settings.authentication.anonymous = true;
  SessionHarness inside(anonymous);
  inside.Greet();
  inside.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(inside.Send("AUTH PLAIN " + Plain("u", "good") + "\r\n").substr(0, 10), out_of_order);
  EXPECT_TRUE(inside.auth_log().empty());
}

// A3; limits.md: failed AUTH in a session, delay of a failed AUTH.
TEST_F(AuthTest, TheThirdFailureIsAnsweredThenTheSessionEnds) {
  EXPECT_EQ(session_.Send("AUTH PLAIN " + Plain("u", "bad") + "\r\n"), kRejected);
  EXPECT_EQ(session_.Send("AUTH PLAIN " + Plain("u", "bad") + "\r\n"), kRejected);
  EXPECT_FALSE(session_.closed());
  std::string said = session_.Send("AUTH PLAIN " + Plain("u", "bad") + "\r\n");
  EXPECT_EQ(said.substr(0, sizeof kRejected - 1), kRejected);
  EXPECT_EQ(said.substr(sizeof kRejected - 1, 10), "421 4.7.0 ");
  EXPECT_TRUE(session_.closed());
  ASSERT_EQ(session_.delays().size(), 3u);
  EXPECT_GE(session_.delays()[0], 1s);
  EXPECT_LE(session_.delays()[0], 2s);
  EXPECT_GE(session_.delays()[1], 2s);
  EXPECT_LE(session_.delays()[1], 4s);
  EXPECT_GE(session_.delays()[2], 4s);
  EXPECT_LE(session_.delays()[2], 5s);
}

TEST_F(AuthTest, ASuccessAfterAFailureCounts) {
  session_.Send("AUTH PLAIN " + Plain("u", "bad") + "\r\n");
  EXPECT_EQ(session_.Send("AUTH PLAIN " + Plain("u", "good") + "\r\n"), kAccepted);
}

// A13: never 535, clients drop the password; never a success.
TEST_F(AuthTest, AServiceThatIsDownIs454AndNoFailure) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(session_.Send("AUTH PLAIN " + Plain("u", "down") + "\r\n"),
              "454 4.7.0 Temporary authentication failure\r\n");
  }
  EXPECT_TRUE(session_.delays().empty());
  EXPECT_EQ(session_.Send("MAIL FROM:<a@b.example>\r\n"), "530 5.7.0 Authentication required\r\n");
}

TEST_F(AuthTest, AMechanismThatCannotBeServedNowIs454ButAnUnknownOneIs504) {
  SessionSetup setup = ClearSetup();
  setup.mechanisms = {};
  SessionHarness session(setup);
  session.Begin();
  EXPECT_EQ(session.Send("EHLO x\r\n").find("AUTH"), std::string::npos);
  EXPECT_EQ(session.Send("AUTH PLAIN\r\n"), "454 4.7.0 Temporary authentication failure\r\n");
  EXPECT_EQ(session_.Send("AUTH CRAM-MD5\r\n"), "504 5.5.4 Unrecognized authentication type\r\n");
}

TEST_F(AuthTest, ExchangeDialect) {
  SessionSetup setup = ClearSetup();
  setup.settings.dialect = policy::Dialect::kExchange;
  SessionHarness session(setup);
  session.Greet();
  EXPECT_EQ(session.Send("MAIL FROM:<a@b.example>\r\n"), "530 5.7.1 Client was not authenticated\r\n");
  EXPECT_EQ(session.Send("AUTH CRAM-MD5\r\n"), "504 5.7.4 Unrecognized authentication type\r\n");
  EXPECT_EQ(session.Send("AUTH PLAIN " + Plain("u", "bad") + "\r\n"), "535 5.7.3 Authentication unsuccessful\r\n");
}

// T7
TEST_F(AuthTest, InClearNeitherOfferedNorPassedOn) {
  SessionSetup setup = ClearSetup();
  setup.settings.authentication.allow_clear_text_credentials = false;
  SessionHarness session(setup);
  session.Begin();
  EXPECT_EQ(session.Send("EHLO x\r\n").find("AUTH"), std::string::npos);
  EXPECT_EQ(session.Send("AUTH PLAIN " + Plain("u", "good") + "\r\n"),
            "538 5.7.11 Encryption required for requested authentication mechanism\r\n");
  EXPECT_TRUE(session.auth_log().empty());
  session.Send("STARTTLS\r\n");
  EXPECT_NE(session.Send("EHLO x\r\n").find("AUTH PLAIN LOGIN"), std::string::npos);
  EXPECT_EQ(session.Send("AUTH PLAIN " + Plain("u", "good") + "\r\n"), kAccepted);
}

// P2
TEST_F(AuthTest, ResponsesMayNotBePipelined) {
  session_.Send("AUTH LOGIN\r\n");
  EXPECT_EQ(session_.Send("dXNlcg==\r\nZ29vZA==\r\n"), "554 5.5.0 Protocol error\r\n");
  EXPECT_TRUE(session_.closed());
  EXPECT_EQ(session_.auth_log().back(), "CANCEL");
}

TEST_F(AuthTest, AnExchangeThatIsLeftIsCancelled) {
  session_.Send("AUTH LOGIN\r\n");
  EXPECT_FALSE(session_.reading().between_transactions);
  session_.HangUp();
  EXPECT_EQ(session_.auth_log(), (Log{"START LOGIN", "CANCEL"}));
  SessionHarness slow(ClearSetup());
  slow.Greet();
  slow.Send("AUTH LOGIN\r\n");
  EXPECT_EQ(slow.reading().deadline, slow.clock().Now() + 10min);
  EXPECT_EQ(slow.TimeOut().substr(0, 9), "421 4.4.2");
  EXPECT_EQ(slow.auth_log(), (Log{"START LOGIN", "CANCEL"}));
}

TEST_F(AuthTest, MayNotSubmit) {
  session_.Send("AUTH PLAIN " + Plain("nosubmit", "good") + "\r\n");
  EXPECT_EQ(session_.Send("MAIL FROM:<a@b.example>\r\n"), "550 5.7.1 nosubmit may not submit here\r\n");
}

// R22
TEST_F(AuthTest, AuthenticatedMayRelay) {
  session_.Send("AUTH PLAIN " + Plain("alice", "good") + "\r\n");
  session_.Send("MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(session_.Send("RCPT TO:<c@ext.example>\r\n"), "250 2.1.5 Recipient OK\r\n");
}

// A14: nobody's word is taken for AUTH=.
TEST_F(AuthTest, AuthParameterIsCheckedAndNotPassedOn) {
  session_.Send("AUTH PLAIN " + Plain("alice", "good") + "\r\n");
  EXPECT_EQ(session_.Send("MAIL FROM:<x@b.example> AUTH=hey+A\r\n").substr(0, 3), "501");
  EXPECT_EQ(session_.Send("MAIL FROM:<x@b.example> AUTH=he+YY\r\n").substr(0, 3), "501");
  EXPECT_EQ(session_.Send("MAIL FROM:<x@b.example> AUTH=admin@y.example\r\n"), "250 2.1.0 Sender OK\r\n");
  session_.Send("RCPT TO:<c@in.example>\r\n");
  EXPECT_EQ(session_.upstream_octets(), "MAIL FROM:<x@b.example>\r\nRCPT TO:<c@in.example>\r\n");
}

}  // namespace
}  // namespace gatepost::smtp
