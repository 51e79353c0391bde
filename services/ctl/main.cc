// gatepostctl: what administrators do with Gatepost, from a shell. Each noun is a file of its own; this one has the
// options that all share, and turns outcomes into text and exit codes: 0 done, 1 failed, 2 not understood or not valid.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

#include "services/ctl/cli.h"

namespace gatepost::ctl {
namespace {

void AddGlobalOptions(CLI::App* root, Options* options, std::string* output) {
  auto add = [root](const std::string& name, auto& value, const std::string& type, const std::string& help) {
    std::string variable = "GATEPOSTCTL_";
    for (char c : name) variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return root->add_option("--" + name, value, help)->envname(variable)->type_name(type)->group("Connection");
  };
  add("config-address", options->config_address, "HOST:PORT", "The config service (127.0.0.1:2050)");
  add("auth-address", options->auth_address, "HOST:PORT", "The auth service, for users (127.0.0.1:2060)");
  add("cert", options->cert, "FILE", "Your certificate, PEM: it says who you are, and your role");
  add("key", options->key, "FILE", "Its key, PEM");
  add("ca", options->ca, "FILE", "The certificate authority of the services, PEM");
  add("server-name", options->server_name, "NAME",
      "The name that the service's certificate must have, if not HOST: for tunnels");
  add("timeout", options->timeout_seconds, "SECONDS", "Seconds until a call is given up (10)")
      ->check(CLI::Range(1, 600).description(""));
  root->add_option("-o,--output", *output, "text, json or yaml (text); JSON and YAML are input for `apply`")
      ->check(CLI::IsMember({"text", "json", "yaml"}).description(""))
      ->envname("GATEPOSTCTL_OUTPUT")
      ->type_name("FORMAT");
  root->set_config("--config-file", "", "A file with these options, one `name=value` a line");
  root->get_config_ptr()->envname("GATEPOSTCTL_CONFIG_FILE")->type_name("FILE");
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

// One line: what was not understood, and where to read. Exit code 2.
int Misunderstood(const CLI::App& root, const CLI::ParseError& error) {
  std::string command = "gatepostctl";
  const CLI::App* app = &root;
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    command += " " + app->get_name();
  }
  std::string what = error.what();
  const auto choices = app->get_subcommands([](const CLI::App*) { return true; });
  if (error.get_name() == "RequiredError" && !choices.empty()) {
    // CLI11 says that a subcommand is required even when there was one that it does not know.
    const std::vector<std::string> unknown = root.remaining(/*recurse=*/true);
    what = unknown.empty() ? "what shall be done? One of" : "there is no '" + unknown.front() + "' here, only";
    for (const CLI::App* choice : choices) what += (choice == choices.front() ? " " : ", ") + choice->get_name();
  }
  std::cerr << "gatepostctl: " << Printable(what) << " (see: " << command << " --help)\n";
  return 2;
}

int Main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);
  // gRPC's own log on stderr repeats, less clearly, what is said below.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  CLI::App root("gatepostctl manages Gatepost: virtual servers, certificates, users, groups, edges.", "gatepostctl");
  root.require_subcommand(1);
  root.footer(
      "Every option under Connection can also be set as GATEPOSTCTL_NAME, for example GATEPOSTCTL_CONFIG_ADDRESS; the "
      "demonstration\n"
      "(deploy/local/up) writes them to DIR/env. `gatepostctl NOUN VERB --help` explains a command and gives "
      "examples.\n"
      "Exit codes: 0 done, 1 failed, 2 the command was not understood, or what it says is not valid.");
  Invocation invocation(std::cin, std::cout, std::cerr);
  std::string output;
  AddGlobalOptions(&root, &invocation.options, &output);
  AddVirtualServer(&root, &invocation);
  AddCertificate(&root, &invocation);
  AddUser(&root, &invocation);
  AddGroup(&root, &invocation);
  AddCredential(&root, &invocation);
  AddThrottle(&root, &invocation);
  AddEdge(&root, &invocation);
  AddSimulate(&root, &invocation);
  AddApply(&root, &invocation);
  AddImport(&root, &invocation);
  AddPki(&root, &invocation);
  AddCompletion(&root, &invocation);

  try {
    root.parse(argc, argv);
  } catch (const CLI::CallForHelp& e) {
    return root.exit(e);
  } catch (const CLI::CallForAllHelp& e) {
    return root.exit(e);
  } catch (const CLI::ParseError& e) {
    return Misunderstood(root, e);
  }
  if (output == "json") invocation.options.output = Format::kJson;
  if (output == "yaml") invocation.options.output = Format::kYaml;
  const absl::Status status =
      invocation.action ? invocation.action() : UsageError("nothing to do: see gatepostctl --help");
  std::cout.flush();
  if (!status.ok()) PrintError(status);
  // A mistake of the command, found here or by the service.
  if (!status.ok()) return IsUsageError(status) || absl::IsInvalidArgument(status) ? 2 : 1;
  return std::cout ? 0 : 1;
}

}  // namespace
}  // namespace gatepost::ctl

int main(int argc, char** argv) { return gatepost::ctl::Main(argc, argv); }
