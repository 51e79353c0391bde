// Row 30 of the failures: what this edge does not know or does not enforce is refused, never misread.
#include "services/rpc/translate.h"

#include <google/protobuf/text_format.h>

#include "gtest/gtest.h"
#include "services/base/strings.h"

namespace gatepost::rpc {
namespace {

config::v1::VirtualServer Parse(const std::string& text) {
  config::v1::VirtualServer result;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      base::StrCat("name: 'virtualServers/a' fqdn: 'mx.example.com' ", text), &result))
      << text;
  return result;
}

TEST(TranslateTest, AbsentFieldsAreTheDefaults) {
  const auto result = Translate(Parse(""));
  ASSERT_TRUE(result.ok()) << result.status();
  const policy::VirtualServer defaults;
  EXPECT_EQ(result->id, "a");
  EXPECT_EQ(result->banner_text, defaults.banner_text);
  EXPECT_FALSE(result->authentication.anonymous);
  EXPECT_TRUE(result->authentication.basic);
  EXPECT_FALSE(result->authentication.allow_clear_text_credentials);
  EXPECT_EQ(result->connection_control.mode, policy::ListMode::kAllExcept);
  EXPECT_EQ(result->relay.list.mode, policy::ListMode::kOnlyList);
  EXPECT_TRUE(result->relay.authenticated_may_relay);
  EXPECT_EQ(result->limits.message_size, 37'748'736u);
  EXPECT_EQ(result->limits.recipients, 1000);
  EXPECT_EQ(result->limits.hops, 100);
  EXPECT_EQ(result->limits.connections_per_source, 50u);
  EXPECT_EQ(result->delivery.timeouts.final, std::chrono::minutes(9));
  EXPECT_EQ(result->delivery.tls.mode, policy::UpstreamTlsMode::kOff);
}

TEST(TranslateTest, FieldsReachTheirPlace) {
  const auto result = Translate(Parse(R"(
      state: PAUSED dialect: EXCHANGE banner_text: "ESMTP here"
      listeners { address: "::1" port: 465 tls_mode: IMPLICIT
                  proxy_protocol { required: true trusted_subnets: "10.0.0.0/8" } }
      local_domains { domain: "Example.COM" include_subdomains: true }
      connection_control { mode: ONLY_LIST entries { subnet: "10.0.0.0/255.0.0.0" } entries { range: "192.0.2.1-192.0.2.9" } }
      authentication { anonymous: true basic { enabled: false default_domain: "example.com" } }
      tls { require_secure_channel: true min_version: TLS_1_3 }
      relay { mode: ALL_EXCEPT entries { address: "2001:db8::1" } authenticated_may_relay: false }
      session_limits { idle_timeout { seconds: 30 } max_auth_failures: 5 min_data_rate: 0 }
      message_limits { max_message_octets: 0 max_hops: 7 }
      connection_limits { max_per_source: 0 max_total: 9 }
      delivery { default_route { next_hops { host: "mta" port: 2525 } next_hops { host: "192.0.2.7" }
                                 tls { mode: REQUIRED server_name: "mx" } }
                 dns_servers: "192.0.2.53" dns_servers: "[2001:db8::53]:5353"
                 timeouts { connect { nanos: 500000000 } } }
      logging { protocol_log: true addresses: DOMAIN })"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->state, policy::ServerState::kPaused);
  EXPECT_EQ(result->dialect, policy::Dialect::kExchange);
  ASSERT_EQ(result->listeners.size(), 1u);
  EXPECT_EQ(result->listeners[0].tls_mode, policy::TlsMode::kImplicit);
  EXPECT_TRUE(result->listeners[0].proxy.required);
  EXPECT_EQ(result->listeners[0].proxy.trusted, std::vector{*base::IpPrefix::Parse("10.0.0.0/8")});
  EXPECT_EQ(result->local_domains.at(0).domain, "example.com");
  EXPECT_TRUE(result->local_domains.at(0).include_subdomains);
  EXPECT_EQ(result->connection_control.mode, policy::ListMode::kOnlyList);
  EXPECT_EQ(std::get<base::IpPrefix>(result->connection_control.entries.at(0)).length, 8);
  EXPECT_TRUE(std::holds_alternative<base::IpRange>(result->connection_control.entries.at(1)));
  EXPECT_TRUE(result->authentication.anonymous);
  EXPECT_FALSE(result->authentication.basic);
  EXPECT_EQ(result->authentication.default_domain, "example.com");
  EXPECT_TRUE(result->tls.require_secure_channel);
  EXPECT_EQ(result->tls.min_version, policy::TlsVersion::kTls13);
  EXPECT_EQ(result->relay.list.mode, policy::ListMode::kAllExcept);
  EXPECT_FALSE(result->relay.authenticated_may_relay);
  EXPECT_EQ(std::get<base::IpPrefix>(result->relay.list.entries.at(0)).length, 128);
  EXPECT_EQ(result->limits.idle_timeout, std::chrono::seconds(30));
  EXPECT_EQ(result->limits.auth_failures, 5);
  EXPECT_EQ(result->limits.min_data_rate, 0u);
  EXPECT_EQ(result->limits.message_size, 0u);
  EXPECT_EQ(result->limits.hops, 7);
  EXPECT_EQ(result->limits.connections_per_source, 0u);
  EXPECT_EQ(result->limits.connections, 9u);
  EXPECT_EQ(result->delivery.next_hops.at(0).port, 2525);
  EXPECT_EQ(result->delivery.next_hops.at(1).port, 25);
  EXPECT_EQ(result->delivery.tls.mode, policy::UpstreamTlsMode::kRequired);
  EXPECT_EQ(result->delivery.dns_servers, (std::vector{*base::Endpoint::Parse("192.0.2.53:53"),
                                                       *base::Endpoint::Parse("[2001:db8::53]:5353")}));
  EXPECT_EQ(result->delivery.timeouts.connect, std::chrono::milliseconds(500));
  EXPECT_TRUE(result->protocol_log);
  EXPECT_EQ(result->log_addresses, policy::LogAddresses::kDomain);
}

TEST(TranslateTest, TheSecureChannelIsTakenOver) {
  const auto result = Translate(Parse(R"(tls {
      min_version: TLS_1_3 min_cipher_bits: 256 unknown_name: REFUSE
      client_certificates { mode: MANDATORY ca_bundle_pem: "pem" refused_fingerprints: "aa" } })"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->tls.min_version, policy::TlsVersion::kTls13);
  EXPECT_EQ(result->tls.min_cipher_bits, 256);
  EXPECT_EQ(result->tls.unknown_name, policy::UnknownName::kRefuse);
  EXPECT_EQ(result->tls.client_certificates.mode, policy::ClientCertificates::Mode::kMandatory);
  EXPECT_EQ(result->tls.client_certificates.ca_bundle_pem, "pem");
  EXPECT_EQ(result->tls.client_certificates.refused_fingerprints, std::vector<std::string>{"aa"});
  EXPECT_FALSE(Translate(Parse("tls { min_cipher_bits: 192 }")).ok());
  EXPECT_EQ(Translate(Parse("tls { client_certificates { mode: REQUESTED } }"))->tls.client_certificates.mode,
            policy::ClientCertificates::Mode::kRequested);
}

TEST(TranslateTest, WhatNextHopsAreToldOfClients) {
  const auto result = Translate(Parse(
      "delivery { masquerade_domain: 'Corp.example' default_route { client_identity: XCLIENT } } "
      "reverse_lookup { annotate_received: true } authentication { legacy_auth_line: true }"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->delivery.masquerade_domain, "corp.example");
  EXPECT_EQ(result->delivery.client_identity, policy::ClientIdentity::kXclient);
  EXPECT_TRUE(result->reverse_lookup.annotate_received);
  EXPECT_TRUE(result->authentication.legacy_auth_line);
  EXPECT_FALSE(Translate(Parse("delivery { masquerade_domain: 'a@b' }")).ok());
}

TEST(TranslateTest, WhatIsNotEnforcedIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"delivery { routes { } }", "delivery.routes"},
      {"delivery { attempt_direct_delivery: true }", "delivery.attempt_direct_delivery"},
      {"delivery { default_route { authentication { user: 'u' } } }", "delivery.default_route.authentication"},
  };
  for (const auto& [text, field] : cases) {
    const auto result = Translate(Parse(text));
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(base::FromAbsl(result.status().message()),
              base::StrCat("virtualServers/a: ", field, ": not enforced by this version of the edge"));
  }
}

TEST(TranslateTest, UnknownValuesOfALaterVersionAreRefused) {
  constexpr int kLater = 77;
  config::v1::VirtualServer server = Parse("");
  server.set_state(static_cast<config::v1::VirtualServer::State>(kLater));
  EXPECT_FALSE(Translate(server).ok());
  server = Parse("");
  server.mutable_relay()->set_mode(static_cast<config::v1::ListMode>(kLater));
  EXPECT_FALSE(Translate(server).ok());
  server = Parse("");
  server.mutable_connection_control()->set_mode(static_cast<config::v1::ListMode>(kLater));
  EXPECT_FALSE(Translate(server).ok());
  server = Parse("");
  server.mutable_tls()->set_min_version(static_cast<config::v1::Tls::Version>(kLater));
  EXPECT_FALSE(Translate(server).ok());
  server = Parse("");
  server.mutable_tls()->set_unknown_name(static_cast<config::v1::Tls::UnknownName>(kLater));
  EXPECT_FALSE(Translate(server).ok());
  server = Parse("");
  server.mutable_tls()->mutable_client_certificates()->set_mode(static_cast<config::v1::ClientCertificates::Mode>(kLater));
  EXPECT_FALSE(Translate(server).ok());
  server = Parse("");
  server.mutable_authentication()->set_send_as(static_cast<config::v1::Authentication::SendAs>(kLater));
  EXPECT_FALSE(Translate(server).ok());
  server = Parse("listeners { address: '::1' port: 25 }");
  server.mutable_listeners(0)->set_tls_mode(static_cast<config::v1::Listener::TlsMode>(kLater));
  EXPECT_FALSE(Translate(server).ok());
  server = Parse("");
  server.mutable_delivery()->mutable_default_route()->mutable_tls()->set_mode(
      static_cast<config::v1::UpstreamTls::Mode>(kLater));
  EXPECT_FALSE(Translate(server).ok());
  // An entry of a kind that this version does not have looks like an empty one.
  EXPECT_FALSE(Translate(Parse("connection_control { entries { comment: 'later' } }")).ok());
}

TEST(TranslateTest, LookupsPermissionsAndPacesReachTheirPlace) {
  const auto result = Translate(Parse(
      "revision: 7 connection_control { entries { domain: 'Spam.Example' } } "
      "reverse_lookup { timeout { nanos: 500000000 } on_lookup_failure: DENY } "
      "filters { block_lists { zone: 'bl.example' answers: '127.0.0.2' } timeout { seconds: 2 } on_lookup_failure: TEMPFAIL } "
      "authentication { submit { mode: ONLY_LIST principals: 'groups/staff' } send_as: OWN_ADDRESSES } "
      "relay { authenticated { principals: 'users/eve' } } "
      "session_limits { banner_delay { nanos: 250000000 } } connection_limits { max_new_per_source_per_minute: 30 }"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->revision, 7);
  EXPECT_EQ(std::get<policy::ClientDomain>(result->connection_control.entries.at(0)).domain, "spam.example");
  EXPECT_EQ(result->reverse_lookup.timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(result->reverse_lookup.on_lookup_failure, policy::OnLookupFailure::kDeny);
  EXPECT_EQ(result->filters.block_lists.at(0).zone, "bl.example");
  EXPECT_EQ(result->filters.block_lists.at(0).answers.at(0).ToString(), "127.0.0.2");
  EXPECT_EQ(result->filters.timeout, std::chrono::seconds(2));
  EXPECT_EQ(result->filters.on_lookup_failure, policy::OnLookupFailure::kTempfail);
  EXPECT_EQ(result->authentication.submit.mode, policy::ListMode::kOnlyList);
  EXPECT_EQ(result->authentication.submit.principals.at(0), "groups/staff");
  EXPECT_EQ(result->authentication.send_as, policy::SendAs::kOwnAddresses);
  EXPECT_EQ(result->relay.authenticated.principals.at(0), "users/eve");
  EXPECT_EQ(result->limits.banner_delay, std::chrono::milliseconds(250));
  EXPECT_EQ(result->limits.new_connections_per_minute, 30u);
}

// How much of an address is logged is not worth a refusal: the least.
TEST(TranslateTest, UnknownLoggingOfAddressesIsNone) {
  config::v1::VirtualServer server = Parse("");
  server.mutable_logging()->set_addresses(static_cast<config::v1::Logging::Addresses>(77));
  const auto result = Translate(server);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->log_addresses, policy::LogAddresses::kNone);
}

TEST(TranslateTest, MalformedAddressesAndDomainsAreRefused) {
  for (const char* text :
       {"listeners { address: 'localhost' port: 25 }", "listeners { address: '::1' port: 70000 }",
        "connection_control { entries { subnet: '10.0.0.1/8' } }",
        "connection_control { entries { address: '1.2.3' } }", "relay { entries { range: '10.0.0.9-10.0.0.1' } }",
        "local_domains { domain: '-x' }", "delivery { default_route { next_hops { host: '' } } }",
        "delivery { default_route { next_hops { host: 'a' port: 0 } } }"}) {
    EXPECT_FALSE(Translate(Parse(text)).ok()) << text;
  }
}

}  // namespace
}  // namespace gatepost::rpc
