// gatepostctl virtual-server: the SMTP services that the edges offer.
#include <memory>
#include <string>
#include <vector>

#include "gatepost/config/v1/virtual_server.grpc.pb.h"
#include "services/ctl/cli.h"
#include "services/ctl/edit.h"
#include "services/ctl/paging.h"
#include "services/ctl/yaml.h"

namespace gatepost::ctl {
namespace {

using config::v1::VirtualServer;
using VirtualServers = config::v1::VirtualServerService;

constexpr char kCollection[] = "virtualServers";

// The options of `create` that stand for the fields nearly everybody sets.
struct Shorthand {
  std::string fqdn;
  std::vector<std::string> listen;
  std::vector<std::string> certificates;
  std::vector<std::string> local_domains;
  std::vector<std::string> next_hops;
  bool anonymous = false;
  bool require_secure_channel = false;
};

// "HOST:PORT" or "[v6]:PORT".
absl::Status SplitHostPort(std::string_view option, std::string_view text, std::string* host, uint32_t* port) {
  const std::string wrong =
      std::string(option) + " takes ADDRESS:PORT, such as 192.0.2.1:587 or [::1]:587, not '" + std::string(text) + "'";
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return UsageError(wrong);
  std::string_view name = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  } else if (name.find(':') != std::string_view::npos) {
    return UsageError(wrong);
  }
  if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string_view::npos)
    return UsageError(wrong);
  const int value = std::stoi(std::string(digits));
  if (value < 1 || value > 65535) return UsageError(wrong);
  *host = std::string(name);
  *port = static_cast<uint32_t>(value);
  return absl::OkStatus();
}

absl::Status Apply(const Shorthand& shorthand, VirtualServer* server) {
  if (!shorthand.fqdn.empty()) server->set_fqdn(shorthand.fqdn);
  for (const std::string& listen : shorthand.listen) {
    const size_t comma = listen.find(',');
    const std::string mode = comma == std::string::npos ? "starttls" : listen.substr(comma + 1);
    auto* listener = server->add_listeners();
    uint32_t port = 0;
    if (absl::Status status = SplitHostPort("--listen", listen.substr(0, comma), listener->mutable_address(), &port);
        !status.ok())
      return status;
    listener->set_port(port);
    if (mode == "none") {
      listener->set_tls_mode(config::v1::Listener::NONE);
    } else if (mode == "starttls") {
      listener->set_tls_mode(config::v1::Listener::STARTTLS);
    } else if (mode == "implicit") {
      listener->set_tls_mode(config::v1::Listener::IMPLICIT);
    } else {
      return UsageError("--listen " + listen + ": behind the comma stands none, starttls or implicit");
    }
  }
  for (const std::string& certificate : shorthand.certificates)
    server->add_certificates(NameOf("certificates", certificate));
  for (const std::string& domain : shorthand.local_domains) server->add_local_domains()->set_domain(domain);
  for (const std::string& next_hop : shorthand.next_hops) {
    auto* hop = server->mutable_delivery()->mutable_default_route()->add_next_hops();
    uint32_t port = 0;
    if (absl::Status status = SplitHostPort("--next-hop", next_hop, hop->mutable_host(), &port); !status.ok())
      return status;
    hop->set_port(port);
  }
  if (shorthand.anonymous) server->mutable_authentication()->set_anonymous(true);
  if (shorthand.require_secure_channel) server->mutable_tls()->set_require_secure_channel(true);
  return absl::OkStatus();
}

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
  if (absl::Status status = Apply(shorthand, request.mutable_virtual_server()); !status.ok()) return status;
  return Report(invocation, invocation->Call(Service::kConfig, &VirtualServers::Stub::CreateVirtualServer, request),
                "created and started");
}

absl::Status Update(Invocation* invocation, const std::string& id, const Edit& edit, const std::string& etag) {
  config::v1::UpdateVirtualServerRequest request;
  if (absl::Status status =
          ApplyEdit(edit, invocation->in, request.mutable_virtual_server(), request.mutable_update_mask());
      !status.ok())
    return status;
  if (request.update_mask().paths().empty())
    return UsageError("nothing to change: give --set PATH=VALUE, --clear PATH or --file FILE");
  request.mutable_virtual_server()->set_name(NameOf(kCollection, id));
  if (!etag.empty()) request.mutable_virtual_server()->set_etag(etag);
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
  create->add_option("--fqdn", a->shorthand.fqdn, "The name that users type into their mail client");
  Repeatable(create->add_option(
      "--listen", a->shorthand.listen,
      "ADDRESS:PORT[,none|starttls|implicit]: where it listens, and how TLS begins (starttls). Repeatable"));
  Repeatable(create->add_option("--certificate", a->shorthand.certificates,
                                "The id of a certificate (gatepostctl certificate list). Repeatable"));
  Repeatable(create->add_option("--local-domain", a->shorthand.local_domains,
                                "A domain whose recipients are accepted from everybody. Repeatable"));
  Repeatable(create->add_option("--next-hop", a->shorthand.next_hops,
                                "HOST:PORT of the mail server that takes the mail; tried in this order. Repeatable"));
  create->add_flag("--anonymous", a->shorthand.anonymous, "Clients need not authenticate");
  create->add_flag("--require-secure-channel", a->shorthand.require_secure_channel, "Nothing is done before TLS");
  AddEditOptions(create, &a->edit, /*update=*/false);
  create->footer(
      "Example:\n"
      "  gatepostctl virtual-server create submission --fqdn mail.example.com --listen 0.0.0.0:587 --listen "
      "0.0.0.0:465,implicit \\\n"
      "      --certificate mail --require-secure-channel --local-domain example.com --next-hop 10.0.0.5:25\n"
      "Every field: proto/gatepost/config/v1/virtual_server.proto, or `gatepostctl virtual-server get ID` of an "
      "existing one.");

  CLI::App* update = add("update", "Change settings, live: no session is dropped",
                         [=] { return Update(invocation, a->id, a->edit, a->etag); });
  AddEditOptions(update, &a->edit, /*update=*/true);
  update->add_option("--etag", a->etag, "Only if its etag is still this one");
  update->footer(
      "Examples:\n"
      "  gatepostctl virtual-server update inbound --set messageLimits.maxMessageOctets=10485760\n"
      "  gatepostctl virtual-server update inbound --set connectionControl.entries='[{subnet: 192.0.2.0/24}, {address: "
      "\"2001:db8::1\"}]'\n"
      "  gatepostctl virtual-server update inbound --clear connectionControl");

  CLI::App* remove =
      add("delete", "Delete a virtual server; its listeners close", [=] { return Delete(invocation, a->id, a->etag); });
  remove->add_option("--etag", a->etag, "Only if its etag is still this one");

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
