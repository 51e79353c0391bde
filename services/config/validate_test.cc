// Every rule of validate.h, at its limit and beyond. Shows limits.md "Control plane" row 1 and "Defaults of a new virtual
// server"; failures.md row 30 (unknown fields and enum values are refused, never misread).
#include "services/config/validate.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "services/config/client_set.h"
#include "services/config/domain_name.h"
#include "services/config/limits.h"

namespace gatepost::config {
namespace {

using google::protobuf::TextFormat;

// A virtual server with the least that is valid, changed by `text`.
v1::VirtualServer Server(const std::string& text = "") {
  v1::VirtualServer server;
  EXPECT_TRUE(TextFormat::ParseFromString(R"(name: "virtualServers/a" fqdn: "mail.example.com")", &server));
  v1::VirtualServer change;
  EXPECT_TRUE(TextFormat::ParseFromString(text, &change)) << text;
  server.MergeFrom(change);
  return server;
}

std::vector<std::string> Fields(v1::VirtualServer server) {
  Violations violations;
  NormalizeAndValidate(&server, &violations);
  std::vector<std::string> fields;
  for (const Violation& violation : violations.list()) {
    EXPECT_FALSE(violation.description.empty()) << violation.field;
    fields.push_back(violation.field);
  }
  return fields;
}

std::vector<std::string> Fields(const std::string& text) { return Fields(Server(text)); }

using Strings = std::vector<std::string>;

v1::VirtualServer Normalized(const std::string& text = "") {
  v1::VirtualServer server = Server(text);
  Violations violations;
  NormalizeAndValidate(&server, &violations);
  EXPECT_TRUE(violations.empty()) << violations.list().front().field << ": " << violations.list().front().description;
  return server;
}

TEST(ValidateTest, TheLeastIsEnoughAndGetsTheDocumentedDefaults) {
  const v1::VirtualServer server = Normalized();
  EXPECT_EQ(server.display_name(), "a");
  EXPECT_EQ(server.banner_text(), "ESMTP Gatepost");
  EXPECT_EQ(server.dialect(), v1::VirtualServer::RFC);
  EXPECT_FALSE(server.authentication().anonymous());
  EXPECT_TRUE(server.authentication().basic().enabled());
  EXPECT_FALSE(server.authentication().basic().allow_clear_text_credentials());
  EXPECT_TRUE(server.authentication().integrated().enabled());
  EXPECT_TRUE(server.authentication().integrated().requires_tls());
  EXPECT_EQ(server.connection_control().mode(), v1::ALL_EXCEPT);
  EXPECT_EQ(server.relay().mode(), v1::ONLY_LIST);
  EXPECT_TRUE(server.relay().authenticated_may_relay());
  EXPECT_FALSE(server.tls().require_secure_channel());
  EXPECT_EQ(server.tls().min_version(), v1::Tls::TLS_1_2);
  EXPECT_EQ(server.message_limits().max_message_octets(), 37'748'736u);
  EXPECT_EQ(server.message_limits().max_recipients(), 1'000u);
  EXPECT_EQ(server.message_limits().max_hops(), 100u);
  EXPECT_EQ(server.connection_limits().max_per_source(), 50u);
  EXPECT_EQ(server.session_limits().idle_timeout().seconds(), 600);
  EXPECT_EQ(server.session_limits().max_auth_failures(), 3u);
  EXPECT_EQ(server.delivery().timeouts().final().seconds(), 540);
}

TEST(ValidateTest, WhatIsStoredIsAFixedPoint) {
  const v1::VirtualServer once = Normalized(R"(
    fqdn: "MAIL.Example.COM"
    listeners { address: "2001:DB8::0:1" port: 25 tls_mode: NONE }
    relay { entries { subnet: "10.0.0.0/255.0.0.0" } entries { address: "::ffff:192.0.2.1" } }
    local_domains { domain: "bücher.example" }
    delivery { default_route { next_hops { host: "MX.example.com" } } })");
  EXPECT_EQ(once.fqdn(), "mail.example.com");
  EXPECT_EQ(once.listeners(0).address(), "2001:db8::1");
  EXPECT_EQ(once.relay().entries(0).subnet(), "10.0.0.0/8");
  EXPECT_EQ(once.relay().entries(1).address(), "192.0.2.1");
  EXPECT_EQ(once.local_domains(0).domain(), "xn--bcher-kva.example");
  EXPECT_EQ(once.delivery().default_route().next_hops(0).host(), "mx.example.com");
  EXPECT_EQ(once.delivery().default_route().next_hops(0).port(), 25u);
  v1::VirtualServer twice = once;
  Violations violations;
  NormalizeAndValidate(&twice, &violations);
  EXPECT_TRUE(violations.empty());
  EXPECT_EQ(twice.SerializeAsString(), once.SerializeAsString());
}

TEST(ValidateTest, AllViolationsAreSaidAtOnce) {
  EXPECT_EQ(Fields(R"(
    fqdn: "-bad.example"
    banner_text: "Gatepost"
    listeners { address: "127.0.0.1" port: 25 tls_mode: NONE }
    listeners { address: "127.0.0.1" port: 26 tls_mode: NONE }
    listeners { address: "300.0.0.1" port: 0 tls_mode: NONE }
    session_limits { max_protocol_errors: 0 }
    message_limits { max_recipients: 99 }
    relay { entries { subnet: "10.0.0.1/8" } })"),
            (Strings{"virtual_server.fqdn", "virtual_server.banner_text", "virtual_server.listeners[2].address",
                     "virtual_server.listeners[2].port", "virtual_server.relay.entries[0].subnet",
                     "virtual_server.session_limits.max_protocol_errors", "virtual_server.message_limits.max_recipients"}));
}

TEST(ValidateTest, ManyViolationsAreCountedNotListed) {
  v1::VirtualServer server = Server();
  for (int i = 0; i < 500; ++i) server.add_local_domains()->set_domain("-");
  Violations violations;
  NormalizeAndValidate(&server, &violations);
  EXPECT_EQ(violations.list().size(), kMaxViolations);
  EXPECT_GT(violations.omitted(), 0u);
}

TEST(ValidateTest, AnFqdnIsNeeded) {
  v1::VirtualServer server = Server();
  server.clear_fqdn();
  EXPECT_EQ(Fields(server), Strings{"virtual_server.fqdn"});
}

TEST(ValidateTest, UnknownFieldsAndEnumValuesOfNewerClientsAreRefused) {
  v1::VirtualServer server = Server();
  server.mutable_tls()->GetReflection()->MutableUnknownFields(server.mutable_tls())->AddVarint(99, 1);
  EXPECT_EQ(Fields(server), Strings{"virtual_server.tls"});
  server = Server();
  server.mutable_relay()->set_mode(static_cast<v1::ListMode>(9));
  EXPECT_EQ(Fields(server), Strings{"virtual_server.relay.mode"});
  server = Server();
  server.add_listeners()->set_tls_mode(static_cast<v1::Listener::TlsMode>(9));
  const Strings fields = Fields(server);
  EXPECT_NE(std::find(fields.begin(), fields.end(), "virtual_server.listeners[0].tls_mode"), fields.end());
}

// Everything that is marked "Not enforced yet", each with a value that is not the default.
TEST(ValidateTest, WhatIsNotEnforcedIsRefusedUnlessAtItsDefault) {
  const struct {
    const char* text;
    const char* field;
  } kCases[] = {
      {"delivery { routes { domains { domain: 'a.example' } } }", "virtual_server.delivery.routes"},
      {"delivery { attempt_direct_delivery: true }", "virtual_server.delivery.attempt_direct_delivery"},
      {"delivery { max_connections: 1 }", "virtual_server.delivery.max_connections"},
      {"delivery { max_connections_per_next_hop: 1 }", "virtual_server.delivery.max_connections_per_next_hop"},
      {"delivery { default_route { authentication { user: 'u' password: 'p' } } }",
       "virtual_server.delivery.default_route.authentication"},
  };
  for (const auto& test : kCases) EXPECT_EQ(Fields(test.text), Strings{test.field}) << test.text;
}

TEST(ValidateTest, LookupsPermissionsAndPacesAreJudgedFieldByField) {
  const struct {
    const char* text;
    Strings fields;
  } kCases[] = {
      {"reverse_lookup { timeout { nanos: 100000000 } on_lookup_failure: ALLOW }", {}},
      {"reverse_lookup { timeout { nanos: 99000000 } }", {"virtual_server.reverse_lookup.timeout"}},
      {"reverse_lookup { timeout { seconds: 31 } }", {"virtual_server.reverse_lookup.timeout"}},
      {"connection_control { entries { domain: 'Example.com' } entries { domain: '-x' } entries { domain: 'example.COM' } }",
       {"virtual_server.connection_control.entries[1].domain", "virtual_server.connection_control.entries[2].domain"}},
      {"authentication { submit { principals: 'users/a' principals: 'groups/b' } send_as: OWN_ADDRESSES }", {}},
      {"authentication { submit { principals: 'users/a' principals: 'bob' principals: 'users/a' } }",
       {"virtual_server.authentication.submit.principals[1]", "virtual_server.authentication.submit.principals[2]"}},
      {"relay { authenticated { mode: ONLY_LIST principals: 'edges/a' } }",
       {"virtual_server.relay.authenticated.principals[0]"}},
      {"session_limits { banner_delay { seconds: 60 } } connection_limits { max_new_per_source_per_minute: 1000000 }", {}},
      {"session_limits { banner_delay { seconds: 61 } } connection_limits { max_new_per_source_per_minute: 1000001 }",
       {"virtual_server.session_limits.banner_delay", "virtual_server.connection_limits.max_new_per_source_per_minute"}},
      {"filters { block_lists { zone: 'bl.example' answers: '127.0.0.2' } on_lookup_failure: DENY }", {}},
      {"filters { block_lists { zone: 'bl.example' answers: '10.0.0.2' } block_lists { zone: 'BL.example' } }",
       {"virtual_server.filters.block_lists[0].answers[0]", "virtual_server.filters.block_lists[1].zone"}},
      {"listeners { address: '::1' port: 25 tls_mode: NONE proxy_protocol { required: true trusted_subnets: '10.0.0.0/8' } }",
       {}},
      {"listeners { address: '::1' port: 25 tls_mode: NONE proxy_protocol { required: true } }",
       {"virtual_server.listeners[0].proxy_protocol.trusted_subnets"}},
      {"listeners { address: '::1' port: 25 tls_mode: NONE proxy_protocol { trusted_subnets: '10.0.0.1/8' } }",
       {"virtual_server.listeners[0].proxy_protocol.required",
        "virtual_server.listeners[0].proxy_protocol.trusted_subnets[0]"}},
      {"listeners { address: '::1' port: 25 tls_mode: NONE proxy_protocol { required: true trusted_subnets: '192.0.2.1'"
       " trusted_subnets: '192.0.2.1/255.255.255.255' } }",
       {"virtual_server.listeners[0].proxy_protocol.trusted_subnets[1]"}},
      {"delivery { dns_servers: '192.0.2.53' dns_servers: '192.0.2.53:53' }", {"virtual_server.delivery.dns_servers[1]"}},
      {"delivery { dns_servers: '192.0.2.53' dns_servers: '[2001:DB8::53]:5353' dns_servers: '2001:db8::53' }", {}},
      {"delivery { dns_servers: 'ns.example' dns_servers: '192.0.2.53:0' }",
       {"virtual_server.delivery.dns_servers[0]", "virtual_server.delivery.dns_servers[1]"}},
      {"delivery { ehlo_name: 'out.example.com' masquerade_domain: 'corp.example' }", {}},
      {"delivery { masquerade_domain: 'a@b.example' }", {"virtual_server.delivery.masquerade_domain"}},
      {"delivery { default_route { client_identity: XCLIENT } } reverse_lookup { annotate_received: true }", {}},
      {"delivery { default_route { client_identity: PROXY_V2 } }", {}},
      {"authentication { legacy_auth_line: true }", {}},
      {"delivery { ehlo_name: 'a b' }", {"virtual_server.delivery.ehlo_name"}},
  };
  for (const auto& test : kCases) EXPECT_EQ(Fields(test.text), test.fields) << test.text;
}

TEST(ValidateTest, TheSecureChannelIsJudgedFieldByField) {
  const std::string field = "virtual_server.tls.client_certificates";
  const std::string bundle = "ca_bundle_pem: '-----BEGIN CERTIFICATE-----'";
  const std::string a(64, 'a');
  const struct {
    std::string text;
    Strings fields;
  } kCases[] = {
      {"tls { min_cipher_bits: 256 min_version: TLS_1_3 unknown_name: REFUSE }", {}},
      {"tls { min_cipher_bits: 192 }", {"virtual_server.tls.min_cipher_bits"}},
      {"tls { client_certificates { mode: REQUESTED } }", {field + ".ca_bundle_pem"}},
      {"tls { client_certificates { mode: MANDATORY " + bundle + " } }", {}},
      {"tls { client_certificates { ca_bundle_pem: 'x' } }", {field + ".ca_bundle_pem"}},
      {"tls { client_certificates { mode: MANDATORY " + bundle + " refused_fingerprints: '" + a + "' refused_fingerprints: '" +
           a.substr(1) + "' refused_fingerprints: '" + std::string(64, 'A') + "' refused_fingerprints: '" + std::string(64, 'g') + "' } }",
       {field + ".refused_fingerprints[1]", field + ".refused_fingerprints[2]", field + ".refused_fingerprints[3]"}},
  };
  for (const auto& test : kCases) EXPECT_EQ(Fields(test.text), test.fields) << test.text;
}

TEST(ValidateTest, TenThousandFingerprintsMayBeRefused) {
  v1::VirtualServer server;
  server.set_fqdn("mail.example.com");
  for (int i = 0; i < 10'000; ++i) {
    const std::string digits = std::to_string(i);
    server.mutable_tls()->mutable_client_certificates()->add_refused_fingerprints(std::string(64 - digits.size(), '0') + digits);
  }
  Violations none;
  NormalizeAndValidate(&server, &none);
  EXPECT_TRUE(none.empty());
  server.mutable_tls()->mutable_client_certificates()->add_refused_fingerprints(std::string(64, 'f'));
  Violations one;
  NormalizeAndValidate(&server, &one);
  ASSERT_EQ(one.list().size(), 1u);
  EXPECT_EQ(one.list()[0].field, "virtual_server.tls.client_certificates.refused_fingerprints");
}

// Threats M3: policy knows addresses, names and suffixes; nowhere is there a pattern whose matching could cost time.
TEST(ValidateTest, NothingTakesAPattern) {
  const struct {
    const char* text;
    const char* field;
  } kCases[] = {
      {"connection_control { entries { domain: '(a+)+$' } }", "virtual_server.connection_control.entries[0].domain"},
      {"connection_control { entries { address: '10.*' } }", "virtual_server.connection_control.entries[0].address"},
      {"relay { entries { domain: '*.example.com' } }", "virtual_server.relay.entries[0].domain"},
      {"local_domains { domain: '(x+x+)+y' }", "virtual_server.local_domains[0].domain"},
      {"filters { block_lists { zone: '[a-z]*' } }", "virtual_server.filters.block_lists[0].zone"},
      {"delivery { masquerade_domain: '.*' }", "virtual_server.delivery.masquerade_domain"},
  };
  for (const auto& test : kCases) EXPECT_EQ(Fields(test.text), Strings{test.field}) << test.text;
}

TEST(ValidateTest, WhatIsNotEnforcedMayStandAtItsDefault) {
  Normalized(R"(
    reverse_lookup { timeout { seconds: 3 } on_lookup_failure: TEMPFAIL }
    authentication { integrated { requires_tls: true ntlm { target_name: "GATEPOST" } } send_as: ANY_ADDRESS }
    tls { min_cipher_bits: 128 client_certificates { mode: NOT_REQUESTED } }
    session_limits { banner_delay {} }
    delivery { default_route { client_identity: NOT_SENT authentication {} } }
    filters { timeout { seconds: 3 } on_lookup_failure: ALLOW })");
}

TEST(ValidateTest, ListenersOfOneVirtualServerMustNotOverlap) {
  const std::string start = "listeners { address: '127.0.0.1' port: 25 tls_mode: NONE } listeners { tls_mode: NONE ";
  EXPECT_EQ(Fields(start + "address: '127.0.0.1' port: 25 }"), Strings{"virtual_server.listeners[1]"});
  EXPECT_EQ(Fields(start + "address: '::ffff:127.0.0.1' port: 25 }"),
            (Strings{"virtual_server.listeners[1].address", "virtual_server.listeners[1]"}))
      << "a listener says what it is";
  EXPECT_EQ(Fields(start + "address: '0.0.0.0' port: 25 }"), Strings{"virtual_server.listeners[1]"});
  EXPECT_EQ(Fields(start + "address: '::' port: 25 }"), Strings{}) << "IPV6_V6ONLY: another family";
  EXPECT_EQ(Fields(start + "address: '127.0.0.1' port: 26 }"), Strings{});
  EXPECT_EQ(Fields(start + "address: 'fe80::1%eth0' port: 26 }"), Strings{"virtual_server.listeners[1].address"});
}

TEST(ValidateTest, ListenersThatSpeakTlsNeedACertificate) {
  EXPECT_EQ(Fields("listeners { address: '127.0.0.1' port: 25 }"), Strings{"virtual_server.listeners[0].tls_mode"});
  EXPECT_EQ(Fields("listeners { address: '127.0.0.1' port: 25 tls_mode: IMPLICIT }"),
            Strings{"virtual_server.listeners[0].tls_mode"});
  EXPECT_EQ(Fields("certificates: 'certificates/c' listeners { address: '127.0.0.1' port: 25 }"), Strings{});
  EXPECT_EQ(Fields("tls { require_secure_channel: true } listeners { address: '127.0.0.1' port: 25 tls_mode: NONE }"),
            Strings{"virtual_server.listeners[0].tls_mode"});
}

TEST(ValidateTest, CertificatesAreNamedOnceAndAtMostTwo) {
  EXPECT_EQ(Fields("certificates: 'certificates/a' certificates: 'certificates/b'"), Strings{});
  EXPECT_EQ(Fields("certificates: 'certificates/a' certificates: 'certificates/a'"),
            Strings{"virtual_server.certificates[1]"});
  EXPECT_EQ(Fields("certificates: 'certificates/a' certificates: 'certificates/b' certificates: 'certificates/c'"),
            Strings{"virtual_server.certificates"});
  EXPECT_EQ(Fields("certificates: 'users/a'"), Strings{"virtual_server.certificates[0]"});
}

// limits.md, Control plane: 32 listeners, 10,000 entries of a list, 10,000 local domains, 1 MiB.
TEST(ValidateTest, CountsAreLimited) {
  const auto listeners = [](int count) {
    v1::VirtualServer server = Server();
    for (int i = 0; i < count; ++i) {
      v1::Listener* listener = server.add_listeners();
      listener->set_address("127.0.0.1");
      listener->set_port(static_cast<uint32_t>(1'000 + i));
      listener->set_tls_mode(v1::Listener::NONE);
    }
    return Fields(server);
  };
  EXPECT_EQ(listeners(32), Strings{});
  EXPECT_EQ(listeners(33), Strings{"virtual_server.listeners"});
  const auto entries = [](int count) {
    v1::VirtualServer server = Server();
    for (int i = 0; i < count; ++i)
      server.mutable_relay()->add_entries()->set_address("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256));
    return Fields(server);
  };
  EXPECT_EQ(entries(10'000), Strings{});
  EXPECT_EQ(entries(10'001), Strings{"virtual_server.relay.entries"});
  const auto domains = [](int count) {
    v1::VirtualServer server = Server();
    for (int i = 0; i < count; ++i) server.add_local_domains()->set_domain("d" + std::to_string(i) + ".example");
    return Fields(server);
  };
  EXPECT_EQ(domains(10'000), Strings{});
  EXPECT_EQ(domains(10'001), Strings{"virtual_server.local_domains"});
}

TEST(ValidateTest, AResourceHasAtMostOneMebibyte) {
  v1::VirtualServer server = Server();
  const std::string label(60, 'a');
  for (int i = 0; i < 5'000; ++i)
    server.add_local_domains()->set_domain("d" + std::to_string(i) + "." + label + "." + label + "." + label + ".example");
  server.mutable_delivery()->mutable_default_route()->mutable_tls()->set_ca_bundle_pem("-----BEGIN CERTIFICATE-----");
  NormalizeAndValidate(&server, std::make_unique<Violations>().get());
  std::string* padding = server.mutable_delivery()->mutable_default_route()->mutable_tls()->mutable_ca_bundle_pem();
  const size_t before = server.ByteSizeLong();
  ASSERT_LT(before, kMaxVirtualServerOctets);
  // Lengths are written with more octets as they grow: the last step is found by trying.
  padding->append(kMaxVirtualServerOctets - before - 16, ' ');
  while (server.ByteSizeLong() < kMaxVirtualServerOctets) padding->push_back(' ');
  ASSERT_EQ(server.ByteSizeLong(), kMaxVirtualServerOctets);
  EXPECT_EQ(Fields(server), Strings{});
  padding->push_back(' ');
  EXPECT_EQ(Fields(server), Strings{"virtual_server"});
}

TEST(ValidateTest, NumbersHaveRanges) {
  const struct {
    const char* good;
    const char* bad;
    const char* field;
  } kCases[] = {
      {"message_limits { max_recipients: 100 }", "message_limits { max_recipients: 99 }", "message_limits.max_recipients"},
      {"message_limits { max_recipients: 100000 }", "message_limits { max_recipients: 100001 }", "message_limits.max_recipients"},
      {"message_limits { max_message_octets: 0 }", "message_limits { max_message_octets: 1099511627777 }", "message_limits.max_message_octets"},
      {"message_limits { max_hops: 1 }", "message_limits { max_hops: 0 }", "message_limits.max_hops"},
      {"message_limits { max_hops: 1000 }", "message_limits { max_hops: 1001 }", "message_limits.max_hops"},
      {"session_limits { max_protocol_errors: 1000 }", "session_limits { max_protocol_errors: 1001 }", "session_limits.max_protocol_errors"},
      {"session_limits { max_auth_failures: 10 }", "session_limits { max_auth_failures: 11 }", "session_limits.max_auth_failures"},
      {"session_limits { idle_timeout { seconds: 10 } }", "session_limits { idle_timeout { seconds: 9 nanos: 999999999 } }", "session_limits.idle_timeout"},
      {"session_limits { idle_timeout { seconds: 3600 } }", "session_limits { idle_timeout { seconds: 3600 nanos: 1 } }", "session_limits.idle_timeout"},
      {"session_limits { idle_timeout { seconds: 60 } }", "session_limits { idle_timeout { seconds: 9223372036854775807 } }", "session_limits.idle_timeout"},
      {"session_limits { idle_timeout { seconds: 60 } }", "session_limits { idle_timeout { seconds: 60 nanos: -1 } }", "session_limits.idle_timeout"},
      {"session_limits { max_auth_failure_delay { seconds: 1 } }", "session_limits { max_auth_failure_delay { nanos: 999999999 } }", "session_limits.max_auth_failure_delay"},
      {"delivery { timeouts { final { seconds: 570 } } }", "delivery { timeouts { final { seconds: 571 } } }", "delivery.timeouts.final"},
      {"delivery { timeouts { connect { nanos: 100000000 } } }", "delivery { timeouts { connect { nanos: 99999999 } } }", "delivery.timeouts.connect"},
      {"delivery { default_route { next_hops { host: 'a' port: 65535 } } }", "delivery { default_route { next_hops { host: 'a' port: 65536 } } }", "delivery.default_route.next_hops[0].port"},
      {"delivery { default_route { next_hops { host: '::1' } } }", "delivery { default_route { next_hops { host: '1.2.3' } } }", "delivery.default_route.next_hops[0].host"},
      {"tls { min_cipher_bits: 128 }", "tls { min_cipher_bits: 0 }", "tls.min_cipher_bits"},
      {"pools: 'edge'", "pools: 'Edge'", "pools[0]"},
      {"pools: 'a' pools: 'b'", "pools: 'a' pools: 'a'", "pools[1]"},
      {"banner_text: 'ESMTP'", "banner_text: 'ESMTPX'", "banner_text"},
      {"banner_text: 'ESMTP a'", "banner_text: 'ESMTP \\r\\n'", "banner_text"},
      {"display_name: 'Büro'", "display_name: 'a\\nb'", "display_name"},
      {"authentication { basic { default_domain: 'example.com' } }", "authentication { basic { default_domain: 'a b' } }", "authentication.basic.default_domain"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(Fields(test.good), Strings{}) << test.good;
    EXPECT_EQ(Fields(test.bad), Strings{std::string("virtual_server.") + test.field}) << test.bad;
  }
}

TEST(ValidateTest, RequiredTlsTowardsNextHopsNeedsCas) {
  EXPECT_EQ(Fields("delivery { default_route { tls { mode: REQUIRED } } }"),
            Strings{"virtual_server.delivery.default_route.tls.ca_bundle_pem"});
  EXPECT_EQ(Fields("delivery { default_route { tls { mode: REQUIRED ca_bundle_pem: '-----BEGIN CERTIFICATE-----' } } }"),
            Strings{});
  EXPECT_EQ(Fields("delivery { default_route { tls { ca_bundle_pem: '-----BEGIN CERTIFICATE----- -----BEGIN PRIVATE "
                   "KEY-----' } } }"),
            Strings{"virtual_server.delivery.default_route.tls.ca_bundle_pem"});
}

bool Open(const std::string& text) {
  const Strings fields = Fields("listeners { address: '0.0.0.0' port: 25 tls_mode: NONE } " + text);
  EXPECT_TRUE(fields.empty() || fields == Strings{"virtual_server.relay"}) << text << ": " << fields[0];
  return !fields.empty();
}

TEST(OpenRelayTest, IsWhereAnonymousClientsOfTheWholeInternetMayRelay) {
  const std::string anonymous = "authentication { anonymous: true } ";
  EXPECT_FALSE(Open(anonymous));
  EXPECT_FALSE(Open("relay { mode: ALL_EXCEPT }")) << "nobody is anonymous";
  EXPECT_TRUE(Open(anonymous + "relay { mode: ALL_EXCEPT }"));
  EXPECT_TRUE(Open(anonymous + "relay { mode: ALL_EXCEPT entries { address: '192.0.2.1' } }"));
  EXPECT_TRUE(Open(anonymous + "relay { entries { subnet: '0.0.0.0/0' } }"));
  EXPECT_TRUE(Open(anonymous + "relay { entries { subnet: '0.0.0.0/1' } entries { subnet: '128.0.0.0/1' } }"));
  EXPECT_FALSE(Open(anonymous + "relay { entries { range: '1.0.0.0-1.255.255.255' } }")) << "one organisation's /8";
  EXPECT_TRUE(Open(anonymous + "relay { entries { range: '1.0.0.0-2.0.0.0' } }"));
  EXPECT_FALSE(Open(anonymous + "relay { entries { subnet: '10.0.0.0/8' } entries { subnet: '192.168.0.0/16' } }"));
  EXPECT_FALSE(Open(anonymous + "relay { entries { address: '192.0.2.1' } }"));
  EXPECT_FALSE(Open(anonymous + "relay { mode: ALL_EXCEPT entries { subnet: '0.0.0.0/0' } }"));
}

TEST(OpenRelayTest, CountsOnlyWhoMayConnectAndInWhatFamily) {
  const std::string relay = "authentication { anonymous: true } relay { mode: ALL_EXCEPT } ";
  EXPECT_FALSE(Open(relay + "connection_control { mode: ONLY_LIST entries { subnet: '10.0.0.0/8' } }"));
  EXPECT_TRUE(Open(relay + "connection_control { mode: ALL_EXCEPT entries { subnet: '10.0.0.0/8' } }"));
  EXPECT_FALSE(Open("authentication { anonymous: true } relay { entries { subnet: '::/0' } }")) << "listens on IPv4 alone";
  EXPECT_EQ(Fields("listeners { address: '::' port: 25 tls_mode: NONE } authentication { anonymous: true }"
                   "relay { entries { subnet: '::/0' } }"),
            Strings{"virtual_server.relay"});
}

TEST(OpenRelayTest, IsAcceptedOnLoopbackOrOnPurposeAndIsSaid) {
  const std::string relay = "authentication { anonymous: true } relay { mode: ALL_EXCEPT allow_open_relay: true } ";
  EXPECT_TRUE(Normalized(relay + "listeners { address: '0.0.0.0' port: 25 tls_mode: NONE }").open_relay());
  EXPECT_FALSE(Normalized("authentication { anonymous: true } relay { mode: ALL_EXCEPT }"
                          "listeners { address: '127.0.0.1' port: 25 tls_mode: NONE }"
                          "listeners { address: '::1' port: 25 tls_mode: NONE }")
                   .open_relay());
  EXPECT_EQ(Fields("authentication { anonymous: true } relay { mode: ALL_EXCEPT entries { subnet: '0.0.0.0/0' } }"
                   "listeners { address: '127.0.0.1' port: 25 tls_mode: NONE"
                   "            proxy_protocol { required: true trusted_subnets: '127.0.0.1' } }"),
            Strings{"virtual_server.relay"})
      << "clients of a proxy on loopback come from anywhere, IPv6 too";
  EXPECT_EQ(Fields("authentication { anonymous: true } relay { mode: ALL_EXCEPT }"), Strings{"virtual_server.relay"})
      << "without listeners it is not known where it will listen";
}

TEST(DomainNameTest, IsCanonical) {
  EXPECT_EQ(*CanonicalDomain("Example.COM"), "example.com");
  EXPECT_EQ(*CanonicalDomain("localhost"), "localhost");
  EXPECT_EQ(*CanonicalDomain("BÜCHER.example"), "xn--bcher-kva.example");
  EXPECT_EQ(*CanonicalDomain("xn--bcher-kva.example"), "xn--bcher-kva.example");
  EXPECT_EQ(*CanonicalDomain("straße.example"), "xn--strae-oqa.example") << "nontransitional";
  EXPECT_TRUE(CanonicalDomain(std::string(63, 'a') + ".example").ok());
  for (const std::string& bad :
       {std::string(), std::string("."), std::string("a."), std::string(".a"), std::string("a..b"), std::string("-a.example"),
        std::string("a-.example"), std::string("a_b.example"), std::string("a b"), std::string("192.0.2.1"),
        std::string("xn--a-\xc3\xa4"), std::string("xn--99999999999"), std::string(64, 'a'), std::string("a\0b", 3),
        std::string("a\xe3\x80\x82\xe3\x80\x82""b"), std::string(2'000, 'a')}) {
    EXPECT_FALSE(CanonicalDomain(bad).ok()) << bad;
  }
}

TEST(DomainNameTest, HasAtMost253Octets) {
  std::string name;
  for (int i = 0; i < 3; ++i) name += std::string(63, 'a') + ".";
  EXPECT_TRUE(CanonicalDomain(name + std::string(61, 'b')).ok());
  EXPECT_FALSE(CanonicalDomain(name + std::string(62, 'b')).ok());
}

TEST(ResourceNameTest, FollowsThePattern) {
  for (const char* good : {"a", "a1", "a-b", "submission"}) EXPECT_TRUE(IsResourceId(good)) << good;
  EXPECT_TRUE(IsResourceId(std::string(63, 'a')));
  EXPECT_FALSE(IsResourceId(std::string(64, 'a')));
  for (const char* bad : {"", "1a", "-a", "a-", "A", "a_b", "a/b", "a.b", "ä"}) EXPECT_FALSE(IsResourceId(bad)) << bad;
  EXPECT_TRUE(IsResourceName("virtualServers/a", kVirtualServers));
  EXPECT_FALSE(IsResourceName("certificates/a", kVirtualServers));
  EXPECT_FALSE(IsResourceName("virtualServers/", kVirtualServers));
}

std::vector<std::string> CertificateFields(const std::string& text, bool exists = false) {
  v1::Certificate certificate;
  EXPECT_TRUE(TextFormat::ParseFromString(text, &certificate)) << text;
  Violations violations;
  ValidateCertificate(&certificate, exists, &violations);
  Strings fields;
  for (const Violation& violation : violations.list()) fields.push_back(violation.field);
  return fields;
}

TEST(ValidateCertificateTest, IsImportedOrSelfSigned) {
  EXPECT_EQ(CertificateFields(""), (Strings{"certificate.certificate_chain_pem", "certificate.private_key_pem"}));
  EXPECT_EQ(CertificateFields("certificate_chain_pem: 'x' private_key_pem: 'y'"), Strings{});
  EXPECT_EQ(CertificateFields("certificate_chain_pem: 'x'"), Strings{"certificate.private_key_pem"});
  EXPECT_EQ(CertificateFields("certificate_chain_pem: 'x'", true), Strings{}) << "its key is there";
  EXPECT_EQ(CertificateFields("self_signed { dns_names: 'mail.example.com' }"), Strings{});
  EXPECT_EQ(CertificateFields("self_signed { dns_names: 'a.example' } private_key_pem: 'y'"),
            Strings{"certificate.private_key_pem"});
  EXPECT_EQ(CertificateFields("self_signed {}"), Strings{"certificate.self_signed.dns_names"});
  EXPECT_EQ(CertificateFields("self_signed { dns_names: 'a b' valid_days: 0 key_type: ECDSA_P384 }"),
            (Strings{"certificate.self_signed.dns_names[0]", "certificate.self_signed.valid_days",
                     "certificate.self_signed.key_type"}));
  EXPECT_EQ(CertificateFields("self_signed { dns_names: 'a.example' valid_days: 3650 }"), Strings{});
  EXPECT_EQ(CertificateFields("self_signed { dns_names: 'a.example' valid_days: 3651 }"),
            Strings{"certificate.self_signed.valid_days"});
}

}  // namespace
}  // namespace gatepost::config
