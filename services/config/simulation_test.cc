// SimulateSession as its callers see it: facts in, steps out, every violation at once.
#include "services/config/simulation.h"

#include <string>

#include "gatepost/config/v1/virtual_server.grpc.pb.h"
#include "services/config/test_service.h"
#include "services/rpc/status_details.h"

namespace gatepost::config {
namespace {

class SimulationTest : public testing::Test {
 protected:
  SimulationTest() {
    v1::CreateVirtualServerRequest request;
    request.set_virtual_server_id("mail");
    v1::VirtualServer* server = request.mutable_virtual_server();
    server->set_fqdn("mx.example");
    server->mutable_authentication()->set_anonymous(true);
    server->add_local_domains()->set_domain("in.example");
    server->mutable_relay()->add_entries()->set_subnet("192.0.2.0/28");
    server->mutable_filters()->add_block_lists()->set_zone("a.example");
    server->mutable_filters()->add_block_lists()->set_zone("b.example");
    v1::VirtualServer stored;
    const grpc::Status status = stub(kOperator)->CreateVirtualServer(TestContext().get(), request, &stored);
    EXPECT_TRUE(status.ok()) << status.error_message();
    revision_ = stored.revision();
    request_.set_name("virtualServers/mail");
    request_.mutable_client()->set_address("192.0.2.7");
    request_.set_sender("a@far.example");
    request_.add_recipients("x@far.example");
  }

  static constexpr char kOperator[] = "operator/o";

  std::unique_ptr<v1::VirtualServerService::Stub> stub(const std::string& who) {
    return v1::VirtualServerService::NewStub(service_.Channel(who));
  }

  grpc::Status Simulate() {
    response_.Clear();
    return stub("viewer/v")->SimulateSession(TestContext().get(), request_, &response_);
  }

  const v1::SimulatedStep& last() const { return response_.steps(response_.steps_size() - 1); }

  std::string Fields(const grpc::Status& status) {
    std::string fields;
    for (const auto& violation : rpc::DecodeDetails(status).violations) fields += violation.field + " ";
    return fields;
  }

  TestService service_;
  int64_t revision_ = 0;
  v1::SimulateSessionRequest request_;
  v1::SimulateSessionResponse response_;
};

TEST_F(SimulationTest, ViewersAreToldTheReplyTheRuleAndTheTrace) {
  const grpc::Status status = Simulate();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.revision(), revision_);
  ASSERT_EQ(response_.steps_size(), 4);
  EXPECT_EQ(response_.steps(0).kind(), v1::SimulatedStep::CONNECT);
  EXPECT_EQ(response_.steps(0).reply_lines(0), "220 mx.example ESMTP Gatepost");
  EXPECT_EQ(response_.steps(2).command(), "MAIL FROM:<a@far.example>");
  EXPECT_TRUE(last().accepted());
  EXPECT_EQ(last().reason(), "relay_allowed");
  EXPECT_EQ(last().rule(), "relay.entries[0]");
  ASSERT_EQ(last().trace_size(), 3);
  EXPECT_EQ(last().trace(0).rule(), "local_domains");
  EXPECT_FALSE(last().trace(0).matched());
  EXPECT_EQ(last().trace(1).rule(), "relay.entries[0]");
  EXPECT_EQ(last().trace(2).rule(), "filters.block_lists");

  request_.mutable_client()->set_address("192.0.2.16");
  ASSERT_TRUE(Simulate().ok());
  EXPECT_EQ(last().reply_lines(0), "550 5.7.1 Unable to relay for x@far.example");
  EXPECT_EQ(last().rule(), "relay.mode");
}

TEST_F(SimulationTest, FactsAreHeard) {
  request_.set_tls_mode(v1::Listener::IMPLICIT);
  v1::SimulatedIdentity* alice = request_.mutable_identity();
  alice->set_login("alice@in.example");
  alice->set_user("users/alice");
  alice->set_may_relay(false);
  request_.mutable_client()->set_address("198.51.100.1");
  ASSERT_TRUE(Simulate().ok());
  EXPECT_EQ(response_.steps(0).kind(), v1::SimulatedStep::TLS);
  EXPECT_EQ(response_.steps(3).command(), "AUTH PLAIN");
  EXPECT_EQ(last().rule(), "relay.mode") << "the user may not, and the list does not know the address";

  request_.clear_identity();
  request_.set_recipients(0, "b@in.example");
  request_.mutable_client()->add_listed_by("other.example");
  request_.mutable_client()->add_listed_by("B.example");
  ASSERT_TRUE(Simulate().ok());
  EXPECT_EQ(last().reply_lines(0), "550 5.7.1 198.51.100.1 is listed by b.example");
  request_.mutable_client()->clear_listed_by();
  request_.mutable_client()->set_block_lists_failed(true);
  ASSERT_TRUE(Simulate().ok());
  EXPECT_TRUE(last().accepted());
}

TEST_F(SimulationTest, ACandidateIsJudgedInsteadAndNotStored) {
  v1::VirtualServer* candidate = request_.mutable_candidate();
  candidate->set_fqdn("mx.example");
  candidate->mutable_connection_control()->add_entries()->set_address("192.0.2.7");
  const grpc::Status status = Simulate();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.revision(), 0);
  ASSERT_EQ(response_.steps_size(), 1);
  EXPECT_EQ(last().reply_lines(0), "554 mx.example Connection refused: 192.0.2.7 is not permitted");
  EXPECT_EQ(last().rule(), "connection_control.entries[0]");

  request_.set_name("virtualServers/not-there-yet");
  EXPECT_TRUE(Simulate().ok());
  request_.clear_candidate();
  EXPECT_EQ(Simulate().error_code(), grpc::StatusCode::NOT_FOUND);
  request_.set_name("virtualServers/mail");
  ASSERT_TRUE(Simulate().ok());
  EXPECT_EQ(response_.revision(), revision_);
  EXPECT_EQ(response_.steps_size(), 4);
}

TEST_F(SimulationTest, EveryViolationAtOnce) {
  request_.mutable_candidate()->set_fqdn("-");
  request_.mutable_candidate()->mutable_relay()->add_entries()->set_subnet("192.0.2.1/24");
  v1::SimulatedClient* client = request_.mutable_client();
  client->set_address("192.0.2.256");
  client->add_names("-");
  client->set_name_lookup_failed(true);
  client->add_listed_by("a.example");
  client->set_block_lists_failed(true);
  request_.set_tls_mode(v1::Listener::NONE);
  request_.mutable_tls()->set_cipher_bits(129);
  request_.mutable_identity()->set_user("alice");
  request_.mutable_identity()->add_groups("groups/A");
  request_.set_mechanism("PLAIN =");
  request_.set_sender("a@b.example>\r\nRCPT TO:<x@y.example");
  request_.set_recipients(0, std::string(1'001, 'x'));
  const grpc::Status status = Simulate();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Fields(status),
            "client.address client.names[0] client.name_lookup_failed client.block_lists_failed tls tls.cipher_bits "
            "identity.login identity.user identity.groups[0] mechanism sender recipients[0] candidate.fqdn "
            "candidate.relay.entries[0].subnet ");
  request_.Clear();
  EXPECT_EQ(Fields(Simulate()), "client.address name ");
}

TEST_F(SimulationTest, ListsAreBounded) {
  for (int i = 1; i < kMaxSimulatedRecipients; ++i) request_.add_recipients("b@in.example");
  EXPECT_TRUE(Simulate().ok());
  request_.add_recipients("b@in.example");
  EXPECT_EQ(Fields(Simulate()), "recipients ");
  request_.clear_recipients();
  for (int i = 0; i < kMaxSimulatedNames; ++i) request_.mutable_client()->add_names("a.example");
  EXPECT_TRUE(Simulate().ok());
  request_.mutable_client()->add_names("a.example");
  EXPECT_EQ(Fields(Simulate()), "client.names ");
}

}  // namespace
}  // namespace gatepost::config
