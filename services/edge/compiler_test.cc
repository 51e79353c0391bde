// Row 7 of the failures: what cannot be compiled is refused as a whole; what did not change is not compiled again.
#include "services/edge/compiler.h"

#include <google/protobuf/text_format.h>

#include "gtest/gtest.h"
#include "services/base/strings.h"
#include "services/edge/metrics.h"

namespace gatepost::edge {
namespace {

class CompilerTest : public testing::Test {
 protected:
  static config::v1::Unit Parse(const std::string& text) {
    config::v1::Unit unit;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &unit)) << text;
    return unit;
  }
  static Resources With(const Resources& held, const config::v1::Unit& unit) {
    auto result = Merge(held, std::span(&unit, 1));
    EXPECT_TRUE(result.ok()) << result.status();
    return *std::move(result);
  }

  metrics::Registry registry_;
  Compiler compiler_{
      [this](const std::string& id) { return std::make_shared<const LazyServerMetrics>(registry_, id); }};
  const config::v1::Unit two_ = Parse(R"(epoch: "e" revision: 1 reset: true
      virtual_servers { name: "virtualServers/a" fqdn: "a.example"
                        delivery { default_route { next_hops { host: "192.0.2.1" } } } }
      virtual_servers { name: "virtualServers/b" fqdn: "b.example" })");
};

TEST_F(CompilerTest, WhatDidNotChangeIsTakenOver) {
  const Resources first = With({}, two_);
  const auto before = compiler_.Compile(first);
  ASSERT_TRUE(before.ok()) << before.status();
  const Resources second = With(first, Parse(R"(epoch: "e" revision: 2
      virtual_servers { name: "virtualServers/b" fqdn: "other.example" })"));
  const auto after = compiler_.Compile(second);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ((*after)->virtual_servers.at("virtualServers/a"), (*before)->virtual_servers.at("virtualServers/a"));
  EXPECT_NE((*after)->virtual_servers.at("virtualServers/b"), (*before)->virtual_servers.at("virtualServers/b"));
  EXPECT_EQ((*after)->virtual_servers.at("virtualServers/b")->settings().fqdn, "other.example");
}

TEST_F(CompilerTest, CountersOutliveAChange) {
  const Resources first = With({}, two_);
  const auto before = compiler_.Compile(first);
  const auto place = (*before)->virtual_servers.at("virtualServers/b")->limiter().Enter(base::IpAddress::V4(1), 1, 0);
  ASSERT_TRUE(place);
  const auto after = compiler_.Compile(With(first, Parse(R"(epoch: "e" revision: 2
      virtual_servers { name: "virtualServers/b" fqdn: "other.example" })")));
  EXPECT_FALSE((*after)->virtual_servers.at("virtualServers/b")->limiter().Enter(base::IpAddress::V4(1), 1, 0));
}

TEST_F(CompilerTest, OneBadVirtualServerRefusesTheUnitAndChangesNothing) {
  const Resources first = With({}, two_);
  const auto before = compiler_.Compile(first);
  const auto bad = compiler_.Compile(With(first, Parse(R"(epoch: "e" revision: 2
      virtual_servers { name: "virtualServers/a" fqdn: "changed.example" }
      virtual_servers { name: "virtualServers/b" fqdn: "b.example" delivery { attempt_direct_delivery: true } })")));
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.status().message().find("virtualServers/b"), absl::string_view::npos);
  const auto again = compiler_.Compile(first);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ((*again)->virtual_servers, (*before)->virtual_servers);
}

TEST_F(CompilerTest, ListenerWithTlsNeedsACertificateAndACertificateItsKey) {
  EXPECT_FALSE(compiler_
                   .Compile(With({}, Parse(R"(epoch: "e" revision: 1 reset: true
      virtual_servers { name: "virtualServers/a" fqdn: "a.example" listeners { address: "127.0.0.1" port: 25 } })")))
                   .ok());
  EXPECT_FALSE(compiler_
                   .Compile(With({}, Parse(R"(epoch: "e" revision: 1 reset: true
      virtual_servers { name: "virtualServers/a" fqdn: "a.example" certificates: "certificates/c" }
      certificates { name: "certificates/c" certificate_chain_pem: "x" })")))
                   .ok());
  EXPECT_FALSE(compiler_
                   .Compile(With({}, Parse(R"(epoch: "e" revision: 1 reset: true
      virtual_servers { name: "virtualServers/a" fqdn: "a.example" certificates: "certificates/c" }
      certificates { name: "certificates/c" certificate_chain_pem: "x" }
      secrets { certificate_key { certificate: "certificates/c" private_key_pem: "y" } })")))
                   .ok());
}

TEST_F(CompilerTest, RequiredTlsTowardsANextHopNeedsACa) {
  EXPECT_FALSE(compiler_
                   .Compile(With({}, Parse(R"(epoch: "e" revision: 1 reset: true
      virtual_servers { name: "virtualServers/a" fqdn: "a.example"
        delivery { default_route { next_hops { host: "192.0.2.1" } tls { mode: REQUIRED } } } })")))
                   .ok());
}

TEST_F(CompilerTest, WhatANextHopCanDoOutlivesAChange) {
  const Resources first = With({}, two_);
  const auto before = compiler_.Compile(first);
  smtp::Capabilities learnt;
  learnt.pipelining = true;
  (*before)->virtual_servers.at("virtualServers/a")->route()->hops.at(0).state->Learn(learnt);
  const auto after = compiler_.Compile(With(first, Parse(R"(epoch: "e" revision: 2
      virtual_servers { name: "virtualServers/a" fqdn: "c.example"
                        delivery { default_route { next_hops { host: "192.0.2.1" } } } })")));
  ASSERT_TRUE(after.ok());
  EXPECT_EQ((*after)->virtual_servers.at("virtualServers/a")->route()->capabilities(), learnt);
}

}  // namespace
}  // namespace gatepost::edge
