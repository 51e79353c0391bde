#include "services/ctl/cli.h"

#include <chrono>
#include <fstream>
#include <istream>
#include <iterator>
#include <sstream>

namespace gatepost::ctl {
namespace {

constexpr size_t kMaxInput = 16u << 20;
constexpr char kUsagePayload[] = "gatepostctl/usage";

}  // namespace

absl::Status UsageError(std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(std::string(message));
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) { return status.GetPayload(kUsagePayload).has_value(); }

std::string NameOf(std::string_view collection, std::string_view id) {
  const std::string prefix = std::string(collection) + "/";
  return id.substr(0, prefix.size()) == prefix ? std::string(id) : prefix + std::string(id);
}

CLI::App* AddNoun(CLI::App* root, const std::string& noun, const std::string& help) {
  CLI::App* app = root->add_subcommand(noun, help);
  app->require_subcommand(1);
  app->fallthrough();
  return app;
}

absl::StatusOr<std::string> ReadInput(const std::string& path, std::istream& in) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) return absl::FailedPreconditionError("cannot read " + path + ": " + std::generic_category().message(errno));
  }
  std::istream& source = path == "-" ? in : file;
  std::string text;
  char buffer[65536];
  while (source.read(buffer, sizeof buffer) || source.gcount() > 0) {
    text.append(buffer, static_cast<size_t>(source.gcount()));
    if (text.size() > kMaxInput) return absl::FailedPreconditionError(path + " is larger than 16 MiB");
  }
  if (source.bad()) return absl::FailedPreconditionError("cannot read " + path);
  return text;
}

}  // namespace gatepost::ctl
