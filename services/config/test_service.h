// The config service in the test's own process: real gRPC on a port of the kernel's choice, mutual TLS with identities that
// the test makes, a store in memory.
#pragma once

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/config/catalogue.h"
#include "services/config/certificate_service.h"
#include "services/config/dns_service.h"
#include "services/config/edge_registry.h"
#include "services/config/edge_service.h"
#include "services/config/handler.h"
#include "services/config/metrics.h"
#include "services/config/test_world.h"
#include "services/config/virtual_server_service.h"
#include "services/config/watch_hub.h"
#include "services/config/watch_service.h"
#include "services/rpc/channel.h"
#include "services/rpc/server.h"
#include "services/store/test_folder.h"
#include "services/tls/certificate.h"

namespace gatepost::config {

class TestService {
 public:
  explicit TestService(int log_fd = STDOUT_FILENO) : log_(clock_, base::Log::Options{.fd = log_fd}) {
    ca_key_ = *tls::GenerateKey(tls::KeyType::kEcdsaP256);
    ca_ = *tls::MakeCa(ca_key_, {.common_name = "test"});
    rpc::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.identity = Issue("config/default", true);
    auto server = rpc::StartServer(options, {&virtual_servers_, &certificates_, &edge_service_, &dns_service_, &watch_}, health_);
    EXPECT_TRUE(server.ok()) << server.status();
    if (!server.ok()) return;
    server_ = *std::move(server);
    port_ = server_->port();
  }
  ~TestService() {
    server_.reset();
    hub_.Stop();
  }

  // A certificate of the service's CA for spiffe://test/gatepost/{who}.
  rpc::IdentityFiles Issue(const std::string& who, bool with_address = false) {
    tls::LeafOptions leaf;
    leaf.common_name = who;
    leaf.uris = {"spiffe://test/gatepost/" + who};
    if (with_address) leaf.addresses = {*base::IpAddress::Parse("127.0.0.1")};
    const std::string key = *tls::GenerateKey(tls::KeyType::kEcdsaP256);
    const std::string base = folder_.path() + "/" + std::to_string(issued_++);
    Write(base + ".key", key);
    Write(base + ".crt", *tls::IssueLeaf(ca_, ca_key_, key, leaf));
    Write(base + ".ca", ca_);
    rpc::IdentityFiles files;
    files.cert = base + ".crt";
    files.key = base + ".key";
    files.ca = base + ".ca";
    return files;
  }

  // `who`: "operator/o", "edge/east".
  std::shared_ptr<grpc::Channel> Channel(const std::string& who) {
    std::shared_ptr<grpc::Channel>& channel = channels_[who];
    if (channel == nullptr) {
      auto made = rpc::MakeChannel({.address = Address(), .identity = Issue(who), .server_role = rpc::Role::kConfig});
      EXPECT_TRUE(made.ok()) << made.status();
      if (made.ok()) channel = *made;
    }
    return channel;
  }

  std::string Address() const { return "127.0.0.1:" + std::to_string(port_); }
  TestWorld& world() { return world_; }
  WatchHub& hub() { return hub_; }
  EdgeRegistry& edges() { return edges_; }
  Metrics& metrics() { return metrics_; }

 private:
  static void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

  const store::TestFolder folder_;
  int issued_ = 0;
  std::string ca_key_;
  std::string ca_;
  TestWorld world_;
  base::SystemClock clock_;  // Streams live in real time.
  base::Log log_;
  metrics::Registry registry_;
  Metrics metrics_{registry_};
  CertificateMaker maker_{world_.clock};
  Catalogue catalogue_{world_.repository, maker_, world_.hosts, world_.clock, world_.random};
  EdgeRegistry edges_{world_.clock};
  WatchHub hub_{world_.repository, log_, metrics_};
  rpc::Authorizer authorizer_{"test", nullptr};
  rpc::Calls calls_{authorizer_, log_, registry_};
  Handler handler_{calls_};
  VirtualServerServiceImpl virtual_servers_{handler_, catalogue_, world_.repository};
  CertificateServiceImpl certificates_{handler_, catalogue_, world_.repository};
  EdgeServiceImpl edge_service_{handler_, edges_, hub_};
  DnsServiceImpl dns_service_{handler_, catalogue_, world_.dns, world_.clock};
  WatchServiceImpl watch_{calls_, authorizer_, world_.repository, edges_, hub_, clock_, log_, metrics_};
  int port_ = 0;
  rpc::HealthService health_;
  std::unique_ptr<rpc::Server> server_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
};

// A context whose call cannot hang the test.
inline std::unique_ptr<grpc::ClientContext> TestContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  return context;
}

}  // namespace gatepost::config
