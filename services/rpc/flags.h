// The command line of a service: every flag has an environment variable (the program's prefix and the flag's name) and a key in the
// file named by --config-file; the command line wins, then the environment, then the file.
#pragma once

#include <CLI/CLI.hpp>

#include <optional>
#include <string>

namespace gatepost::rpc {

class Flags {
 public:
  // `prefix`: "GATEPOST_EDGE_".
  Flags(const std::string& description, const std::string& program, std::string prefix);

  // `name` without dashes in front. The variable's value is the default, and shown in --help.
  template <typename T>
  CLI::Option* Add(const std::string& name, T& value, const std::string& help) {
    return Named(app_.add_option("--" + name, value, help)->capture_default_str(), name);
  }
  CLI::Option* AddSwitch(const std::string& name, bool& value, const std::string& help) {
    return Named(app_.add_flag("--" + name, value, help), name);
  }

  // nullopt: go on. Else the exit code: 0 after --help and --version, 2 after one line on standard error that names the flag.
  std::optional<int> Parse(int argc, char** argv);

 private:
  CLI::Option* Named(CLI::Option* option, const std::string& name) const;

  CLI::App app_;
  std::string prefix_;
};

// The version that --version and build info show.
std::string Version();

// "PROGRAM: what" on standard error, one line; returns 2, the exit code of bad usage and configuration.
int RefuseToStart(const std::string& program, const std::string& what);

}  // namespace gatepost::rpc
