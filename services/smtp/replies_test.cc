#include "services/smtp/replies.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gatepost::smtp {
namespace {

constexpr policy::Dialect kRfc = policy::Dialect::kRfc;
constexpr policy::Dialect kExchange = policy::Dialect::kExchange;

TEST(Reply, WritesOneLine) {
  EXPECT_EQ(Reply(250, "2.1.0", "Sender OK").ToString(), "250 2.1.0 Sender OK\r\n");
  EXPECT_EQ(Reply(334, "", "").ToString(), "334 \r\n");
}

TEST(Reply, WritesSeveralLines) {
  Reply reply(250, "", "mx.example Hello [192.0.2.1]");
  reply.more = {"SIZE 0", "PIPELINING"};
  EXPECT_EQ(reply.ToString(), "250-mx.example Hello [192.0.2.1]\r\n250-SIZE 0\r\n250 PIPELINING\r\n");
}

TEST(Reply, NoTextBeginsAnotherLine) {
  const Reply reply(550, "5.7.1", std::string("a\r\n250 OK\n\0b\xc3\xa9\x7f", 15));
  EXPECT_EQ(reply.ToString(), "550 5.7.1 a??250 OK??b???\r\n");
}

TEST(Reply, ALineHas512OctetsAtMost) {
  const std::string at_limit(512 - 2 - 10, 'x');
  EXPECT_EQ(Reply(550, "5.7.1", at_limit).ToString(), "550 5.7.1 " + at_limit + "\r\n");
  EXPECT_EQ(Reply(550, "5.7.1", at_limit + "y").ToString(), "550 5.7.1 " + at_limit + "\r\n");
  Reply many(250, "", std::string(600, 'a'));
  many.more = {std::string(600, 'b')};
  EXPECT_EQ(many.ToString().size(), 1024u);
}

TEST(Replies, AreTheOnesOfTheProtocolPage) {
  const struct {
    Reply reply;
    const char* line;
  } kCases[] = {
      {replies::Greeting("mx.example", ""), "220 mx.example ESMTP Gatepost"},
      {replies::Greeting("mx.example", "hi"), "220 mx.example hi"},
      {replies::ConnectionRefused("mx.example", "192.0.2.1"),
       "554 mx.example Connection refused: 192.0.2.1 is not permitted"},
      {replies::ReverseLookupFailed("mx.example"), "421 mx.example Reverse lookup failed, try again later"},
      {replies::TooManyConnections("mx.example"), "421 mx.example Too many connections"},
      {replies::NotAccepting("mx.example"), "421 mx.example Not accepting connections"},
      {replies::EarlyTalker("mx.example"), "554 mx.example Protocol error"},
      {replies::HelloLine("mx.example", "192.0.2.1"), "250 mx.example Hello [192.0.2.1]"},
      {replies::SenderOk(), "250 2.1.0 Sender OK"},
      {replies::RecipientOk(), "250 2.1.5 Recipient OK"},
      {replies::Ok(), "250 2.0.0 OK"},
      {replies::Help("https://example.com/"), "214 2.0.0 https://example.com/"},
      {replies::CannotVerify(), "252 2.5.2 Cannot VRFY, but will accept the message and attempt delivery"},
      {replies::Bye("mx.example"), "221 2.0.0 mx.example Closing"},
      {replies::StartMailInput(), "354 End data with <CR><LF>.<CR><LF>"},
      {replies::MessageAccepted("abc.1", "Ok: queued as 4F"), "250 2.0.0 Accepted abc.1 Ok: queued as 4F"},
      {replies::MessageAccepted("abc.1", ""), "250 2.0.0 Accepted abc.1"},
      {replies::ChunkAccepted(86), "250 2.0.0 86 octets received"},
      {replies::UnknownCommand(), "500 5.5.1 Command not recognized"},
      {replies::NotImplemented(), "502 5.5.1 Command not implemented"},
      {replies::SyntaxErrorClosing(), "500 5.5.2 Syntax error"},
      {replies::LineTooLong(), "500 5.5.2 Line too long"},
      {replies::ProtocolErrorClosing(), "554 5.5.0 Protocol error"},
      {replies::UnableToRelay("a@b.example"), "550 5.7.1 Unable to relay for a@b.example"},
      {replies::AuthenticationRequired(kRfc), "530 5.7.0 Authentication required"},
      {replies::AuthenticationRequired(kExchange), "530 5.7.1 Client was not authenticated"},
      {replies::MayNotSubmit("bob"), "550 5.7.1 bob may not submit here"},
      {replies::MayNotSendAs("bob", "a@b.example"), "550 5.7.1 bob may not send as a@b.example"},
      {replies::ClientNameUnknown(), "451 4.4.3 Reverse lookup failed, try again later"},
      {replies::BlockListsFailed(), "451 4.4.3 Block list lookup failed, try again later"},
      {replies::BlockListsDenied(), "550 5.7.1 Block list lookup failed"},
      {replies::ListedBy("192.0.2.1", "bl.example"), "550 5.7.1 192.0.2.1 is listed by bl.example"},
      {replies::TooManyRecipients(), "452 4.5.3 Too many recipients"},
      {replies::TlsRequired(), "530 5.7.0 Must issue a STARTTLS command first"},
      {replies::ReadyForTls(), "220 2.0.0 Ready to start TLS"},
      {replies::TlsNotAvailable(), "454 4.7.0 TLS not available"},
      {replies::EncryptionTooWeak(), "554 5.7.0 Command refused due to lack of security"},
      {replies::AuthAccepted(), "235 2.7.0 Authentication successful"},
      {replies::AuthRejected(kRfc), "535 5.7.8 Authentication credentials invalid"},
      {replies::AuthRejected(kExchange), "535 5.7.3 Authentication unsuccessful"},
      {replies::UnknownMechanism(kRfc), "504 5.5.4 Unrecognized authentication type"},
      {replies::UnknownMechanism(kExchange), "504 5.7.4 Unrecognized authentication type"},
      {replies::MechanismNeedsTls(), "538 5.7.11 Encryption required for requested authentication mechanism"},
      {replies::AuthUnavailable(), "454 4.7.0 Temporary authentication failure"},
      {replies::Challenge("VXNlcm5hbWU6"), "334 VXNlcm5hbWU6"},
      {replies::MessageTooBig(), "552 5.3.4 Message size exceeds fixed maximum message size"},
      {replies::TooManyHops(), "554 5.4.6 Too many hops"},
      {replies::UpstreamUnreachable(kExchange), "451 4.7.0 Temporary server error. Please try again later"},
      {replies::UpstreamLost(kExchange), "451 4.7.0 Temporary server error. Please try again later"},
      {replies::UpstreamMisconfigured(), "451 4.3.5 Next hop misconfigured"},
      {replies::IdleTimeout("mx.example"), "421 4.4.2 mx.example Idle for too long"},
      {replies::Closing("mx.example"), "421 4.3.2 mx.example Closing"},
      {replies::LoginRevoked("mx.example"), "421 4.7.0 mx.example Login revoked"},
  };
  for (const auto& test : kCases) EXPECT_EQ(test.reply.ToString(), std::string(test.line) + "\r\n");
}

TEST(Replies, HaveTheCodesOfTheProtocolPageWhereItsTextIsOurs) {
  const struct {
    Reply reply;
    const char* codes;
  } kCases[] = {
      {replies::BadSequence(), "503 5.5.1 "},
      {replies::NoValidRecipients(), "554 5.5.1 "},
      {replies::BadArgument(), "501 5.5.4 "},
      {replies::UnknownParameter(), "555 5.5.4 "},
      {replies::BadSender(), "501 5.1.7 "},
      {replies::BadRecipient(), "501 5.1.3 "},
      {replies::NoBrackets(), "501 5.5.4 "},
      {replies::SenderNotAscii(), "550 5.6.7 "},
      {replies::RecipientNotAscii(), "553 5.6.7 "},
      {replies::BinaryNeedsChunking(), "503 5.5.1 "},
      {replies::BodyTypeNotOffered(), "554 5.6.3 "},
      {replies::LineFlood("mx.example"), "421 4.7.0 mx.example "},
      {replies::NullSenderOneRecipient(), "550 5.5.3 "},
      {replies::OtherNextHop(), "452 4.5.3 "},
      {replies::AuthCancelled(), "501 5.7.0 "},
      {replies::AuthMalformed(), "501 5.5.2 "},
      {replies::AuthTooLong(), "500 5.5.6 "},
      {replies::MessageMalformed(BodyDefect::kBareCr), "550 5.6.0 "},
      {replies::MessageMalformed(BodyDefect::kBareLf), "550 5.6.0 "},
      {replies::MessageMalformed(BodyDefect::kNul), "550 5.6.0 "},
      {replies::MessageMalformed(BodyDefect::kLeadingBlank), "550 5.6.0 "},
      {replies::UpstreamUnreachable(kRfc), "451 4.4.1 "},
      {replies::UpstreamLost(kRfc), "451 4.4.2 "},
      {replies::UpstreamTlsNotOffered(), "451 4.7.4 "},
      {replies::UpstreamTlsFailed(), "451 4.7.5 "},
      {replies::NoUpstreamConnection(), "451 4.3.2 "},
      {replies::CommandTimeout("mx.example"), "421 4.4.2 mx.example "},
      {replies::DataTimeout("mx.example"), "421 4.4.2 mx.example "},
      {replies::SessionTimeout("mx.example"), "421 4.4.2 mx.example "},
      {replies::TooManyErrors("mx.example"), "421 4.7.0 mx.example "},
      {replies::TooManyIdleCommands("mx.example"), "421 4.7.0 mx.example "},
      {replies::TooManyRefusedRecipients("mx.example"), "421 4.7.0 mx.example "},
      {replies::TooManyMessages("mx.example"), "421 4.7.0 mx.example "},
      {replies::TooManyChunks("mx.example"), "421 4.7.0 mx.example "},
      {replies::TooManyAuthFailures("mx.example"), "421 4.7.0 mx.example "},
      {replies::SessionTooBig("mx.example"), "421 4.7.0 mx.example "},
  };
  for (const auto& test : kCases) {
    const std::string line = test.reply.ToString();
    EXPECT_TRUE(line.starts_with(test.codes)) << line << " should begin with " << test.codes;
    EXPECT_GT(line.size(), std::string(test.codes).size() + 2) << line << " says nothing";
  }
}

std::string Utf8Line(const std::string& text) {
  std::string line;
  Reply(550, "5.7.1", text).AppendTo(&line, /*utf8=*/true);
  return line;
}

// RFC 6531 3.7.4.2
TEST(Replies, Utf8PassesOnlyWhereItMayAndWhereItIsWellFormed) {
  EXPECT_EQ(Reply(550, "5.7.1", "\u00fc").ToString(), "550 5.7.1 ??\r\n");
  EXPECT_EQ(Utf8Line("\u00fc\r\n\x7f"), "550 5.7.1 \u00fc???\r\n");
  EXPECT_EQ(Utf8Line("\xc0\xae"), "550 5.7.1 ??\r\n");
  EXPECT_EQ(Utf8Line("a\xc3"), "550 5.7.1 a?\r\n");
}

TEST(Replies, ALineOfUtf8IsCutBetweenCharacters) {
  std::string text(499, 'x');
  EXPECT_EQ(Utf8Line(text + "\u00fcy").size(), 511u);
  EXPECT_TRUE(Utf8Line(text + "\u00fcy").ends_with("x\r\n"));
  EXPECT_TRUE(Utf8Line(text.substr(1) + "\u00fcy").ends_with("x\u00fc\r\n"));
  EXPECT_EQ(Utf8Line(text.substr(1) + "\u00fcy").size(), 512u);
}

TEST(Replies, EachErrorOfACommandHasItsOwn) {
  using Kind = CommandError::Kind;
  EXPECT_EQ(replies::ForError({Kind::kBadArgument}), replies::BadArgument());
  EXPECT_EQ(replies::ForError({Kind::kUnknownParameter}), replies::UnknownParameter());
  EXPECT_EQ(replies::ForError({Kind::kNoBrackets}), replies::NoBrackets());
  EXPECT_EQ(replies::ForError({Kind::kBadSender}), replies::BadSender());
  EXPECT_EQ(replies::ForError({Kind::kBadRecipient}), replies::BadRecipient());
  EXPECT_EQ(replies::ForError({Kind::kSenderNotAscii}), replies::SenderNotAscii());
  EXPECT_EQ(replies::ForError({Kind::kRecipientNotAscii}), replies::RecipientNotAscii());
  EXPECT_EQ(replies::ForError({Kind::kBodyType}), replies::BodyTypeNotOffered());
  EXPECT_EQ(replies::ForError({Kind::kAuthTooLong}), replies::AuthTooLong());
  EXPECT_EQ(replies::ForError({Kind::kBadChunkSize}), replies::BadArgument());
  EXPECT_EQ(replies::ForError({Kind::kBadChunk}), replies::BadArgument());
}

}  // namespace
}  // namespace gatepost::smtp
