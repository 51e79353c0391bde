#include "services/smtp/trace_header.h"

#include <gtest/gtest.h>

namespace gatepost::smtp {
namespace {

TraceFacts Facts() {
  TraceFacts facts;
  facts.client_name = "client.example";
  facts.client_address = "192.0.2.7";
  facts.fqdn = "mail.example.com";
  facts.virtual_server = "submission";
  facts.esmtp = true;
  facts.id = "abc.1";
  facts.recipient = "bob@example.com";
  facts.time = base::WallTime(std::chrono::seconds(1795519325));
  return facts;
}

TEST(TraceHeaderTest, NamesEverythingRfc5321AsksFor) {
  TraceFacts facts = Facts();
  facts.authenticated = true;
  facts.tls_version = "TLSv1.3";
  facts.tls_cipher = "TLS_AES_128_GCM_SHA256";
  EXPECT_EQ(ReceivedField(facts),
            "Received: from client.example ([192.0.2.7])\r\n"
            "\tby mail.example.com (Gatepost, submission)\r\n"
            "\twith ESMTPSA (TLSv1.3 cipher TLS_AES_128_GCM_SHA256)\r\n"
            "\tid abc.1\r\n"
            "\tfor <bob@example.com>;\r\n"
            "\tTue, 24 Nov 2026 11:22:05 +0000\r\n");
}

TEST(TraceHeaderTest, WithTypeFollowsRfc3848) {
  auto with = [](bool esmtp, bool tls, bool authenticated) {
    TraceFacts facts = Facts();
    facts.esmtp = esmtp;
    facts.authenticated = authenticated;
    if (tls) facts.tls_version = facts.tls_cipher = "x";
    std::string field = ReceivedField(facts);
    size_t start = field.find("with ") + 5;
    return field.substr(start, field.find_first_of(" \r", start) - start);
  };
  EXPECT_EQ(with(false, false, false), "SMTP");
  EXPECT_EQ(with(true, false, false), "ESMTP");
  EXPECT_EQ(with(true, true, false), "ESMTPS");
  EXPECT_EQ(with(true, false, true), "ESMTPA");
  EXPECT_EQ(with(true, true, true), "ESMTPSA");
}

// RFC 6531 4.3.
TEST(TraceHeaderTest, AnInternationalTransactionHasTypesOfItsOwn) {
  auto with = [](bool tls, bool authenticated) {
    TraceFacts facts = Facts();
    facts.smtputf8 = true;
    facts.authenticated = authenticated;
    if (tls) facts.tls_version = facts.tls_cipher = "x";
    std::string field = ReceivedField(facts);
    size_t start = field.find("with ") + 5;
    return field.substr(start, field.find_first_of(" \r", start) - start);
  };
  EXPECT_EQ(with(false, false), "UTF8SMTP");
  EXPECT_EQ(with(true, false), "UTF8SMTPS");
  EXPECT_EQ(with(false, true), "UTF8SMTPA");
  EXPECT_EQ(with(true, true), "UTF8SMTPSA");
  TraceFacts facts = Facts();
  facts.recipient = "\u00fc@example.com";
  EXPECT_NE(ReceivedField(facts).find("for <??@example.com>"), std::string::npos);
  facts.smtputf8 = true;
  EXPECT_NE(ReceivedField(facts).find("for <\u00fc@example.com>"), std::string::npos);
}

TEST(TraceHeaderTest, TheConfirmedNameStandsBeforeTheAddress) {
  TraceFacts facts = Facts();
  facts.client_host = "pc.example";
  std::string field = ReceivedField(facts);
  EXPECT_EQ(field.substr(0, field.find('\r')), "Received: from client.example (pc.example [192.0.2.7])");
}

TEST(TraceHeaderTest, ClientWithoutANameIsNamedByItsAddress) {
  TraceFacts facts = Facts();
  facts.client_name = "";
  facts.client_address = "2001:db8::1";
  facts.recipient = "";
  std::string field = ReceivedField(facts);
  EXPECT_EQ(field.substr(0, field.find('\r')), "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])");
  EXPECT_EQ(field.find("for <"), std::string::npos);
}

// Threats S4: whatever the facts hold, the field stays one field.
TEST(TraceHeaderTest, NothingAClientSaysEndsTheField) {
  TraceFacts facts = Facts();
  facts.client_name = "a\r\nX: (b";
  facts.client_host = "ptr)\r\nX: \x80(";
  facts.tls_version = "x)\r\n";
  facts.tls_cipher = "\x80\n";
  facts.virtual_server = "v)(";
  facts.id = "i;\n";
  facts.recipient = "a\r\n.\r\n@b";
  std::string field = ReceivedField(facts);
  for (size_t i = 0; i + 2 < field.size(); ++i) {
    if (field[i] == '\r') {
      EXPECT_EQ(field.substr(i, 3), "\r\n\t");
    }
    if (field[i] == '\n') {
      EXPECT_EQ(field[i - 1], '\r');
    }
    EXPECT_GE(static_cast<unsigned char>(field[i]), '\t');
    EXPECT_LT(static_cast<unsigned char>(field[i]), 0x7F);
  }
  EXPECT_EQ(field.substr(field.size() - 2), "\r\n");
}

}  // namespace
}  // namespace gatepost::smtp
