// gatepostctl import: the configuration of another mail server, as resources. What has no counterpart goes to standard
// error, so that standard output is input for `apply`.
#include <memory>
#include <string>
#include <vector>

#include "services/base/strings.h"
#include "services/ctl/apply.h"
#include "services/ctl/cli.h"
#include "services/ctl/exchange.h"
#include "services/ctl/shorthand.h"

namespace gatepost::ctl {
namespace {

struct Arguments {
  std::string file;
  bool dry_run = false;
  Shorthand surroundings;
};

void PrintNotes(const ExchangeImport& import, std::ostream& err) {
  for (const ImportedConnector& connector : import.connectors) {
    err << Printable(connector.title) << " -> " << connector.server.name() << '\n';
    for (const std::string& note : connector.notes) err << "  " << note << '\n';
  }
  for (const std::string& note : import.notes) err << "All: " << note << '\n';
}

std::vector<const google::protobuf::Message*> Resources(const ExchangeImport& import) {
  std::vector<const google::protobuf::Message*> resources;
  if (import.certificate) resources.push_back(&*import.certificate);
  for (const ImportedConnector& connector : import.connectors) resources.push_back(&connector.server);
  return resources;
}

absl::Status ImportFromExchange(Invocation* invocation, const Arguments& arguments) {
  auto text = ReadInput(arguments.file, invocation->in);
  if (!text.ok()) return text.status();
  config::v1::VirtualServer judged;
  if (absl::Status status = ApplyShorthand(arguments.surroundings, &judged); !status.ok()) return status;
  auto import = ImportExchange(*text, arguments.surroundings);
  if (!import.ok()) return UsageError(base::StrCat(arguments.file, ": ", base::FromAbsl(import.status().message())));
  PrintNotes(*import, invocation->err);
  if (invocation->options.output != Format::kText)
    return PrintList(invocation->options.output, Resources(*import), {}, "", invocation->out);
  std::string manifest;
  for (const google::protobuf::Message* resource : Resources(*import)) {
    auto yaml = ResourceYaml(*resource);
    if (!yaml.ok()) return yaml.status();
    base::StrAppend(&manifest, "---\n", *yaml);
  }
  return ApplyManifest(invocation, manifest, {.source = arguments.file, .dry_run = arguments.dry_run});
}

}  // namespace

void AddImport(CLI::App* root, Invocation* invocation) {
  CLI::App* noun = AddNoun(root, "import", "Take over the configuration of another mail server");
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = noun->add_subcommand("exchange", "Make virtual servers of the receive connectors of Exchange");
  command
      ->add_option("FILE", arguments->file,
                   "What `Get-ReceiveConnector | ConvertTo-Json -Depth 4` says (- for standard input)")
      ->required();
  command->add_flag("--dry-run", arguments->dry_run, "Let the service judge everything, change nothing");
  AddSurroundingOptions(command, &arguments->surroundings);
  command->footer(
      "Creates or updates a virtual server for each connector, and lists on standard error what was approximated and "
      "what has no counterpart.\n"
      "With --output yaml (or json) it only prints them, for you to change and to `apply`:\n"
      "  gatepostctl import exchange connectors.json -o yaml --local-domain example.com --next-hop 10.0.0.5:25 > "
      "servers.yaml");
  command->callback([=] { invocation->action = [=] { return ImportFromExchange(invocation, *arguments); }; });
}

}  // namespace gatepost::ctl
