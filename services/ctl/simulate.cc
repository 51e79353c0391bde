// gatepostctl simulate: what would happen to this client, identity, sender, recipients, and why.
#include <memory>
#include <string>
#include <vector>

#include "gatepost/config/v1/virtual_server.grpc.pb.h"
#include "services/ctl/cli.h"
#include "services/ctl/kind.h"
#include "services/ctl/manifest.h"

namespace gatepost::ctl {
namespace {

using config::v1::Listener;
using config::v1::SimulatedStep;
using config::v1::SimulateSessionRequest;
using config::v1::SimulateSessionResponse;
using config::v1::Tls;
using VirtualServers = config::v1::VirtualServerService;

constexpr char kCollection[] = "virtualServers";

// What the command line says goes into the request as it is parsed; the rest is here.
struct Arguments {
  std::string id;
  std::string tls_mode;
  std::string tls_version;
  unsigned cipher_bits = 0;
  std::string identity;
  std::string user;
  bool may_not_submit = false;
  bool may_not_relay = false;
  std::string candidate_file;
  std::string address;
  std::string sender;
  std::string mechanism;
  std::vector<std::string> names, listed_by, groups, addresses, bound_to, recipients;
  bool name_lookup_failed = false;
  bool block_lists_failed = false;
};

template <typename Field>
void Copy(const std::vector<std::string>& from, Field* to) {
  for (const std::string& text : from) *to->Add() = text;
}

absl::Status ReadCandidate(Invocation* invocation, const Arguments& arguments, SimulateSessionRequest* request) {
  auto text = ReadInput(arguments.candidate_file, invocation->in);
  if (!text.ok()) return text.status();
  const auto kinds = AllKinds(invocation);
  auto entries = ParseManifest(*text, kinds);
  if (!entries.ok()) return UsageError(arguments.candidate_file + ": " + std::string(entries.status().message()));
  for (const ManifestEntry& entry : *entries) {
    if (entry.name != request->name()) continue;
    request->mutable_candidate()->MergeFrom(*entry.resource);
    return absl::OkStatus();
  }
  return UsageError(arguments.candidate_file + " has no document with name: " + request->name());
}

absl::Status ReadRequest(Invocation* invocation, const Arguments& arguments, SimulateSessionRequest* request) {
  request->set_name(NameOf(kCollection, arguments.id));
  if (arguments.tls_mode == "none") request->set_tls_mode(Listener::NONE);
  if (arguments.tls_mode == "starttls") request->set_tls_mode(Listener::STARTTLS);
  if (arguments.tls_mode == "implicit") request->set_tls_mode(Listener::IMPLICIT);
  auto* client = request->mutable_client();
  client->set_address(arguments.address);
  Copy(arguments.names, client->mutable_names());
  client->set_name_lookup_failed(arguments.name_lookup_failed);
  Copy(arguments.listed_by, client->mutable_listed_by());
  client->set_block_lists_failed(arguments.block_lists_failed);
  if (arguments.tls_version == "1.2") request->mutable_tls()->set_version(Tls::TLS_1_2);
  if (arguments.tls_version == "1.3") request->mutable_tls()->set_version(Tls::TLS_1_3);
  if (arguments.cipher_bits != 0) request->mutable_tls()->set_cipher_bits(arguments.cipher_bits);
  if (!arguments.identity.empty()) {
    auto* identity = request->mutable_identity();
    identity->set_login(arguments.identity);
    if (!arguments.user.empty()) identity->set_user(NameOf("users", arguments.user));
    for (const std::string& group : arguments.groups) identity->add_groups(NameOf("groups", group));
    if (arguments.may_not_submit) identity->set_may_submit(false);
    if (arguments.may_not_relay) identity->set_may_relay(false);
    Copy(arguments.addresses, identity->mutable_addresses());
    Copy(arguments.bound_to, identity->mutable_senders());
  }
  request->set_mechanism(arguments.mechanism);
  request->set_sender(arguments.sender);
  Copy(arguments.recipients, request->mutable_recipients());
  return arguments.candidate_file.empty() ? absl::OkStatus() : ReadCandidate(invocation, arguments, request);
}

std::string Heading(SimulatedStep::Kind kind) {
  switch (kind) {
    case SimulatedStep::CONNECT:
      return "The client connects";
    case SimulatedStep::TLS:
      return "TLS handshake";
    default:
      return "";
  }
}

// One block: what is said to and fro, why, and what was looked at.
void PrintStep(const SimulatedStep& step, std::ostream& out) {
  out << (step.command().empty() ? Heading(step.kind()) : "> " + Printable(step.command())) << '\n';
  for (const std::string& line : step.reply_lines()) out << "< " << Printable(line) << '\n';
  if (step.rule().empty()) {
    if (!step.accepted()) out << "  refused by the protocol: no rule was asked\n";
  } else {
    out << "  " << (step.accepted() ? "accepted" : "REFUSED") << " because " << Printable(step.rule()) << " ("
        << Printable(step.reason()) << ")\n";
  }
  std::string rules;
  for (const auto& rule : step.trace())
    rules += (rules.empty() ? "" : ", ") + Printable(rule.rule()) + (rule.matched() ? " yes" : " no");
  if (!rules.empty()) out << "  rules: " << rules << '\n';
}

absl::Status Simulate(Invocation* invocation, const Arguments& arguments) {
  SimulateSessionRequest request;
  if (absl::Status status = ReadRequest(invocation, arguments, &request); !status.ok()) return status;
  auto response = invocation->Call(Service::kConfig, &VirtualServers::Stub::SimulateSession, request);
  if (!response.ok()) return response.status();
  if (invocation->options.output != Format::kText)
    return PrintResource(invocation->options.output, *response, invocation->out);
  invocation->out << request.name() << ", "
                  << (request.has_candidate() ? "the candidate in " + arguments.candidate_file
                                              : "revision " + std::to_string(response->revision()))
                  << '\n';
  for (const SimulatedStep& step : response->steps()) {
    invocation->out << '\n';
    PrintStep(step, invocation->out);
  }
  return absl::OkStatus();
}

}  // namespace

void AddSimulate(CLI::App* root, Invocation* invocation) {
  CLI::App* command =
      root->add_subcommand("simulate", "Say what would happen to a client, step by step, and which rule decides");
  command->fallthrough();
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  command->add_option("VIRTUAL_SERVER", a->id, "The virtual server's id")->required();
  command->add_option("--client", a->address, "The client's address")->required()->type_name("ADDRESS");
  Repeatable(command->add_option("--client-name", a->names, "A confirmed name of it. Repeatable"))->type_name("NAME");
  command->add_flag("--name-lookup-failed", a->name_lookup_failed, "Its name cannot be looked up");
  Repeatable(command->add_option("--listed-by", a->listed_by, "A block list that has it. Repeatable"))
      ->type_name("ZONE");
  command->add_flag("--block-lists-failed", a->block_lists_failed, "The block lists cannot be asked");
  command->add_option("--listener", a->tls_mode, "TLS of the listener: none, starttls, implicit (starttls)")
      ->check(CLI::IsMember({"none", "starttls", "implicit"}).description(""))
      ->type_name("MODE");
  command->add_option("--tls", a->tls_version, "The client uses TLS, of this version: 1.2, 1.3")
      ->check(CLI::IsMember({"1.2", "1.3"}).description(""))
      ->type_name("VERSION");
  command->add_option("--cipher-bits", a->cipher_bits, "The strength of its suite: 128, 256 (128)")
      ->check(CLI::IsMember({128, 256}).description(""))
      ->type_name("BITS");
  CLI::Option* identity =
      command->add_option("--identity", a->identity, "It authenticates, with this login name")->type_name("LOGIN");
  command->add_option("--mechanism", a->mechanism, "By this SASL mechanism (PLAIN)")->needs(identity);
  command->add_option("--user", a->user, "The login's user id, for lists of users")->needs(identity)->type_name("ID");
  Repeatable(command->add_option("--group", a->groups, "A group it is in. Repeatable"))
      ->needs(identity)
      ->type_name("ID");
  command->add_flag("--may-not-submit", a->may_not_submit, "The user itself may not submit")->needs(identity);
  command->add_flag("--may-not-relay", a->may_not_relay, "The user itself may not relay")->needs(identity);
  Repeatable(command->add_option("--address", a->addresses, "An address of the user (the login name). Repeatable"))
      ->needs(identity);
  Repeatable(command->add_option("--bound-to", a->bound_to,
                                 "A sender, or @domain, that the credential is bound to. Repeatable"))
      ->needs(identity);
  command->add_option("--sender", a->sender, "The reverse-path; '' is the null path")->required()->type_name("ADDRESS");
  Repeatable(command->add_option("--recipient", a->recipients, "A recipient. Repeatable"))->type_name("ADDRESS");
  command
      ->add_option("--candidate", a->candidate_file,
                   "Judge the virtual server as this file has it, instead of as it is stored (- for standard input)")
      ->type_name("FILE");
  command->footer(
      "Examples:\n"
      "  gatepostctl simulate inbound --client 192.0.2.7 --sender a@example.org --recipient bob@example.com\n"
      "  gatepostctl simulate submission --client 198.51.100.1 --tls 1.3 --identity alice@example.com \\\n"
      "      --sender alice@example.com --recipient x@example.net --candidate new.yaml\n"
      "Nothing is stored, nothing is sent. The exit code is 0 also when the client would be refused.");
  command->callback([=] { invocation->action = [=] { return Simulate(invocation, *arguments); }; });
}

}  // namespace gatepost::ctl
