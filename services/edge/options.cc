#include "services/edge/options.h"

#include <algorithm>
#include <thread>

#include "services/base/strings.h"

namespace gatepost::edge {
namespace {

// ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$
bool IsId(std::string_view id) {
  const auto alnum = [](char c) { return base::IsDigit(c) || (c >= 'a' && c <= 'z'); };
  return !id.empty() && id.size() <= 63 && id.front() >= 'a' && id.front() <= 'z' && alnum(id.back()) &&
         std::all_of(id.begin(), id.end(), [&](char c) { return alnum(c) || c == '-'; });
}

}  // namespace

std::optional<std::string> Complete(Options* options) {
  if (options->static_config.empty() == options->config_address.empty()) {
    return "--config-address names the config service (or --static-config a fixed configuration): give one of them";
  }
  if (!options->config_address.empty() || !options->auth_address.empty()) {
    if (options->cert.empty())
      return "--cert: the edge's certificate is needed to speak with the config and auth services";
    if (options->key.empty()) return "--key: the key of --cert is needed";
    if (options->ca.empty()) return "--ca: the CA of the config and auth services is needed";
  }
  if (!options->config_address.empty() && !IsId(options->node_id)) {
    return base::StrCat("--node-id: '", options->node_id,
                        "' is no id: a letter, then up to 62 of a-z, 0-9 and -, unique among all edges");
  }
  if (options->snapshot_file.empty() != options->snapshot_key_file.empty()) {
    return "--snapshot-file and --snapshot-key-file belong together: a snapshot holds keys and is only written sealed";
  }
  if (options->threads == 0) options->threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return std::nullopt;
}

absl::StatusOr<std::vector<base::Endpoint>> ParseDnsServers(const Options& options) {
  std::vector<base::Endpoint> servers;
  for (const std::string& text : options.dns_servers) {
    absl::StatusOr<base::Endpoint> server = base::Endpoint::Parse(text);
    if (!server.ok()) return server.status();
    servers.push_back(*server);
  }
  return servers;
}

}  // namespace gatepost::edge
