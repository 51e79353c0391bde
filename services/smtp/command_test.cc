// threats: A14, B2 (syntax), E2, E5, E8 (SIZE), P6 (RSET x), A1 (a long initial response), S6, T3 (an argument), I1.
#include "services/smtp/command.h"

#include <gtest/gtest.h>

#include <string>

namespace gatepost::smtp {
namespace {

using Kind = CommandError::Kind;

constexpr OfferedParameters kPlain{.size = true, .eight_bit_mime = true};
constexpr OfferedParameters kAll{
    .size = true, .eight_bit_mime = true, .binary_mime = true, .smtputf8 = true, .dsn = true};

template <typename T>
T Get(std::string_view line, const OfferedParameters& offered = kPlain) {
  ParsedCommand parsed = ParseCommand(line, offered);
  EXPECT_TRUE(std::holds_alternative<T>(parsed.command)) << line << ": alternative " << parsed.command.index();
  return std::holds_alternative<T>(parsed.command) ? std::get<T>(std::move(parsed.command)) : T();
}

// The kind of error; fails when there is none.
Kind ErrorOf(std::string_view line, const OfferedParameters& offered = kPlain) {
  const ParsedCommand parsed = ParseCommand(line, offered);
  EXPECT_TRUE(std::holds_alternative<CommandError>(parsed.command)) << line;
  const auto* error = std::get_if<CommandError>(&parsed.command);
  return error == nullptr ? Kind{255} : error->kind;
}

TEST(Command, VerbsInAnyCaseWithTrailingBlanks) {
  Get<NoopCommand>("noop");
  Get<QuitCommand>("QUIT  ");
  Get<DataCommand>("Data");
  EXPECT_EQ(ParseCommand("rcpt nonsense", kPlain).verb, Verb::kRcpt);
  EXPECT_EQ(ParseCommand("nonsense", kPlain).verb, Verb::kOther);
}

TEST(Command, ArgumentsWhereNoneMayBe) {
  for (const char* line : {"RSET x", "QUIT x", "DATA x", "STARTTLS x"})
    EXPECT_EQ(ErrorOf(line), Kind::kBadArgument) << line;
  Get<NoopCommand>("NOOP any thing");
  Get<HelpCommand>("HELP me");
  Get<VrfyCommand>("VRFY us\xc3\xa9r");
  EXPECT_EQ(ErrorOf("VRFY"), Kind::kBadArgument);
}

TEST(Command, Hello) {
  EXPECT_EQ(Get<EhloCommand>("EHLO client.example").client_name, "client.example");
  EXPECT_EQ(Get<EhloCommand>("EHLO [192.0.2.1]").client_name, "[192.0.2.1]");
  EXPECT_EQ(Get<EhloCommand>("EHLO").client_name, "");
  EXPECT_EQ(Get<HeloCommand>("HELO x").client_name, "x");
  EXPECT_EQ(ErrorOf("HELO"), Kind::kBadArgument);
  EXPECT_EQ(ErrorOf("EHLO a b"), Kind::kBadArgument);
  EXPECT_EQ(ErrorOf("EHLO caf\xc3\xa9"), Kind::kBadArgument);
  Get<EhloCommand>("EHLO " + std::string(255, 'a'));
  EXPECT_EQ(ErrorOf("EHLO " + std::string(256, 'a')), Kind::kBadArgument);
}

TEST(Command, UnknownVerbsAndOnesThatAreOff) {
  for (const char* line : {"", " NOOP", "XYZZY", "MAILFROM:<a@b>", "\xc3\xa9", "%s%n"}) Get<UnknownCommand>(line);
  for (const char* line :
       {"EXPN x", "XCLIENT ADDR=127.0.0.1 LOGIN=admin", "XFORWARD NAME=x", "ETRN x", "turn", "SEND FROM:<a@b>"}) {
    Get<NotImplementedCommand>(line);
  }
}

TEST(Command, HttpIsRecognised) {
  for (const char* line :
       {"GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT a:25 HTTP/1.1", "PUT /", "HEAD /", "OPTIONS *"})
    Get<HttpCommand>(line);
}

TEST(Command, AProxyHeaderIsRecognised) {
  for (const char* line : {"PROXY TCP4 127.0.0.1 127.0.0.1 1 25", "proxy UNKNOWN", "PROXY"})
    Get<ProxyHeaderCommand>(line);
}

TEST(Command, Mail) {
  const auto mail = Get<MailCommand>("MAIL FROM:<A@B.example> SIZE=1000 BODY=8BITMIME");
  EXPECT_EQ(mail.path.canonical(), "A@b.example");
  EXPECT_EQ(mail.size, 1000u);
  EXPECT_EQ(mail.body, BodyType::k8BitMime);
  EXPECT_TRUE(Get<MailCommand>("mail from:<>").path.null());
  EXPECT_EQ(Get<MailCommand>("MAIL FROM: <a@b>  body=7bit").body, BodyType::k7Bit);
  EXPECT_FALSE(Get<MailCommand>("MAIL FROM:<a@b>").size);
}

TEST(Command, MailThatIsWrong) {
  for (const char* line :
       {"MAIL", "MAIL ", "MAIL FROM", "MAIL FROM:", "MAIL TO:<a@b>", "MAIL  FROM:<a@b>", "MAIL FROM:<a@b>SIZE=1",
        "MAIL FROM:<a@b> =", "MAIL FROM:<a@b> SIZE==1", "MAIL FROM:<a@b> SI_ZE=1", "MAIL FROM:<a@b> X=\xc3\xa9"}) {
    EXPECT_EQ(ErrorOf(line), Kind::kBadArgument) << line;
  }
  EXPECT_EQ(ErrorOf("MAIL FROM:a@b"), Kind::kNoBrackets);
  EXPECT_EQ(ErrorOf("MAIL FROM:  <a@b>"), Kind::kNoBrackets) << "one blank is tolerated, two are not";
  EXPECT_EQ(ErrorOf("MAIL FROM:<a>"), Kind::kBadSender);
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@b@c>"), Kind::kBadSender);
  EXPECT_EQ(ErrorOf("MAIL FROM:<\xc3\xa9@b>"), Kind::kSenderNotAscii);
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@b> X=1"), Kind::kUnknownParameter);
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@b> NOTIFY=NEVER", kAll), Kind::kUnknownParameter);
}

TEST(Command, Size) {
  EXPECT_EQ(Get<MailCommand>("MAIL FROM:<a@b> SIZE=0").size, 0u);
  EXPECT_EQ(Get<MailCommand>("MAIL FROM:<a@b> SIZE=18446744073709551615").size, UINT64_MAX);
  EXPECT_EQ(Get<MailCommand>("MAIL FROM:<a@b> SIZE=99999999999999999999").size, UINT64_MAX);
  for (const char* value : {"-1", "", "1k", "0x10", "000000000000000000001", "1 SIZE=1", "1 size=2"}) {
    EXPECT_EQ(ErrorOf(std::string("MAIL FROM:<a@b> SIZE=") + value), Kind::kBadArgument) << value;
  }
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@b> SIZE"), Kind::kBadArgument);
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@b> SIZE=1", OfferedParameters()), Kind::kUnknownParameter) << "after HELO";
}

TEST(Command, BodyTypesThatAreNotOffered) {
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@b> BODY=BINARYMIME"), Kind::kBodyType);
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@b> BODY=8BITMIME", OfferedParameters()), Kind::kBodyType);
  EXPECT_EQ(Get<MailCommand>("MAIL FROM:<a@b> BODY=BINARYMIME", kAll).body, BodyType::kBinaryMime);
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@b> BODY=9BIT"), Kind::kBadArgument);
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@b> BODY"), Kind::kBadArgument);
}

TEST(Command, AuthParameterIsCheckedAndDropped) {
  for (const char* value : {"<>", "<admin@y>", "e+3Dmc2@example.com"})
    Get<MailCommand>(std::string("MAIL FROM:<x@y> AUTH=") + value);
  for (const char* value : {"hey+A", "he+YY", "a=b", ""}) {
    EXPECT_EQ(ErrorOf(std::string("MAIL FROM:<x@y> AUTH=") + value), Kind::kBadArgument) << value;
  }
}

TEST(Command, ParametersOfExtensionsThatAreNotOffered) {
  for (const char* line : {"MAIL FROM:<a@b> SMTPUTF8", "MAIL FROM:<a@b> RET=FULL", "MAIL FROM:<a@b> ENVID=x",
                           "RCPT TO:<a@b> NOTIFY=NEVER", "RCPT TO:<a@b> ORCPT=rfc822;a@b"}) {
    EXPECT_EQ(ErrorOf(line), Kind::kUnknownParameter) << line;
  }
}

TEST(Command, Rcpt) {
  EXPECT_EQ(Get<RcptCommand>("RCPT TO:<a@B>").path.canonical(), "a@b");
  EXPECT_EQ(Get<RcptCommand>("rcpt to: <postmaster>").path.canonical(), "postmaster");
  EXPECT_EQ(ErrorOf("RCPT TO:<>"), Kind::kBadRecipient);
  EXPECT_EQ(ErrorOf("RCPT TO:a@b"), Kind::kNoBrackets);
  EXPECT_EQ(ErrorOf("RCPT FROM:<a@b>"), Kind::kBadArgument);
  EXPECT_EQ(ErrorOf("RCPT TO:<\xc3\xa9@b>"), Kind::kRecipientNotAscii);
  EXPECT_EQ(ErrorOf("RCPT TO:<a@b> SIZE=1"), Kind::kUnknownParameter);
  EXPECT_EQ(ErrorOf("RCPT TO:<" + std::string(65, 'a') + "@b>"), Kind::kBadRecipient);
}

TEST(Command, DsnParameters) {
  const auto mail = Get<MailCommand>("MAIL FROM:<a@b> RET=HDRS ENVID=QQ+3D1", kAll);
  EXPECT_EQ(mail.dsn_return, DsnReturn::kHeaders);
  EXPECT_EQ(mail.envelope_id, "QQ=1");
  const auto rcpt = Get<RcptCommand>("RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c+2Bd@e", kAll);
  EXPECT_TRUE(rcpt.notify.success && rcpt.notify.delay && !rcpt.notify.failure && !rcpt.notify.never);
  EXPECT_EQ(rcpt.original_type, "rfc822");
  EXPECT_EQ(rcpt.original_address, "c+d@e");
  for (const std::string& line :
       {std::string("RCPT TO:<a@b> ORCPT=rfc822;a+0D+0ARCPT+20TO"), std::string("MAIL FROM:<a@b> ENVID=+00"),
        std::string("RCPT TO:<a@b> NOTIFY=NEVER,SUCCESS"), std::string("RCPT TO:<a@b> NOTIFY=SUCCESS,SUCCESS"),
        std::string("RCPT TO:<a@b> NOTIFY=SUCCESS NOTIFY=DELAY"), std::string("RCPT TO:<a@b> NOTIFY="),
        std::string("RCPT TO:<a@b> NOTIFY=,"), std::string("RCPT TO:<a@b> ORCPT=rfc822"),
        std::string("RCPT TO:<a@b> ORCPT=;a"), std::string("RCPT TO:<a@b> ORCPT=rfc822;"),
        std::string("MAIL FROM:<a@b> RET=BOTH"), std::string("MAIL FROM:<a@b> ENVID"),
        "MAIL FROM:<a@b> ENVID=" + std::string(101, 'x'), "RCPT TO:<a@b> ORCPT=rfc822;" + std::string(494, 'x')}) {
    EXPECT_EQ(ErrorOf(line, kAll), Kind::kBadArgument) << line;
  }
  Get<MailCommand>("MAIL FROM:<a@b> ENVID=" + std::string(100, 'x'), kAll);
  Get<RcptCommand>("RCPT TO:<a@b> ORCPT=rfc822;" + std::string(493, 'x'), kAll);
}

TEST(Command, Utf8AddressesNeedTheParameter) {
  EXPECT_EQ(ErrorOf("MAIL FROM:<\xc3\xa9@b>", kAll), Kind::kSenderNotAscii);
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@\xc3\xa9.example>", kAll), Kind::kSenderNotAscii);
  EXPECT_EQ(Get<MailCommand>("MAIL FROM:<\xc3\xa9@b> SMTPUTF8", kAll).path.canonical(), "\xc3\xa9@b");
  EXPECT_EQ(ErrorOf("MAIL FROM:<a@b> SMTPUTF8=1", kAll), Kind::kBadArgument);
  OfferedParameters utf8 = kAll;
  utf8.utf8_transaction = true;
  EXPECT_EQ(Get<RcptCommand>("RCPT TO:<\xc3\xa9@b>", utf8).path.canonical(), "\xc3\xa9@b");
}

TEST(Command, Auth) {
  EXPECT_EQ(Get<AuthCommand>("AUTH plain").mechanism, "PLAIN");
  EXPECT_FALSE(Get<AuthCommand>("AUTH PLAIN").initial_response);
  EXPECT_EQ(ParseCommand("AUTH PLAIN AGEAYg==", kPlain).verb, Verb::kAuth);
  const std::string line = "AUTH PLAIN AGEAYg==";
  EXPECT_EQ(Get<AuthCommand>(line).initial_response, "AGEAYg==");
  const std::string empty = "AUTH PLAIN =";
  EXPECT_EQ(Get<AuthCommand>(empty).initial_response, "=");
  const std::string blank = "AUTH PLAIN AGE AYg==";
  EXPECT_EQ(Get<AuthCommand>(blank).initial_response, "AGE AYg==") << "for the decoder to refuse";
  EXPECT_EQ(Get<AuthCommand>("AUTH SCRAM-SHA-256-PLUS").mechanism, "SCRAM-SHA-256-PLUS");
  for (const char* wrong : {"AUTH", "AUTH  PLAIN", "AUTH a!b", "AUTH abcdefghijklmnopqrstu"}) {
    EXPECT_EQ(ErrorOf(wrong), Kind::kBadArgument) << wrong;
  }
}

TEST(Command, InitialResponseOf12288OctetsIsTheLimit) {
  const std::string at_limit = "AUTH PLAIN " + std::string(12288, 'A');
  EXPECT_EQ(Get<AuthCommand>(at_limit).initial_response->size(), 12288u);
  EXPECT_EQ(ErrorOf(at_limit + "A"), Kind::kAuthTooLong);
}

TEST(Command, Bdat) {
  EXPECT_EQ(Get<BdatCommand>("BDAT 86").size, 86u);
  EXPECT_FALSE(Get<BdatCommand>("BDAT 86").last);
  EXPECT_TRUE(Get<BdatCommand>("bdat 0 last").last);
  EXPECT_EQ(Get<BdatCommand>("BDAT 18446744073709551615").size, UINT64_MAX);
  for (const char* line :
       {"BDAT", "BDAT -1", "BDAT 18446744073709551616", "BDAT 0x10", "BDAT LAST", "BDAT +5", "BDAT  5"}) {
    EXPECT_EQ(ErrorOf(line), Kind::kBadChunkSize) << line;
  }
  for (const char* line : {"BDAT 10 FIRST", "BDAT 10 LAST x", "BDAT 10  LAST"}) {
    EXPECT_EQ(ErrorOf(line), Kind::kBadChunk) << line;
    EXPECT_EQ(std::get<CommandError>(ParseCommand(line, kPlain).command).chunk_size, 10u);
  }
}

}  // namespace
}  // namespace gatepost::smtp
