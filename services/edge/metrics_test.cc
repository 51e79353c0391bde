#include "services/edge/metrics.h"

#include "gtest/gtest.h"

namespace gatepost::edge {
namespace {

TEST(CertificateExpiryTest, ShowsWhatIsServedAndZeroForWhatNoLongerIs) {
  metrics::Registry registry;
  CertificateExpiry expiry(registry);
  const auto shown = [&](const std::string& id, std::string_view key) {
    return registry
        .AddGauge("gatepost_edge_certificate_expiry_timestamp_seconds", "", {{"virtual_server", id}, {"key", key}})
        .Value();
  };
  expiry.Show({{{"a", "ecdsa"}, 1'800'000'000}, {{"a", "rsa"}, 1'900'000'000}});
  EXPECT_EQ(shown("a", "ecdsa"), 1'800'000'000);
  EXPECT_EQ(shown("a", "rsa"), 1'900'000'000);
  expiry.Show({{{"a", "ecdsa"}, 1'850'000'000}, {{"b", "rsa"}, 1'700'000'000}});
  EXPECT_EQ(shown("a", "ecdsa"), 1'850'000'000);
  EXPECT_EQ(shown("a", "rsa"), 0);
  EXPECT_EQ(shown("b", "rsa"), 1'700'000'000);
}

TEST(ServerMetricsTest, SuitesAreAClosedSet) {
  metrics::Registry registry;
  const ServerMetrics server(registry, "a");
  const auto counted = [&](std::string_view cipher) {
    return registry.AddCounter("gatepost_edge_tls_ciphers_total", "", {{"virtual_server", "a"}, {"cipher", cipher}}).Value();
  };
  policy::TlsFacts tls;
  tls.cipher = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
  server.TlsEstablished(tls);
  tls.cipher = "TLS_OF_TOMORROW";
  server.TlsEstablished(tls);
  EXPECT_EQ(counted("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"), 1);
  EXPECT_EQ(counted("other"), 1);
}

}  // namespace
}  // namespace gatepost::edge
