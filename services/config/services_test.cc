// The services over real gRPC with mutual TLS. Shows threats.md "Per-RPC authorisation" (every method of the descriptors times
// every role) and "Service identity"; limits.md "gRPC message" (pages).
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "services/config/test_service.h"
#include "services/rpc/status_details.h"

namespace gatepost::config {
namespace {

class ServicesTest : public testing::Test {
 protected:
  // Calls any method with an empty request, unary or not.
  grpc::Status CallEmpty(const std::string& who, const std::string& method) {
    grpc::GenericStub stub(service_.Channel(who));
    grpc::CompletionQueue queue;
    const auto context = TestContext();
    auto call = stub.PrepareCall(context.get(), method, &queue);
    grpc::Status status;
    const grpc::Slice nothing;
    const grpc::ByteBuffer request(&nothing, 1);
    const auto wait = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    call->StartCall(nullptr);
    if (wait()) {
      call->WriteLast(request, grpc::WriteOptions(), nullptr);
      wait();
      // A status comes behind the messages.
      grpc::ByteBuffer response;
      do call->Read(&response, nullptr);
      while (wait());
    }
    call->Finish(&status, nullptr);
    wait();
    queue.Shutdown();
    return status;
  }

  TestService service_;
};

bool Allowed(rpc::Role role, const std::string& service, const std::string& method) {
  const bool reads = method.starts_with("Get") || method.starts_with("List") || method == "CheckDns" ||
                     method == "SimulateSession";
  if (service == "WatchService") return role == rpc::Role::kEdge;
  if (role == rpc::Role::kViewer) return reads;
  return role == rpc::Role::kOperator || role == rpc::Role::kAdmin;
}

TEST_F(ServicesTest, EveryMethodOfTheDescriptorsIsForItsRolesAlone) {
  const google::protobuf::FileDescriptor* const kFiles[] = {
      v1::VirtualServer::descriptor()->file(), v1::Certificate::descriptor()->file(), v1::Edge::descriptor()->file(),
      v1::Unit::descriptor()->file(), v1::CheckDnsRequest::descriptor()->file()};
  int methods = 0;
  for (const auto* file : kFiles) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        ++methods;
        const std::string& service = file->service(s)->name();
        const std::string& method = file->service(s)->method(m)->name();
        for (const rpc::Role role : rpc::kAllRoles) {
          const std::string who(rpc::RoleName(role));
          const grpc::Status status = CallEmpty(who + "/x", "/" + file->service(s)->full_name() + "/" + method);
          const std::string what = who + " calls " + service + "." + method + ": " + status.error_message();
          if (Allowed(role, service, method)) {
            EXPECT_NE(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << what;
            EXPECT_NE(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << what;
            EXPECT_NE(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << what;
            EXPECT_NE(status.error_code(), grpc::StatusCode::UNAVAILABLE) << what;
          } else {
            EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << what;
          }
        }
      }
    }
  }
  EXPECT_EQ(methods, 20);
}

TEST_F(ServicesTest, AnotherCaAndNoCertificateAreRefused) {
  TestService other;
  auto channel = rpc::MakeChannel({.address = service_.Address(), .identity = other.Issue("admin/x"), .server_role = rpc::Role::kConfig});
  ASSERT_TRUE(channel.ok());
  v1::VirtualServer response;
  v1::GetVirtualServerRequest request;
  const auto context = TestContext();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(3));
  EXPECT_FALSE(v1::VirtualServerService::NewStub(*channel)->GetVirtualServer(context.get(), request, &response).ok())
      << "another CA";
  grpc::SslCredentialsOptions none;
  const auto bare = grpc::CreateChannel(service_.Address(), grpc::SslCredentials(none));
  const auto second = TestContext();
  second->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(3));
  EXPECT_FALSE(v1::VirtualServerService::NewStub(bare)->GetVirtualServer(second.get(), request, &response).ok())
      << "no certificate";
}

TEST_F(ServicesTest, ErrorsHaveReasonsAndAllViolations) {
  const auto stub = v1::VirtualServerService::NewStub(service_.Channel("operator/o"));
  v1::CreateVirtualServerRequest request;
  request.set_virtual_server_id("a");
  request.mutable_virtual_server()->set_fqdn("-");
  request.mutable_virtual_server()->add_listeners()->set_address("1.2.3");
  v1::VirtualServer response;
  rpc::ErrorDetails details =
      rpc::DecodeDetails(stub->CreateVirtualServer(TestContext().get(), request, &response));
  EXPECT_EQ(details.reason, "INVALID_FIELDS");
  EXPECT_EQ(details.domain, "gatepost");
  std::string fields;
  for (const auto& violation : details.violations) fields += violation.field + " ";
  EXPECT_EQ(fields, "virtual_server.fqdn virtual_server.listeners[0].address virtual_server.listeners[0].port "
                    "virtual_server.listeners[0].tls_mode ");

  v1::GetVirtualServerRequest get;
  get.set_name("virtualServers/nobody");
  const grpc::Status missing = stub->GetVirtualServer(TestContext().get(), get, &response);
  EXPECT_EQ(missing.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(rpc::DecodeDetails(missing).reason, "NOT_FOUND");
  EXPECT_EQ(missing.error_message(), "virtualServers/nobody does not exist");
}

TEST_F(ServicesTest, ListsPage) {
  const auto stub = v1::VirtualServerService::NewStub(service_.Channel("operator/o"));
  for (int i = 0; i < 60; ++i) {
    v1::CreateVirtualServerRequest request;
    request.set_virtual_server_id("s" + std::to_string(100 + i));
    request.mutable_virtual_server()->set_fqdn("a.example");
    v1::VirtualServer response;
    ASSERT_TRUE(stub->CreateVirtualServer(TestContext().get(), request, &response).ok());
  }
  v1::ListVirtualServersRequest request;
  v1::ListVirtualServersResponse response;
  ASSERT_TRUE(stub->ListVirtualServers(TestContext().get(), request, &response).ok());
  EXPECT_EQ(response.virtual_servers_size(), 50);
  EXPECT_EQ(response.virtual_servers(0).name(), "virtualServers/s100");
  request.set_page_token(response.next_page_token());
  response.Clear();
  ASSERT_TRUE(stub->ListVirtualServers(TestContext().get(), request, &response).ok());
  EXPECT_EQ(response.virtual_servers_size(), 10);
  EXPECT_EQ(response.virtual_servers(0).name(), "virtualServers/s150");
  EXPECT_EQ(response.next_page_token(), "");

  request.set_page_size(-1);
  EXPECT_EQ(stub->ListVirtualServers(TestContext().get(), request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_page_size(0);
  request.set_page_token("forged");
  EXPECT_EQ(stub->ListVirtualServers(TestContext().get(), request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  // A token of another list.
  v1::ListCertificatesRequest certificates;
  v1::ListVirtualServersRequest first;
  ASSERT_TRUE(stub->ListVirtualServers(TestContext().get(), first, &response).ok());
  certificates.set_page_token(response.next_page_token());
  v1::ListCertificatesResponse none;
  EXPECT_EQ(v1::CertificateService::NewStub(service_.Channel("operator/o"))
                ->ListCertificates(TestContext().get(), certificates, &none)
                .error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServicesTest, KeysGoInAndNeverOut) {
  const auto stub = v1::CertificateService::NewStub(service_.Channel("operator/o"));
  v1::CreateCertificateRequest request;
  request.set_certificate_id("c");
  request.mutable_certificate()->mutable_self_signed()->add_dns_names("a.example");
  v1::Certificate created;
  ASSERT_TRUE(stub->CreateCertificate(TestContext().get(), request, &created).ok());
  v1::Certificate read;
  v1::GetCertificateRequest get;
  get.set_name("certificates/c");
  ASSERT_TRUE(stub->GetCertificate(TestContext().get(), get, &read).ok());
  v1::ListCertificatesResponse list;
  ASSERT_TRUE(stub->ListCertificates(TestContext().get(), {}, &list).ok());
  for (const std::string& text : {created.DebugString(), read.DebugString(), list.DebugString()}) {
    EXPECT_EQ(text.find("PRIVATE KEY"), std::string::npos);
    EXPECT_NE(text.find("BEGIN CERTIFICATE"), std::string::npos);
  }
}

TEST_F(ServicesTest, StatesAreChangedByTheirMethods) {
  const auto stub = v1::VirtualServerService::NewStub(service_.Channel("operator/o"));
  service_.world().PutServer("a");
  v1::VirtualServer response;
  v1::StopVirtualServerRequest stop;
  stop.set_name("virtualServers/a");
  ASSERT_TRUE(stub->StopVirtualServer(TestContext().get(), stop, &response).ok());
  EXPECT_EQ(response.state(), v1::VirtualServer::STOPPED);
  v1::PauseVirtualServerRequest pause;
  pause.set_name("virtualServers/a");
  ASSERT_TRUE(stub->PauseVirtualServer(TestContext().get(), pause, &response).ok());
  EXPECT_EQ(response.state(), v1::VirtualServer::PAUSED);
  v1::StartVirtualServerRequest start;
  start.set_name("virtualServers/a");
  start.set_etag("stale");
  EXPECT_EQ(stub->StartVirtualServer(TestContext().get(), start, &response).error_code(), grpc::StatusCode::ABORTED);
  start.clear_etag();
  ASSERT_TRUE(stub->StartVirtualServer(TestContext().get(), start, &response).ok());
  EXPECT_EQ(response.state(), v1::VirtualServer::STARTED);
}

TEST_F(ServicesTest, ANameIsCheckedInDns) {
  const auto stub = v1::DnsService::NewStub(service_.Channel("viewer/v"));
  service_.world().dns.SetAddresses("a.example", {"192.0.2.1"});
  service_.world().dns.SetNames("192.0.2.1", {"a.example"});
  v1::CheckDnsRequest request;
  request.set_fqdn("A.Example");
  v1::CheckDnsResponse response;
  ASSERT_TRUE(stub->CheckDns(TestContext().get(), request, &response).ok());
  EXPECT_EQ(response.fqdn(), "a.example");
  ASSERT_EQ(response.addresses_size(), 1);
  EXPECT_TRUE(response.addresses(0).points_back());

  service_.world().PutServer("a");
  request.clear_fqdn();
  request.set_virtual_server("virtualServers/a");
  response.Clear();
  ASSERT_TRUE(stub->CheckDns(TestContext().get(), request, &response).ok());
  EXPECT_EQ(response.fqdn(), "a.example");
  EXPECT_EQ(response.findings(0).text(), "the virtual server has no listener");

  request.set_virtual_server("virtualServers/nobody");
  EXPECT_EQ(stub->CheckDns(TestContext().get(), request, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  for (const auto& [fqdn, server] : {std::pair{"", ""}, std::pair{"a.example", "virtualServers/a"},
                                     std::pair{"a..example", ""}, std::pair{"", "certificates/a"}}) {
    request.set_fqdn(fqdn);
    request.set_virtual_server(server);
    EXPECT_EQ(rpc::DecodeDetails(stub->CheckDns(TestContext().get(), request, &response)).reason, "INVALID_FIELDS")
        << fqdn << " " << server;
  }
}

TEST_F(ServicesTest, HostNamesAreLookedUpWhenAListIsStored) {
  const auto stub = v1::VirtualServerService::NewStub(service_.Channel("operator/o"));
  service_.world().dns.SetAddresses("scanner.example", {"192.0.2.1", "2001:db8::1"});
  v1::CreateVirtualServerRequest request;
  request.set_virtual_server_id("a");
  request.set_validate_only(true);
  request.set_request_id("r");
  v1::VirtualServer* server = request.mutable_virtual_server();
  server->set_fqdn("a.example");
  server->mutable_relay()->add_entries()->set_host_name("Scanner.Example");
  server->mutable_connection_control()->add_entries()->set_host_name("nobody.example");
  v1::VirtualServer response;
  const rpc::ErrorDetails details =
      rpc::DecodeDetails(stub->CreateVirtualServer(TestContext().get(), request, &response));
  ASSERT_EQ(details.violations.size(), 1u);
  EXPECT_EQ(details.violations[0].field, "virtual_server.connection_control.entries[0].host_name");
  EXPECT_EQ(details.violations[0].description, "does not resolve: DNS knows no address of this name");

  server->clear_connection_control();
  ASSERT_TRUE(stub->CreateVirtualServer(TestContext().get(), request, &response).ok());
  EXPECT_EQ(response.relay().entries_size(), 2) << "shown before it is stored";
  request.set_validate_only(false);
  ASSERT_TRUE(stub->CreateVirtualServer(TestContext().get(), request, &response).ok());
  ASSERT_EQ(response.relay().entries_size(), 2);
  EXPECT_EQ(response.relay().entries(0).address(), "192.0.2.1");
  EXPECT_EQ(response.relay().entries(1).host_name(), "scanner.example");

  // When its addresses change nothing happens, until it is looked up again. A repeated request is the same request.
  service_.world().dns.SetAddresses("scanner.example", {"192.0.2.7"});
  v1::VirtualServer repeated;
  ASSERT_TRUE(stub->CreateVirtualServer(TestContext().get(), request, &repeated).ok());
  EXPECT_EQ(repeated.relay().entries_size(), 2);
  v1::UpdateVirtualServerRequest update;
  *update.mutable_virtual_server() = response;
  ASSERT_TRUE(stub->UpdateVirtualServer(TestContext().get(), update, &response).ok());
  EXPECT_EQ(response.relay().entries_size(), 2);
  *update.mutable_virtual_server()->mutable_relay() = server->relay();
  ASSERT_TRUE(stub->UpdateVirtualServer(TestContext().get(), update, &response).ok());
  ASSERT_EQ(response.relay().entries_size(), 1);
  EXPECT_EQ(response.relay().entries(0).address(), "192.0.2.7");
}

}  // namespace
}  // namespace gatepost::config
