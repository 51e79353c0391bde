// gatepostctl virtual-server: the SMTP services that the edges offer.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gatepost/config/v1/virtual_server.grpc.pb.h"
#include "services/ctl/check_dns.h"
#include "services/ctl/cli.h"
#include "services/ctl/edit.h"
#include "services/ctl/paging.h"
#include "services/ctl/shorthand.h"
#include "services/ctl/yaml.h"

namespace gatepost::ctl {
namespace {

using config::v1::VirtualServer;
using VirtualServers = config::v1::VirtualServerService;

constexpr char kCollection[] = "virtualServers";

// What `update` changes besides fields as a whole: entries of lists, and a switch.
struct ListChange {
  std::vector<std::string> remove;
  std::vector<std::string> add;

  bool empty() const { return remove.empty() && add.empty(); }
};
struct Changes {
  ListChange connection;
  ListChange relay;
  std::string protocol_log;  // on, off
};

std::string ListenerText(const config::v1::Listener& listener) {
  const bool v6 = listener.address().find(':') != std::string::npos;
  std::string text = (v6 ? "[" + listener.address() + "]" : listener.address()) + ":" + std::to_string(listener.port());
  if (listener.tls_mode() == config::v1::Listener::IMPLICIT) text += " (TLS)";
  if (listener.tls_mode() == config::v1::Listener::NONE) text += " (no TLS)";
  return text;
}

template <typename T, typename F>
std::string Join(const T& items, F text) {
  std::string out;
  int count = 0;
  for (const auto& item : items) {
    if (++count > 4) return out + ", ... (" + std::to_string(items.size()) + ")";
    out += (out.empty() ? "" : ", ") + text(item);
  }
  return out.empty() ? "-" : out;
}

absl::Status List(Invocation* invocation) {
  auto servers = ListAll<VirtualServer, VirtualServers::Stub, config::v1::ListVirtualServersRequest,
                         config::v1::ListVirtualServersResponse>(
      invocation, Service::kConfig, &VirtualServers::Stub::ListVirtualServers,
      [](auto* response) { return response->mutable_virtual_servers(); });
  if (!servers.ok()) return servers.status();
  Table table{{"NAME", "STATE", "FQDN", "LISTENERS", "LOCAL DOMAINS", "ANONYMOUS"}, {}};
  bool open_relay = false;
  for (const VirtualServer& server : *servers) {
    open_relay |= server.open_relay();
    table.rows.push_back({IdOf(server.name()),
                          VirtualServer::State_Name(server.state()) + (server.open_relay() ? " OPEN-RELAY" : ""),
                          server.fqdn(), Join(server.listeners(), ListenerText),
                          Join(server.local_domains(), [](const auto& d) { return d.domain(); }),
                          server.authentication().anonymous() ? "yes" : "no"});
  }
  if (open_relay)
    invocation->err << "gatepostctl: a virtual server marked OPEN-RELAY lets anybody send to anywhere: spammers find "
                       "such servers within hours\n";
  return PrintList(invocation->options.output, Pointers(*servers), table,
                   "There are no virtual servers: gatepostctl virtual-server create --help", invocation->out);
}

absl::Status Get(Invocation* invocation, const std::string& id) {
  config::v1::GetVirtualServerRequest request;
  request.set_name(NameOf(kCollection, id));
  auto server = invocation->Call(Service::kConfig, &VirtualServers::Stub::GetVirtualServer, request);
  if (!server.ok()) return server.status();
  return PrintResource(invocation->options.output, *server, invocation->out);
}

// Says what was done, or prints the resource for programs.
absl::Status Report(Invocation* invocation, const absl::StatusOr<VirtualServer>& server, std::string_view what) {
  if (!server.ok()) return server.status();
  if (invocation->options.output != Format::kText)
    return PrintResource(invocation->options.output, *server, invocation->out);
  invocation->out << server->name() << ' ' << what << " (revision " << server->revision() << ")\n";
  return absl::OkStatus();
}

absl::Status Create(Invocation* invocation, const std::string& id, const Edit& edit, const Shorthand& shorthand) {
  config::v1::CreateVirtualServerRequest request;
  request.set_virtual_server_id(IdOf(id));
  if (absl::Status status = ApplyEdit(edit, invocation->in, request.mutable_virtual_server(), nullptr); !status.ok())
    return status;
  if (absl::Status status = ApplyShorthand(shorthand, request.mutable_virtual_server()); !status.ok()) return status;
  return Report(invocation, invocation->Call(Service::kConfig, &VirtualServers::Stub::CreateVirtualServer, request),
                "created and started");
}

absl::Status CheckForms(const std::string& list, const ListChange& change) {
  for (const auto& [verb, texts] : {std::pair{"remove", &change.remove}, std::pair{"add", &change.add}}) {
    for (const std::string& text : *texts) {
      auto entry = ParseEntry("--" + std::string(verb) + "-" + list + "-entry", text);
      if (!entry.ok()) return entry.status();
    }
  }
  return absl::OkStatus();
}

// The forms are checked.
absl::Status ChangeEntries(const std::string& list, const ListChange& change, ClientEntries* entries) {
  for (const std::string& text : change.remove) {
    if (RemoveEntry(*ParseEntry("", text), entries) == 0)
      return absl::NotFoundError("the " + list + " list has no entry " + text +
                                 ": gatepostctl virtual-server get shows what it has");
  }
  for (const std::string& text : change.add) *entries->Add() = *ParseEntry("", text);
  return absl::OkStatus();
}

// Lists are sent as a whole: what is stored is read, changed, and written only if nobody has changed it meanwhile.
absl::Status ChangeLists(Invocation* invocation, const Changes& changes,
                         config::v1::UpdateVirtualServerRequest* request) {
  for (const std::string& path : request->update_mask().paths()) {
    if (path == "*" || path.starts_with("relay") || path.starts_with("connection_control"))
      return UsageError("entries are added and removed by options, or lists are set as a whole, not both at once");
  }
  if (absl::Status status = CheckForms("connection", changes.connection); !status.ok()) return status;
  if (absl::Status status = CheckForms("relay", changes.relay); !status.ok()) return status;
  config::v1::GetVirtualServerRequest get;
  get.set_name(request->virtual_server().name());
  auto stored = invocation->Call(Service::kConfig, &VirtualServers::Stub::GetVirtualServer, get);
  if (!stored.ok()) return stored.status();
  VirtualServer* server = request->mutable_virtual_server();
  if (server->etag().empty()) server->set_etag(stored->etag());
  if (!changes.connection.empty()) {
    ClientEntries* entries = server->mutable_connection_control()->mutable_entries();
    *entries = stored->connection_control().entries();
    request->mutable_update_mask()->add_paths("connection_control.entries");
    if (absl::Status status = ChangeEntries("connection", changes.connection, entries); !status.ok()) return status;
  }
  if (!changes.relay.empty()) {
    ClientEntries* entries = server->mutable_relay()->mutable_entries();
    *entries = stored->relay().entries();
    request->mutable_update_mask()->add_paths("relay.entries");
    if (absl::Status status = ChangeEntries("relay", changes.relay, entries); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Update(Invocation* invocation, const std::string& id, const Edit& edit, const Changes& changes,
                    const std::string& etag) {
  config::v1::UpdateVirtualServerRequest request;
  VirtualServer* server = request.mutable_virtual_server();
  if (absl::Status status = ApplyEdit(edit, invocation->in, server, request.mutable_update_mask()); !status.ok())
    return status;
  server->set_name(NameOf(kCollection, id));
  if (!etag.empty()) server->set_etag(etag);
  if (!changes.protocol_log.empty()) {
    server->mutable_logging()->set_protocol_log(changes.protocol_log == "on");
    request.mutable_update_mask()->add_paths("logging.protocol_log");
  }
  if (!changes.connection.empty() || !changes.relay.empty()) {
    if (absl::Status status = ChangeLists(invocation, changes, &request); !status.ok()) return status;
  }
  if (request.update_mask().paths().empty())
    return UsageError("nothing to change: give --set PATH=VALUE, --clear PATH or --file FILE");
  return Report(invocation, invocation->Call(Service::kConfig, &VirtualServers::Stub::UpdateVirtualServer, request),
                "updated");
}

absl::Status Delete(Invocation* invocation, const std::string& id, const std::string& etag) {
  config::v1::DeleteVirtualServerRequest request;
  request.set_name(NameOf(kCollection, id));
  request.set_etag(etag);
  auto done = invocation->Call(Service::kConfig, &VirtualServers::Stub::DeleteVirtualServer, request);
  if (!done.ok()) return done.status();
  if (invocation->options.output == Format::kText) invocation->out << request.name() << " deleted\n";
  return absl::OkStatus();
}

// The three custom methods differ in their request's type alone.
template <typename Request>
void AddStateVerb(CLI::App* noun, Invocation* invocation, const std::string& verb, const std::string& help,
                  const char* done,
                  grpc::Status (VirtualServers::Stub::*method)(grpc::ClientContext*, const Request&, VirtualServer*)) {
  auto id = std::make_shared<std::string>();
  auto etag = std::make_shared<std::string>();
  CLI::App* command = noun->add_subcommand(verb, help);
  command->add_option("ID", *id, "The virtual server's id")->required();
  command->add_option("--etag", *etag, "Only if its etag is still this one");
  command->callback([=] {
    invocation->action = [=] {
      Request request;
      request.set_name(NameOf(kCollection, *id));
      request.set_etag(*etag);
      return Report(invocation, invocation->Call(Service::kConfig, method, request), done);
    };
  });
}

}  // namespace

void AddVirtualServer(CLI::App* root, Invocation* invocation) {
  CLI::App* noun =
      AddNoun(root, "virtual-server", "SMTP services: where they listen, who may do what, where mail goes");

  CLI::App* list = noun->add_subcommand("list", "List all virtual servers");
  list->callback([=] { invocation->action = [=] { return List(invocation); }; });

  struct Arguments {
    std::string id;
    std::string etag;
    Edit edit;
    Shorthand shorthand;
    Changes changes;
  };
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  auto add = [&](const std::string& verb, const std::string& help, std::function<absl::Status()> action) {
    CLI::App* command = noun->add_subcommand(verb, help);
    command->add_option("ID", a->id, "The virtual server's id, for example submission")->required();
    command->callback([=] { invocation->action = [arguments, action] { return action(); }; });
    return command;
  };

  add("get", "Show one virtual server with all its settings", [=] { return Get(invocation, a->id); });

  CLI::App* create = add("create", "Create a virtual server; edges serve it at once",
                         [=] { return Create(invocation, a->id, a->edit, a->shorthand); });
  AddShorthandOptions(create, &a->shorthand);
  AddEditOptions(create, &a->edit, /*update=*/false);
  create->footer(
      "Example:\n"
      "  gatepostctl virtual-server create submission --fqdn mail.example.com --listen 0.0.0.0:587 --listen "
      "0.0.0.0:465,implicit \\\n"
      "      --certificate mail --require-secure-channel --local-domain example.com --next-hop 10.0.0.5:25\n"
      "Every field: proto/gatepost/config/v1/virtual_server.proto, or `gatepostctl virtual-server get ID` of an "
      "existing one.");

  CLI::App* update = add("update", "Change settings, live: no session is dropped",
                         [=] { return Update(invocation, a->id, a->edit, a->changes, a->etag); });
  AddEditOptions(update, &a->edit, /*update=*/true);
  const std::string forms = std::string(": ") + kEntryForms + ". Repeatable";
  Repeatable(update->add_option("--add-connection-entry", a->changes.connection.add,
                                "Adds to the list of who may (not) connect" + forms));
  Repeatable(update->add_option("--remove-connection-entry", a->changes.connection.remove, "Takes out of it" + forms));
  Repeatable(update->add_option("--add-relay-entry", a->changes.relay.add,
                                "Adds to the list of who may (not) send to other domains" + forms));
  Repeatable(update->add_option("--remove-relay-entry", a->changes.relay.remove, "Takes out of it" + forms));
  update->add_option("--protocol-log", a->changes.protocol_log, "on or off: whether commands and replies are logged")
      ->check(CLI::IsMember({"on", "off"}).description(""));
  update->add_option("--etag", a->etag, "Only if its etag is still this one");
  update->footer(
      "Examples:\n"
      "  gatepostctl virtual-server update inbound --set messageLimits.maxMessageOctets=10485760\n"
      "  gatepostctl virtual-server update inbound --set connectionControl.entries='[{subnet: 192.0.2.0/24}, {address: "
      "\"2001:db8::1\"}]'\n"
      "  gatepostctl virtual-server update inbound --add-relay-entry host:scanner.example.com --protocol-log on\n"
      "  gatepostctl virtual-server update inbound --clear connectionControl");

  CLI::App* remove =
      add("delete", "Delete a virtual server; its listeners close", [=] { return Delete(invocation, a->id, a->etag); });
  remove->add_option("--etag", a->etag, "Only if its etag is still this one");

  AddCheckDns(noun, invocation);

  AddStateVerb<config::v1::StartVirtualServerRequest>(noun, invocation, "start",
                                                      "Open its listeners, or let a paused one accept again", "started",
                                                      &VirtualServers::Stub::StartVirtualServer);
  AddStateVerb<config::v1::StopVirtualServerRequest>(noun, invocation, "stop",
                                                     "Close its listeners; sessions end between transactions",
                                                     "stopped", &VirtualServers::Stub::StopVirtualServer);
  AddStateVerb<config::v1::PauseVirtualServerRequest>(noun, invocation, "pause",
                                                      "Keep listeners and sessions, greet new connections with 421",
                                                      "paused", &VirtualServers::Stub::PauseVirtualServer);
}

}  // namespace gatepost::ctl
