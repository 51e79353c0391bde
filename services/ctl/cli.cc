#include "services/ctl/cli.h"

#include <cerrno>
#include <chrono>
#include <fstream>
#include <istream>
#include <iterator>
#include <system_error>
#include <utility>

#include "services/base/file.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/ctl/explain.h"
#include "services/rpc/channel.h"
#include "services/tls/certificate.h"

namespace gatepost::ctl {
namespace {

constexpr size_t kMaxInput = 16u << 20;
constexpr char kUsagePayload[] = "gatepostctl/usage";

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> Invocation::Channel(Service service) {
  std::shared_ptr<grpc::Channel>& channel = channels_[static_cast<int>(service)];
  if (channel != nullptr) return channel;
  if (options.cert.empty() || options.key.empty() || options.ca.empty()) {
    return UsageError(
        "who are you? --cert, --key and --ca are needed (or GATEPOSTCTL_CERT, _KEY and _CA; deploy/local/up writes "
        "them to DIR/env)");
  }
  rpc::ChannelOptions channel_options;
  channel_options.address = service == Service::kConfig ? options.config_address : options.auth_address;
  channel_options.server_name = options.server_name;
  channel_options.server_role = service == Service::kConfig ? rpc::Role::kConfig : rpc::Role::kAuth;
  channel_options.identity = {options.cert, options.key, options.ca};
  // gRPC would say of a key that is another certificate's only that no handshake succeeds.
  GATEPOST_ASSIGN_OR_RETURN(const std::string certificate, base::ReadFile(options.cert));
  GATEPOST_ASSIGN_OR_RETURN(const std::string key, base::ReadFile(options.key));
  if (!tls::KeyMatches(certificate, key).ok()) {
    return absl::FailedPreconditionError(
        base::StrCat("--key ", options.key, " is not the key of --cert ", options.cert));
  }
  auto made = rpc::MakeChannel(channel_options);
  if (!made.ok()) return made.status();
  channel = *std::move(made);
  return channel;
}

void Invocation::UseChannel(Service service, std::shared_ptr<grpc::Channel> channel) {
  channels_[static_cast<int>(service)] = std::move(channel);
}

void Invocation::Prepare(grpc::ClientContext* context) const {
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(options.timeout_seconds));
}

std::string Invocation::AnsweredBy() const {
  std::string address = peer_.substr(peer_.find(':') + 1);
  for (const auto& [escape, bracket] : {std::pair("%5B", "["), std::pair("%5D", "]")}) {
    if (const size_t at = address.find(escape); at != address.npos) address.replace(at, 3, bracket);
  }
  return address;
}

absl::Status Invocation::Explain(Service service, const grpc::Status& status) const {
  const bool config = service == Service::kConfig;
  return ExplainFailure(status, config ? "config" : "auth", config ? options.config_address : options.auth_address);
}

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

CLI::Option* Repeatable(CLI::Option* option) { return option->expected(1)->allow_extra_args(false)->take_all(); }

absl::StatusOr<std::string> ReadInput(const std::string& path, std::istream& in) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file)
      return absl::FailedPreconditionError("cannot read " + path + ": " + std::generic_category().message(errno));
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
