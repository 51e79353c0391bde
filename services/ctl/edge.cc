// gatepostctl edge: what the config service knows about the edges that watch it.
#include <ctime>
#include <string>
#include <vector>

#include "gatepost/config/v1/edge.grpc.pb.h"
#include "services/ctl/cli.h"
#include "services/ctl/paging.h"

namespace gatepost::ctl {
namespace {

using config::v1::Edge;
using config::v1::ListenerStatus;
using Edges = config::v1::EdgeService;

std::string Revision(const Edge& edge) {
  const std::string applied = std::to_string(edge.applied_revision());
  if (edge.applied_revision() == edge.current_revision()) return applied;
  return applied + " of " + std::to_string(edge.current_revision());
}

absl::Status List(Invocation* invocation) {
  auto edges = ListAll<Edge, Edges::Stub, config::v1::ListEdgesRequest, config::v1::ListEdgesResponse>(
      invocation, Service::kConfig, &Edges::Stub::ListEdges, [](auto* response) { return response->mutable_edges(); });
  if (!edges.ok()) return edges.status();
  const int64_t now = std::time(nullptr);
  Table table{{"NAME", "POOL", "CONNECTED", "REVISION", "LISTENERS", "LAST SEEN", "VERSION"}, {}};
  std::vector<std::string> troubles;
  for (const Edge& edge : *edges) {
    int open = 0;
    int failed = 0;
    for (const ListenerStatus& listener : edge.listeners()) {
      if (listener.state() == ListenerStatus::OPEN) ++open;
      if (listener.state() != ListenerStatus::FAILED) continue;
      ++failed;
      troubles.push_back(IdOf(edge.name()) + ": " + IdOf(listener.virtual_server()) + " cannot listen on " +
                         listener.address() + " port " + std::to_string(listener.port()) + ": " +
                         Printable(listener.reason()));
    }
    if (edge.has_refusal()) {
      troubles.push_back(IdOf(edge.name()) + ": refused revision " + std::to_string(edge.refusal().revision()) + ": " +
                         Printable(edge.refusal().reason()));
    }
    table.rows.push_back(
        {IdOf(edge.name()), edge.pool(), edge.connected() ? "yes" : "NO", Revision(edge),
         std::to_string(open) + " open" + (failed > 0 ? ", " + std::to_string(failed) + " FAILED" : ""),
         edge.has_last_seen_time() ? RelativeTime(edge.last_seen_time().seconds(), now) : "-",
         Printable(edge.version())});
  }
  if (absl::Status status = PrintList(invocation->options.output, Pointers(*edges), table,
                                      "No edge has watched since the config service started.", invocation->out);
      !status.ok())
    return status;
  if (invocation->options.output == Format::kText) {
    for (const std::string& trouble : troubles) invocation->out << trouble << '\n';
    invocation->out << "As the config service at " << invocation->AnsweredBy()
                    << " has seen them since it started; another replica knows those that watch it.\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddEdge(CLI::App* root, Invocation* invocation) {
  CLI::App* noun = AddNoun(root, "edge", "Edges: who serves, on which revision of the configuration");
  CLI::App* list = noun->add_subcommand("list", "List the edges that one replica of the config service knows");
  list->footer(
      "Each replica knows the edges that watch it, or did since it started. With several ask each by its own "
      "--config-address.");
  list->callback([=] { invocation->action = [=] { return List(invocation); }; });
}

}  // namespace gatepost::ctl
