#include "services/metrics/metrics.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "services/metrics/exposer.h"

namespace gatepost::metrics {
namespace {

// One scrape, as Prometheus does it.
std::string Scrape(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string text;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    const std::string request = "GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n";
    EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    char buffer[4096];
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return text;
}

TEST(MetricsTest, TheSameNameAndLabelsAreTheSameMetric) {
  Registry registry;
  const Counter a = registry.AddCounter("x_total", "Help.", {{"verb", "MAIL"}});
  const Counter b = registry.AddCounter("x_total", "Help.", {{"verb", "MAIL"}});
  const Counter c = registry.AddCounter("x_total", "Help.", {{"verb", "RCPT"}});
  a.Increment();
  b.Increment(2);
  EXPECT_EQ(a.Value(), 3);
  EXPECT_EQ(c.Value(), 0);
  const std::string text = registry.Text();
  EXPECT_NE(text.find("x_total{verb=\"MAIL\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("x_total{verb=\"RCPT\"} 0"), std::string::npos) << text;
}

TEST(MetricsTest, AnEmptyHandleCountsNothing) {
  Counter().Increment();
  Gauge().Set(1);
  Gauge().Add(1);
  Histogram().Observe(1);
  EXPECT_EQ(Counter().Value(), 0);
  EXPECT_EQ(Gauge().Value(), 0);
}

TEST(MetricsTest, FunctionsAreAskedAtEachScrape) {
  Registry registry;
  double value = 1;
  registry.AddGaugeFunction("y", "Help.", [&] { return value; });
  registry.AddCounterFunction("z_total", "Help.", [&] { return value; });
  EXPECT_NE(registry.Text().find("\ny 1\n"), std::string::npos);
  value = 2;
  EXPECT_NE(registry.Text().find("\ny 2\n"), std::string::npos);
  EXPECT_NE(registry.Text().find("# TYPE z_total counter\nz_total 2\n"), std::string::npos) << registry.Text();
}

TEST(ExposerTest, MetricsAreServedOnTheirOwnPortAndATakenOneIsAnError) {
  Registry registry;
  registry.AddProcessMetrics("test");
  registry.AddHistogram("d_seconds", "Help.", DurationBuckets()).Observe(0.02);
  const auto exposer = Exposer::Start("127.0.0.1:0", registry);
  ASSERT_TRUE(exposer.ok()) << exposer.status();
  ASSERT_GT((*exposer)->port(), 0);
  const std::string text = Scrape((*exposer)->port());
  EXPECT_NE(text.find("gatepost_build_info{program=\"test\",version=\""), std::string::npos) << text;
  EXPECT_NE(text.find("d_seconds_bucket{le=\"0.025\"} 1"), std::string::npos);
  EXPECT_NE(text.find("process_resident_memory_bytes"), std::string::npos);
  EXPECT_TRUE(
      absl::IsUnavailable(Exposer::Start("127.0.0.1:" + std::to_string((*exposer)->port()), registry).status()));
  EXPECT_TRUE(absl::IsUnavailable(Exposer::Start("nonsense", registry).status()));
}

}  // namespace
}  // namespace gatepost::metrics
