// `apply` against in-memory services that judge and store as the real ones do, over a real (unencrypted) gRPC channel.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "gatepost/auth/v1/user.grpc.pb.h"
#include "gatepost/config/v1/certificate.grpc.pb.h"
#include "gatepost/config/v1/virtual_server.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What the services have in common. `log` is what changed them, in order.
struct World {
  std::map<std::string, config::v1::VirtualServer> servers;
  std::map<std::string, config::v1::Certificate> certificates;
  std::map<std::string, auth::v1::User> users;
  std::vector<std::string> log;
  int revision = 0;
  bool unavailable = false;
};

class FakeServers final : public config::v1::VirtualServerService::Service {
 public:
  explicit FakeServers(World* world) : world_(world) {}

  grpc::Status GetVirtualServer(grpc::ServerContext*, const config::v1::GetVirtualServerRequest* request,
                                config::v1::VirtualServer* response) override {
    auto found = world_->servers.find(request->name());
    if (found == world_->servers.end()) return {grpc::StatusCode::NOT_FOUND, "there is no " + request->name()};
    *response = found->second;
    return grpc::Status::OK;
  }

  // One at a time, so that paging is walked.
  grpc::Status ListVirtualServers(grpc::ServerContext*, const config::v1::ListVirtualServersRequest* request,
                                  config::v1::ListVirtualServersResponse* response) override {
    auto at = request->page_token().empty() ? world_->servers.begin() : world_->servers.find(request->page_token());
    if (at == world_->servers.end()) return grpc::Status::OK;
    *response->add_virtual_servers() = at->second;
    if (++at != world_->servers.end()) response->set_next_page_token(at->first);
    return grpc::Status::OK;
  }

  grpc::Status CreateVirtualServer(grpc::ServerContext*, const config::v1::CreateVirtualServerRequest* request,
                                   config::v1::VirtualServer* response) override {
    *response = request->virtual_server();
    response->set_name("virtualServers/" + request->virtual_server_id());
    return Store(request->validate_only(), "create ", response);
  }

  grpc::Status UpdateVirtualServer(grpc::ServerContext*, const config::v1::UpdateVirtualServerRequest* request,
                                   config::v1::VirtualServer* response) override {
    *response = request->virtual_server();
    if (!response->etag().empty() && response->etag() != world_->servers[response->name()].etag()) {
      return {grpc::StatusCode::ABORTED, "the etag is not current"};
    }
    return Store(request->validate_only(), "update ", response);
  }

  grpc::Status DeleteVirtualServer(grpc::ServerContext*, const config::v1::DeleteVirtualServerRequest* request,
                                   google::protobuf::Empty*) override {
    world_->servers.erase(request->name());
    world_->log.push_back("delete " + request->name());
    return grpc::Status::OK;
  }

 private:
  grpc::Status Store(bool validate_only, const std::string& verb, config::v1::VirtualServer* server) {
    for (const std::string& certificate : server->certificates()) {
      if (world_->certificates.count(certificate) == 0)
        return {grpc::StatusCode::INVALID_ARGUMENT, "there is no " + certificate};
    }
    if (!server->has_banner_text()) server->set_banner_text("ESMTP Gatepost");
    server->set_state(config::v1::VirtualServer::STARTED);
    if (validate_only) return grpc::Status::OK;
    server->set_revision(++world_->revision);
    server->set_etag(std::to_string(world_->revision));
    world_->servers[server->name()] = *server;
    world_->log.push_back(verb + server->name());
    return grpc::Status::OK;
  }

  World* const world_;
};

class FakeCertificates final : public config::v1::CertificateService::Service {
 public:
  explicit FakeCertificates(World* world) : world_(world) {}

  grpc::Status GetCertificate(grpc::ServerContext*, const config::v1::GetCertificateRequest* request,
                              config::v1::Certificate* response) override {
    if (world_->unavailable) return {grpc::StatusCode::UNAVAILABLE, "the store is locked"};
    auto found = world_->certificates.find(request->name());
    if (found == world_->certificates.end()) return {grpc::StatusCode::NOT_FOUND, "there is no " + request->name()};
    *response = found->second;
    return grpc::Status::OK;
  }

  grpc::Status ListCertificates(grpc::ServerContext*, const config::v1::ListCertificatesRequest*,
                                config::v1::ListCertificatesResponse* response) override {
    for (const auto& [name, certificate] : world_->certificates) *response->add_certificates() = certificate;
    return grpc::Status::OK;
  }

  grpc::Status CreateCertificate(grpc::ServerContext*, const config::v1::CreateCertificateRequest* request,
                                 config::v1::Certificate* response) override {
    *response = request->certificate();
    response->set_name("certificates/" + request->certificate_id());
    response->clear_private_key_pem();
    if (request->validate_only()) return grpc::Status::OK;
    world_->certificates[response->name()] = *response;
    world_->log.push_back("create " + response->name());
    return grpc::Status::OK;
  }

  grpc::Status UpdateCertificate(grpc::ServerContext*, const config::v1::UpdateCertificateRequest* request,
                                 config::v1::Certificate* response) override {
    *response = request->certificate();
    response->clear_private_key_pem();
    if (request->validate_only()) return grpc::Status::OK;
    world_->certificates[response->name()] = *response;
    world_->log.push_back("update " + response->name());
    return grpc::Status::OK;
  }

  grpc::Status DeleteCertificate(grpc::ServerContext*, const config::v1::DeleteCertificateRequest* request,
                                 google::protobuf::Empty*) override {
    world_->certificates.erase(request->name());
    world_->log.push_back("delete " + request->name());
    return grpc::Status::OK;
  }

 private:
  World* const world_;
};

class FakeUsers final : public auth::v1::UserService::Service {
 public:
  explicit FakeUsers(World* world) : world_(world) {}

  grpc::Status GetUser(grpc::ServerContext*, const auth::v1::GetUserRequest* request,
                       auth::v1::User* response) override {
    auto found = world_->users.find(request->name());
    if (found == world_->users.end()) return {grpc::StatusCode::NOT_FOUND, "there is no " + request->name()};
    *response = found->second;
    return grpc::Status::OK;
  }

  grpc::Status CreateUser(grpc::ServerContext*, const auth::v1::CreateUserRequest* request,
                          auth::v1::User* response) override {
    *response = request->user();
    response->set_name("users/" + request->user_id());
    response->clear_password();
    if (request->validate_only()) return grpc::Status::OK;
    world_->users[response->name()] = *response;
    world_->log.push_back("create " + response->name() + " password=" + request->user().password());
    return grpc::Status::OK;
  }

  grpc::Status UpdateUser(grpc::ServerContext*, const auth::v1::UpdateUserRequest* request,
                          auth::v1::User* response) override {
    *response = request->user();
    if (request->validate_only()) return grpc::Status::OK;
    world_->users[response->name()] = *response;
    world_->log.push_back("update " + response->name() + " password=" + request->user().password());
    return grpc::Status::OK;
  }

 private:
  World* const world_;
};

class ApplyTest : public ::testing::Test {
 protected:
  ApplyTest() : servers_(&world_), certificates_(&world_), users_(&world_) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&servers_);
    builder.RegisterService(&certificates_);
    builder.RegisterService(&users_);
    server_ = builder.BuildAndStart();
    channel_ = server_->InProcessChannel({});
  }
  ~ApplyTest() override { server_->Shutdown(); }

  // gatepostctl apply -f - ARGUMENTS; what it printed is in out_ and err_.
  absl::Status Apply(const std::string& file, std::vector<std::string> arguments = {}) {
    std::istringstream in(file);
    std::ostringstream out;
    std::ostringstream err;
    Invocation invocation(in, out, err);
    invocation.UseChannel(Service::kConfig, channel_);
    invocation.UseChannel(Service::kAuth, channel_);
    CLI::App root("test", "gatepostctl");
    AddApply(&root, &invocation);
    arguments.insert(arguments.begin(), {"apply", "-f", "-"});
    std::reverse(arguments.begin(), arguments.end());
    root.parse(arguments);
    const absl::Status status = invocation.action();
    out_ = out.str();
    err_ = err.str();
    return status;
  }

  World world_;
  FakeServers servers_;
  FakeCertificates certificates_;
  FakeUsers users_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::string out_;
  std::string err_;
};

constexpr char kAll[] = R"(kind: VirtualServer
name: virtualServers/inbound
fqdn: mx.example.com
certificates: [certificates/mx]
---
kind: User
name: users/alice
login: alice@example.com
password: secret
---
kind: Certificate
name: certificates/mx
selfSigned: {dnsNames: [mx.example.com]}
)";

TEST_F(ApplyTest, WhatIsNamedByOthersIsCreatedFirst) {
  ASSERT_TRUE(Apply(kAll).ok());
  EXPECT_THAT(world_.log, ElementsAre("create certificates/mx", "create users/alice password=secret",
                                      "create virtualServers/inbound"));
  EXPECT_EQ(out_, "certificates/mx created\nusers/alice created\nvirtualServers/inbound created\n");
}

TEST_F(ApplyTest, ASecondTimeChangesNothing) {
  ASSERT_TRUE(Apply(kAll).ok());
  world_.log.clear();
  ASSERT_TRUE(Apply(kAll).ok());
  EXPECT_THAT(world_.log, IsEmpty());
  EXPECT_THAT(out_, HasSubstr("virtualServers/inbound unchanged\n"));
  // A password cannot be compared: that it did not count is said.
  EXPECT_THAT(out_, HasSubstr("users/alice unchanged (a password counts at creation alone"));
}

TEST_F(ApplyTest, AJsonArrayIsTheSame) {
  ASSERT_TRUE(Apply(R"([{"kind": "VirtualServer", "name": "inbound", "fqdn": "mx.example.com"}])").ok());
  EXPECT_THAT(world_.log, ElementsAre("create virtualServers/inbound"));
}

TEST_F(ApplyTest, OnlyWhatDiffersIsUpdatedAndTheDifferenceShown) {
  ASSERT_TRUE(Apply(kAll).ok());
  world_.log.clear();
  std::string changed = kAll;
  changed.replace(changed.find("mx.example.com"), 14, "in.example.com");
  ASSERT_TRUE(Apply(changed, {"--diff"}).ok());
  EXPECT_THAT(world_.log, ElementsAre("update virtualServers/inbound"));
  EXPECT_THAT(out_, HasSubstr("- fqdn: mx.example.com\n+ fqdn: in.example.com\n"));
  EXPECT_THAT(out_, HasSubstr("certificates/mx unchanged\n"));
}

TEST_F(ApplyTest, AnEtagOfOldMattersOnlyWhenSomethingIsToBeChanged) {
  ASSERT_TRUE(Apply("kind: VirtualServer\nname: a\nfqdn: a.example.com\n").ok());
  EXPECT_TRUE(Apply("kind: VirtualServer\nname: a\nfqdn: a.example.com\netag: old\n").ok());
  EXPECT_EQ(out_, "virtualServers/a unchanged\n");
  EXPECT_TRUE(absl::IsAborted(Apply("kind: VirtualServer\nname: a\nfqdn: b.example.com\netag: old\n")));
}

TEST_F(ApplyTest, AnUpdateOfAUserLeavesThePasswordAlone) {
  ASSERT_TRUE(Apply(kAll).ok());
  world_.log.clear();
  std::string changed = kAll;
  changed.replace(changed.find("alice@example.com"), 17, "alice@example.org");
  ASSERT_TRUE(Apply(changed).ok());
  EXPECT_THAT(world_.log, ElementsAre("update users/alice password="));
}

TEST_F(ApplyTest, ADryRunChangesNothingEvenWhenThingsDependOnEachOther) {
  ASSERT_TRUE(Apply(kAll, {"--dry-run"}).ok());
  EXPECT_THAT(world_.log, IsEmpty());
  EXPECT_THAT(out_, HasSubstr("virtualServers/inbound would be created (not judged yet: it needs certificates/mx)\n"));
}

TEST_F(ApplyTest, NothingIsDeletedWithoutPrune) {
  ASSERT_TRUE(Apply(kAll).ok());
  world_.log.clear();
  ASSERT_TRUE(Apply("kind: VirtualServer\nname: virtualServers/other\nfqdn: b.example.com\n").ok());
  EXPECT_THAT(world_.log, ElementsAre("create virtualServers/other"));
}

TEST_F(ApplyTest, PruneDeletesOnlyOfTheKindsInTheFile) {
  ASSERT_TRUE(Apply(kAll).ok());
  world_.servers["virtualServers/z"].set_name("virtualServers/z");
  world_.log.clear();
  ASSERT_TRUE(
      Apply("kind: VirtualServer\nname: virtualServers/other\nfqdn: b.example.com\n", {"--prune", "--yes"}).ok());
  EXPECT_THAT(world_.log,
              ElementsAre("create virtualServers/other", "delete virtualServers/inbound", "delete virtualServers/z"));
  EXPECT_EQ(world_.certificates.size(), 1u);
  EXPECT_EQ(world_.users.size(), 1u);
}

TEST_F(ApplyTest, PruneWithoutATerminalListsAndRefuses) {
  ASSERT_TRUE(Apply(kAll).ok());
  world_.log.clear();
  EXPECT_TRUE(
      IsUsageError(Apply("kind: VirtualServer\nname: virtualServers/other\nfqdn: b.example.com\n", {"--prune"})));
  EXPECT_THAT(world_.log, ElementsAre("create virtualServers/other"));
  EXPECT_THAT(err_, HasSubstr("  virtualServers/inbound\n"));
}

TEST_F(ApplyTest, EveryFaultOfAFileIsReportedAndNothingSent) {
  const absl::Status status = Apply(
      "kind: VirtualServer\nname: virtualServers/a\nfqdn: a.example.com\nfqdnn: x\n---\nkind: Router\nname: "
      "x\n---\nname: y\n---\nkind: User\nname: virtualServers/b\nlogin: b\n"
      "---\nkind: VirtualServer\nname: c\nfqdn: c\n---\nkind: VirtualServer\nname: virtualServers/c\nfqdn: c\n");
  EXPECT_TRUE(IsUsageError(status));
  const std::string text(status.message());
  EXPECT_THAT(text, HasSubstr("document 1, line 1: there is no field 'fqdnn'"));
  EXPECT_THAT(text, HasSubstr("document 2, line 6: kind 'Router' is not one of Certificate, Group, User, VirtualServer"));
  EXPECT_THAT(text, HasSubstr("document 3, line 9: `kind:` is missing"));
  EXPECT_THAT(text, HasSubstr("document 4, line 11: the name 'virtualServers/b' of a User must begin with users/"));
  EXPECT_THAT(text, HasSubstr("virtualServers/c is there twice"));
  EXPECT_THAT(world_.log, IsEmpty());
}

TEST_F(ApplyTest, AFailureNamesTheResource) {
  const absl::Status status =
      Apply("kind: VirtualServer\nname: virtualServers/a\nfqdn: a\ncertificates: [certificates/none]\n");
  EXPECT_EQ(status.message(), "virtualServers/a: there is no certificates/none");
  EXPECT_FALSE(IsUsageError(status));
}

TEST_F(ApplyTest, AnotherFailureThanNotFoundIsNotTakenForAbsence) {
  world_.unavailable = true;
  EXPECT_EQ(Apply(kAll).code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(world_.log, IsEmpty());
}

}  // namespace
}  // namespace gatepost::ctl
