// `simulate` against a service that records what it is asked and answers from a script.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "gatepost/config/v1/virtual_server.grpc.pb.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {
namespace {

class FakeServers final : public config::v1::VirtualServerService::Service {
 public:
  grpc::Status SimulateSession(grpc::ServerContext*, const config::v1::SimulateSessionRequest* request,
                               config::v1::SimulateSessionResponse* response) override {
    asked = *request;
    *response = answer;
    return grpc::Status::OK;
  }
  config::v1::SimulateSessionRequest asked;
  config::v1::SimulateSessionResponse answer;
};

class SimulateTest : public testing::Test {
 protected:
  SimulateTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&servers_);
    server_ = builder.BuildAndStart();
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
  }

  // What is printed; an error's message if there is one.
  std::string Run(std::vector<std::string> arguments, Format format = Format::kText, const std::string& input = "") {
    std::istringstream in(input);
    std::ostringstream out;
    Invocation invocation(in, out, out);
    invocation.UseChannel(Service::kConfig, channel_);
    invocation.options.output = format;
    CLI::App root;
    AddSimulate(&root, &invocation);
    arguments.insert(arguments.begin(), "simulate");
    std::reverse(arguments.begin(), arguments.end());
    try {
      root.parse(arguments);
    } catch (const CLI::ParseError& error) {
      return error.what();
    }
    const absl::Status status = invocation.action();
    return status.ok() ? out.str() : (IsUsageError(status) ? "usage: " : "") + std::string(status.message());
  }

  FakeServers servers_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(SimulateTest, EveryOptionReachesTheService) {
  Run({"mail", "--client", "192.0.2.7", "--client-name", "a.example", "--client-name", "b.example", "--listed-by",
       "z.example", "--listener", "implicit", "--tls", "1.2", "--cipher-bits", "256", "--identity", "alice@in.example",
       "--mechanism", "LOGIN", "--user", "alice", "--group", "staff", "--may-not-relay", "--address", "x@in.example",
       "--bound-to", "@in.example", "--sender", "", "--recipient", "b@far.example"});
  const std::string expected =
      "name: \"virtualServers/mail\" tls_mode: IMPLICIT client { address: \"192.0.2.7\" names: \"a.example\" names: "
      "\"b.example\" listed_by: \"z.example\" } tls { version: TLS_1_2 cipher_bits: 256 } identity { login: "
      "\"alice@in.example\" user: \"users/alice\" groups: \"groups/staff\" may_relay: false addresses: "
      "\"x@in.example\" senders: \"@in.example\" } mechanism: \"LOGIN\" recipients: \"b@far.example\"";
  EXPECT_EQ(servers_.asked.ShortDebugString(), expected);
}

TEST_F(SimulateTest, PeopleReadTheReplyTheRuleAndTheTrace) {
  servers_.answer.set_revision(7);
  auto* connect = servers_.answer.add_steps();
  connect->set_kind(config::v1::SimulatedStep::CONNECT);
  connect->add_reply_lines("220 mx.example ESMTP Gatepost");
  connect->set_accepted(true);
  connect->set_reason("allowed");
  connect->set_rule("connection_control.mode");
  auto* rcpt = servers_.answer.add_steps();
  rcpt->set_kind(config::v1::SimulatedStep::RCPT);
  rcpt->set_command("RCPT TO:<x@far.example>");
  rcpt->add_reply_lines("550 5.7.1 Unable to relay for x@far.example");
  rcpt->set_reason("relay_denied");
  rcpt->set_rule("relay.entries[3]");
  rcpt->add_trace()->set_rule("local_domains");
  auto* entry = rcpt->add_trace();
  entry->set_rule("relay.entries[3]");
  entry->set_matched(true);
  auto* syntax = servers_.answer.add_steps();
  syntax->set_command("RCPT TO:<\x1b>");
  syntax->add_reply_lines("501 5.1.3 Bad recipient address");
  const std::vector<std::string> command = {"mail", "--client", "192.0.2.7", "--sender", "a@b.example"};
  EXPECT_EQ(Run(command),
            "virtualServers/mail, revision 7\n"
            "\n"
            "The client connects\n"
            "< 220 mx.example ESMTP Gatepost\n"
            "  accepted because connection_control.mode (allowed)\n"
            "\n"
            "> RCPT TO:<x@far.example>\n"
            "< 550 5.7.1 Unable to relay for x@far.example\n"
            "  REFUSED because relay.entries[3] (relay_denied)\n"
            "  rules: local_domains no, relay.entries[3] yes\n"
            "\n"
            "> RCPT TO:<\\x1b>\n"
            "< 501 5.1.3 Bad recipient address\n"
            "  refused by the protocol: no rule was asked\n");
  EXPECT_NE(Run(command, Format::kJson).find("\"rule\": \"relay.entries[3]\""), std::string::npos);
  EXPECT_NE(Run(command, Format::kYaml).find("relay.entries[3]"), std::string::npos);
}

TEST_F(SimulateTest, ACandidateComesFromAFile) {
  const std::vector<std::string> command = {"mail", "--client", "192.0.2.7", "--sender", "a@b.example", "--candidate",
                                            "-"};
  const std::string text = Run(command, Format::kText,
                               "kind: VirtualServer\nname: other\nfqdn: a.example\n---\n"
                               "kind: VirtualServer\nname: mail\nfqdn: b.example\n");
  EXPECT_EQ(servers_.asked.candidate().fqdn(), "b.example");
  EXPECT_EQ(text, "virtualServers/mail, the candidate in -\n");
  EXPECT_EQ(Run(command, Format::kText, "kind: VirtualServer\nname: other\n"),
            "usage: - has no document with name: virtualServers/mail");
  EXPECT_EQ(Run(command, Format::kText, "kind: VirtualServer\nname: mail\nfqdnn: x\n").rfind("usage: -: ", 0), 0u);
}

TEST_F(SimulateTest, BadUsageIsSaid) {
  EXPECT_NE(Run({"mail", "--sender", "a@b.example"}).find("--client is required"), std::string::npos);
  EXPECT_NE(Run({"mail", "--client", "192.0.2.7", "--sender", "", "--user", "alice"}).find("--user requires --identity"),
            std::string::npos);
  EXPECT_NE(Run({"mail", "--client", "192.0.2.7", "--sender", "", "--tls", "1.1"}).find("--tls"), std::string::npos);
}

}  // namespace
}  // namespace gatepost::ctl
