// gatepostctl: what administrators do with Gatepost, from a shell. Each noun is a file of its own; this one has the options
// that all share, and turns outcomes into text and exit codes: 0 done, 1 failed, 2 not understood.
#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <map>
#include <string>

#include "services/ctl/cli.h"

namespace gatepost::ctl {
namespace {

void AddGlobalOptions(CLI::App* root, Options* options) {
  auto add = [root](const std::string& name, auto& value, const std::string& help) {
    std::string variable = "GATEPOSTCTL_";
    for (char c : name) variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return root->add_option("--" + name, value, help)->envname(variable)->group("Connection");
  };
  add("config-address", options->config_address, "HOST:PORT of the config service (127.0.0.1:2050)");
  add("auth-address", options->auth_address, "HOST:PORT of the auth service, for `user` (127.0.0.1:2060)");
  add("cert", options->cert, "Your certificate, PEM: it says who you are, and your role");
  add("key", options->key, "Its key, PEM");
  add("ca", options->ca, "The certificate authority of the services, PEM");
  add("server-name", options->server_name, "The name that the service's certificate must have, if not HOST: for tunnels");
  add("timeout", options->timeout_seconds, "Seconds until a call is given up (10)")->check(CLI::Range(1, 600));
  static const std::map<std::string, Format> kFormats = {{"text", Format::kText}, {"json", Format::kJson}, {"yaml", Format::kYaml}};
  root->add_option("-o,--output", options->output, "text, json or yaml (text); JSON and YAML are input for `apply`")
      ->transform(CLI::CheckedTransformer(kFormats).description(""))
      ->envname("GATEPOSTCTL_OUTPUT")
      ->type_name("FORMAT")
      ->default_str("");
  root->set_config("--config-file", "", "A file with these options, one `name=value` a line");
  root->get_config_ptr()->envname("GATEPOSTCTL_CONFIG_FILE");
}

// One line per fact, each with the program's name, so that it can be found in a log.
void PrintError(const absl::Status& status) {
  std::string text(status.message());
  size_t begin = 0;
  bool first = true;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::cerr << (first ? "gatepostctl: " : "  ") << Printable(text.substr(begin, end - begin)) << '\n';
    first = false;
    begin = end + 1;
  }
}

int Main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);
  CLI::App root("gatepostctl manages Gatepost: virtual servers, certificates, users, edges.", "gatepostctl");
  root.require_subcommand(1);
  root.footer(
      "Every option under Connection can also be set as GATEPOSTCTL_NAME, for example GATEPOSTCTL_CONFIG_ADDRESS; the demonstration\n"
      "(deploy/local/up) writes them to DIR/env. `gatepostctl NOUN VERB --help` explains a command and gives examples.\n"
      "Exit codes: 0 done, 1 failed, 2 the command was not understood.");
  Invocation invocation(std::cin, std::cout, std::cerr);
  AddGlobalOptions(&root, &invocation.options);
  AddVirtualServer(&root, &invocation);
  AddCertificate(&root, &invocation);
  AddUser(&root, &invocation);
  AddEdge(&root, &invocation);
  AddApply(&root, &invocation);
  AddPki(&root, &invocation);
  AddCompletion(&root, &invocation);

  try {
    root.parse(argc, argv);
  } catch (const CLI::CallForHelp& e) {
    return root.exit(e);
  } catch (const CLI::CallForAllHelp& e) {
    return root.exit(e);
  } catch (const CLI::ParseError& e) {
    std::string command = "gatepostctl";
    for (const CLI::App* app = &root; !app->get_subcommands().empty();) {
      app = app->get_subcommands().front();
      command += " " + app->get_name();
    }
    std::cerr << "gatepostctl: " << e.what() << "\n  see: " << command << " --help\n";
    return 2;
  }
  const absl::Status status = invocation.action ? invocation.action() : UsageError("nothing to do: see gatepostctl --help");
  std::cout.flush();
  if (!status.ok()) PrintError(status);
  if (!status.ok()) return IsUsageError(status) ? 2 : 1;
  return std::cout ? 0 : 1;
}

}  // namespace
}  // namespace gatepost::ctl

int main(int argc, char** argv) { return gatepost::ctl::Main(argc, argv); }
