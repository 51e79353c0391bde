// What an administrator may get wrong, as the API tells it: everything at once, each with the path of its field. Real
// gRPC. Shows issue "The whole virtual server", section "Bad input".
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/config/test_service.h"
#include "services/rpc/status_details.h"

namespace gatepost::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class BadInputTest : public testing::Test {
 protected:
  // The violations of creating it, "field: what is wrong", without the resource's own name, sorted.
  std::vector<std::string> Violations(const std::string& text, const std::string& id = "a") {
    v1::CreateVirtualServerRequest request;
    request.set_virtual_server_id(id);
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, request.mutable_virtual_server())) << text;
    v1::VirtualServer response;
    const grpc::Status status = stub_->CreateVirtualServer(TestContext().get(), request, &response);
    const rpc::ErrorDetails details = rpc::DecodeDetails(status);
    if (!status.ok()) EXPECT_EQ(details.reason, "INVALID_FIELDS") << status.error_message();
    std::vector<std::string> violations;
    for (const auto& violation : details.violations) {
      std::string field = violation.field;
      if (field.starts_with("virtual_server.")) field.erase(0, 15);
      violations.push_back(field + ": " + violation.description);
    }
    std::sort(violations.begin(), violations.end());
    return violations;
  }
  std::vector<std::string> Fields(const std::string& text, const std::string& id = "a") {
    std::vector<std::string> fields = Violations(text, id);
    for (std::string& field : fields) field.erase(field.find(": "));
    return fields;
  }

  TestService service_;
  std::unique_ptr<v1::VirtualServerService::Stub> stub_ =
      v1::VirtualServerService::NewStub(service_.Channel("operator/o"));
};

TEST_F(BadInputTest, OneRequestIsToldOfEverySectionAtOnce) {
  service_.world().PutCertificate("known");
  EXPECT_THAT(
      Fields(R"(
      display_name: "a\nb"
      fqdn: "mail..example.com"
      banner_text: "SMTP"
      pools: "East"
      listeners { address: "192.0.2.1" port: 25 }
      listeners { address: "0.0.0.0" port: 25 }
      listeners { address: "fe80::1%eth0" port: 70000 }
      listeners { address: "192.0.2.1" port: 26 proxy_protocol { required: true } }
      listeners { address: "192.0.2.1" port: 27 proxy_protocol { trusted_subnets: "10.0.0.0/255.0.255.0" } }
      certificates: "certificates/known"
      certificates: "certificates/unknown"
      local_domains { domain: "example.com" }
      local_domains { domain: "Example.COM" include_subdomains: true }
      connection_control {
        entries { subnet: "192.0.2.0/255.0.255.0" }
        entries { range: "192.0.2.20-192.0.2.10" }
        entries { host_name: "nobody.example" }
        entries { comment: "nothing" }
      }
      reverse_lookup { timeout { seconds: 60 } }
      authentication { basic { default_domain: "@" } submit { principals: "alice" } }
      tls { min_cipher_bits: 192 }
      relay {
        entries { domain: "-x.example" }
        authenticated { principals: "users/a" principals: "users/a" }
      }
      session_limits { idle_timeout { seconds: 1 } }
      message_limits { max_recipients: 99 }
      connection_limits { max_total: 2000000 }
      delivery {
        default_route { next_hops { host: "a b" port: 0 } tls { mode: REQUIRED } }
        dns_servers: "ns.example"
        timeouts { connect { seconds: 3600 } }
      }
      filters { block_lists { zone: "zen..example" answers: "192.0.2.1" } }
      logging { addresses: 77 })"),
      ElementsAre("authentication.basic.default_domain", "authentication.submit.principals[0]", "banner_text",
                  "certificates[1]", "connection_control.entries[0].subnet", "connection_control.entries[1].range",
                  "connection_control.entries[2].host_name", "connection_control.entries[3]",
                  "connection_limits.max_total", "delivery.default_route.next_hops[0].host",
                  "delivery.default_route.next_hops[0].port", "delivery.default_route.tls.ca_bundle_pem",
                  "delivery.dns_servers[0]", "delivery.timeouts.connect", "display_name",
                  "filters.block_lists[0].answers[0]", "filters.block_lists[0].zone", "fqdn", "listeners[1]",
                  "listeners[2].address", "listeners[2].port", "listeners[3].proxy_protocol.trusted_subnets",
                  "listeners[4].proxy_protocol.required", "listeners[4].proxy_protocol.trusted_subnets[0]",
                  "local_domains[1].domain", "logging.addresses", "message_limits.max_recipients", "pools[0]",
                  "relay.authenticated.principals[1]", "relay.entries[0].domain", "reverse_lookup.timeout",
                  "session_limits.idle_timeout", "tls.min_cipher_bits"));
}

TEST_F(BadInputTest, WhatIsNoEntryIsSaidInItsOwnWords) {
  const struct {
    const char* entry;
    const char* wrong;
  } kCases[] = {
      {R"(subnet: "192.0.2.0/255.0.255.0")", "mask"},
      {R"(subnet: "192.0.2.1/24")", "has bits beyond its mask; the subnet is 192.0.2.0/24"},
      {R"(subnet: "192.0.2.0/33")", ""},
      {R"(subnet: "2001:db8::1/32")", "has bits beyond its mask; the subnet is 2001:db8::/32"},
      {R"(range: "192.0.2.20-192.0.2.10")", "ends before it begins"},
      {R"(range: "192.0.2.20-2001:db8::1")", "mixes IPv4 and IPv6"},
      {R"(range: "192.0.2.20")", "is not a range"},
      {R"(address: "fe80::1%eth0")", ""},
      {R"(address: "192.0.2.01")", ""},
      {R"(address: "mail.example.com")", "is not an IP address"},
      {R"(domain: "a_b.example")", ""},
      {R"(domain: "192.0.2.1")", "is an address, not a name"},
      {R"(host_name: "a..example")", "has an empty label"},
      {R"(subnet: "10.0.0.0/8" host_name: "a.example")", "stands alone, or beside the address that was looked up"},
      {"", "must have an address, a subnet, a range, a domain or a host name"},
  };
  for (const auto& test : kCases) {
    for (const std::string list : {"relay", "connection_control"}) {
      const std::vector<std::string> violations =
          Violations("fqdn: 'a.example' " + list + " { entries { " + test.entry + " } }");
      ASSERT_EQ(violations.size(), 1u) << test.entry;
      EXPECT_THAT(violations[0], HasSubstr(test.wrong)) << test.entry;
      EXPECT_TRUE(violations[0].starts_with(list + ".entries[0]")) << violations[0];
    }
  }
}

TEST_F(BadInputTest, AnEntryInAnySpellingIsInAListOnce) {
  const std::string start = "fqdn: 'a.example' relay { entries { address: '192.0.2.1' } entries { ";
  for (const char* again : {"address: '192.0.2.1'", "address: '::ffff:192.0.2.1'", "subnet: '192.0.2.1/32'",
                            "subnet: '192.0.2.1/255.255.255.255'", "range: '192.0.2.1-192.0.2.1'"}) {
    const std::vector<std::string> violations = Violations(start + again + " } }");
    ASSERT_EQ(violations.size(), 1u) << again;
    EXPECT_THAT(violations[0], HasSubstr("is in the list already, as [0]")) << again;
  }
  EXPECT_THAT(Fields("fqdn: 'a.example' relay { entries { domain: 'example.com' } entries { domain: 'EXAMPLE.com' } }"),
              ElementsAre("relay.entries[1].domain"));
  EXPECT_THAT(Fields(start + "subnet: '192.0.2.0/24' } }"), ElementsAre())
      << "narrower entries may stand beside wider ones";
}

TEST_F(BadInputTest, ListenersAreUniqueInEveryPoolTheyShare) {
  const auto listener = [](const std::string& address, const std::string& pools) {
    return "fqdn: 'a.example' " + pools + " listeners { address: '" + address + "' port: 25 tls_mode: NONE }";
  };
  EXPECT_THAT(Fields(listener("192.0.2.1", "pools: 'east' pools: 'west'"), "first"), ElementsAre());
  EXPECT_THAT(Fields(listener("0.0.0.0", "pools: 'west'")), ElementsAre("listeners[0]"))
      << "a wildcard has every address";
  EXPECT_THAT(Fields(listener("192.0.2.1", "")), ElementsAre("listeners[0]")) << "of all pools";
  EXPECT_THAT(Fields(listener("::", "pools: 'west'"), "v6"), ElementsAre()) << "the other family";
  EXPECT_THAT(Fields(listener("0.0.0.0", "pools: 'north'"), "north"), ElementsAre()) << "another pool";
}

TEST_F(BadInputTest, ACertificateNeedsItsKey) {
  const auto stub = v1::CertificateService::NewStub(service_.Channel("operator/o"));
  v1::CreateCertificateRequest request;
  request.set_certificate_id("c");
  request.mutable_certificate()->set_certificate_chain_pem("-----BEGIN CERTIFICATE-----\n");
  v1::Certificate response;
  const rpc::ErrorDetails details =
      rpc::DecodeDetails(stub->CreateCertificate(TestContext().get(), request, &response));
  ASSERT_EQ(details.violations.size(), 1u);
  EXPECT_EQ(details.violations[0].field, "certificate.private_key_pem");
}

}  // namespace
}  // namespace gatepost::config
