// The edge's command line as a value, and what is wrong with it. No file is opened here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/ip_address.h"

namespace gatepost::edge {

struct Options {
  std::string config_address;
  std::string config_server_name;
  std::string auth_address;
  std::string auth_server_name;
  std::string cert;
  std::string key;
  std::string ca;
  std::string node_id;
  int threads = 0;
  int port_offset = 0;
  std::string health_listen = "127.0.0.1:2591";
  std::string metrics_listen = "127.0.0.1:2590";
  std::string snapshot_file;
  std::string snapshot_key_file;
  double drain_delay = 0;
  uint64_t memory_limit = 0;  // octets; 0: the control group's
  int auth_streams = 2;
  std::vector<std::string> dns_servers;
  std::string static_config;
};

// Nothing when they make sense together; else one line that names the setting. Fills in what has a computed default.
std::optional<std::string> Complete(Options* options);

// --dns-server as endpoints. INVALID_ARGUMENT names the one that is none.
absl::StatusOr<std::vector<base::Endpoint>> ParseDnsServers(const Options& options);

}  // namespace gatepost::edge
