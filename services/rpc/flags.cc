#include "services/rpc/flags.h"

#include <cstdio>
#include <utility>

#include "services/base/strings.h"

namespace gatepost::rpc {

Flags::Flags(const std::string& description, const std::string& program, std::string prefix)
    : app_(description, program), prefix_(std::move(prefix)) {
  app_.set_config("--config-file", "", "A file of `flag = value` lines (TOML)")->envname(prefix_ + "CONFIG_FILE");
  app_.set_version_flag("--version", Version(), "Print the version and exit");
  app_.allow_config_extras(CLI::config_extras_mode::error);
  app_.get_formatter()->column_width(44);
}

CLI::Option* Flags::Named(CLI::Option* option, const std::string& name) const {
  std::string variable = prefix_;
  for (char c : name) variable += c == '-' ? '_' : base::ToUpper(c);
  return option->envname(variable);
}

std::optional<int> Flags::Parse(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::Success& success) {
    app_.exit(success);  // --help, --version
    return 0;
  } catch (const CLI::Error& error) {
    return RefuseToStart(app_.get_name(), base::StrCat(error.what(), " (--help lists the flags)"));
  }
  return std::nullopt;
}

std::string Version() { return "0.1.0"; }

int RefuseToStart(const std::string& program, const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", program.c_str(), what.c_str());
  return 2;
}

}  // namespace gatepost::rpc
