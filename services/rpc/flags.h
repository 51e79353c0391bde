// Command lines of the programs: each flag has an environment variable (the program's prefix and the flag's name in
// upper case) and a key in the file named by --config-file. The command line wins over the environment, the environment
// over the file.
//   rpc::Flags flags("gatepost-auth", "GATEPOST_AUTH_", "Validates the credentials of SMTP clients.");
//   flags.Add("listen", &options.listen, "HOST:PORT of the API");
//   if (std::optional<int> exit_code = flags.Parse(argc, argv)) return *exit_code;
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/rpc/identity_files.h"

namespace gatepost::rpc {

class Flags {
 public:
  Flags(const std::string& program, std::string prefix, const std::string& description);

  // --name VALUE, PREFIX_NAME, name=VALUE. The default that --help shows is the value it has now. Restrict by the
  // option that is returned: ->required(), ->check(CLI::Range(1, 64)).
  template <typename T>
  CLI::Option* Add(const std::string& name, T* value, const std::string& help, const std::string& group = "Options") {
    return Dress(app_.add_option("--" + name, *value, help)->capture_default_str(), name, group);
  }
  // --name, PREFIX_NAME=true.
  CLI::Option* AddSwitch(const std::string& name, bool* value, const std::string& help,
                         const std::string& group = "Options") {
    return Dress(app_.add_flag("--" + name, *value, help), name, group);
  }
  CLI::App& app() { return app_; }

  // Nothing: go on. Else the exit code: 0 after --help or --version, 2 after bad usage, which is explained on stderr.
  std::optional<int> Parse(int argc, const char* const* argv);

 private:
  CLI::Option* Dress(CLI::Option* option, const std::string& name, const std::string& group);

  const std::string program_;
  const std::string prefix_;
  CLI::App app_;
  std::vector<std::pair<std::string, std::string>> variables_;  // "--flag", its variable
};

// --cert, --key, --ca (required), --reload-seconds: a program's identity.
void AddIdentityFlags(Flags* flags, IdentityFiles* files);

// --health-listen, --metrics-listen, --denied-identities-file, --debug: what every program has. Listeners default to
// loopback; an empty one is off.
struct ServiceFlags {
  std::string health_listen;
  std::string metrics_listen;
  std::string denied_identities_file;  // Servers only.
  bool debug = false;
};
void AddServiceFlags(Flags* flags, ServiceFlags* service, bool is_server);

}  // namespace gatepost::rpc
