#include "services/rpc/flags.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "services/base/strings.h"
#include "services/metrics/metrics.h"

namespace gatepost::rpc {

Flags::Flags(const std::string& program, std::string prefix, const std::string& description)
    : program_(program), prefix_(std::move(prefix)), app_(description, program) {
  app_.set_version_flag("--version", base::StrCat(program, " ", metrics::BuildVersion()));
  app_.set_config("--config-file", "", "A file with these flags, one name=value a line")
      ->envname(prefix_ + "CONFIG_FILE");
  variables_.emplace_back("--config-file", prefix_ + "CONFIG_FILE");
  // A name in the file that is no flag is a mistake.
  app_.allow_config_extras(CLI::config_extras_mode::error);
  app_.footer(base::StrCat(
      "Every flag may also be given as ", prefix_, "NAME in the environment (for --some-flag: ", prefix_,
      "SOME_FLAG),\nor as some-flag=VALUE in the file of --config-file. The command line wins, then the environment.\n"
      "Exit codes: 0 ended when asked to, 1 failure, 2 bad usage or configuration."));
}

CLI::Option* Flags::Dress(CLI::Option* option, const std::string& name, const std::string& group) {
  std::string variable = base::AsciiUpper(name);
  for (char& c : variable) {
    if (c == '-') c = '_';
  }
  variable = prefix_ + variable;
  variables_.emplace_back("--" + name, variable);
  return option->envname(variable)->group(group);
}

std::optional<int> Flags::Parse(int argc, const char* const* argv) {
  // CLI11 lets a file win over the environment: so what the environment says goes before it, as if it were on the
  // command line.
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const auto given = [&](const std::string& flag) {
    return std::any_of(argv, argv + argc, [&](std::string_view argument) {
      return argument == flag || (argument.starts_with(flag) && argument.substr(flag.size()).starts_with('='));
    });
  };
  for (const auto& [flag, variable] : variables_) {
    if (const char* value = std::getenv(variable.c_str()); value != nullptr && !given(flag))
      arguments.push_back(base::StrCat(flag, "=", std::string_view(value)));
  }
  std::reverse(arguments.begin(), arguments.end());  // As CLI11 wants them.
  try {
    app_.parse(std::move(arguments));
    return std::nullopt;
  } catch (const CLI::Success& e) {
    return app_.exit(e);
  } catch (const CLI::ParseError& e) {
    std::cerr << program_ << ": " << e.what() << "\n  see: " << program_ << " --help\n";
    return 2;
  }
}

void AddIdentityFlags(Flags* flags, IdentityFiles* files) {
  flags->Add("cert", &files->cert, "This program's certificate, PEM, leaf first: its URI says who it is", "Identity")
      ->required()
      ->type_name("FILE");
  flags->Add("key", &files->key, "The certificate's key, PEM", "Identity")->required()->type_name("FILE");
  flags
      ->Add("ca", &files->ca, "Who signs the certificates of the other programs and of administrators, PEM", "Identity")
      ->required()
      ->type_name("FILE");
  flags->Add("reload-seconds", &files->reload_seconds, "How often these files are looked at for changes", "Identity")
      ->check(CLI::Range(1, 3600));
}

void AddServiceFlags(Flags* flags, ServiceFlags* service, bool is_server) {
  flags->Add("health-listen", &service->health_listen,
             "HOST:PORT of grpc.health.v1 without TLS, for probes; empty: none", "Monitoring");
  flags->Add("metrics-listen", &service->metrics_listen, "HOST:PORT where Prometheus finds /metrics; empty: none",
             "Monitoring");
  if (is_server) {
    flags->Add("denied-identities-file", &service->denied_identities_file,
               "SPIFFE ids, one a line, that are refused though their certificates are good; read anew when it changes",
               "Identity");
  }
  flags->AddSwitch("debug", &service->debug, "Log more", "Monitoring");
}

}  // namespace gatepost::rpc
