// Options that stand for the fields of a virtual server that nearly everybody sets, so that nobody needs YAML for them.
// No state; one thread.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gatepost/config/v1/virtual_server.pb.h"

namespace gatepost::ctl {

struct Shorthand {
  std::string fqdn;
  std::vector<std::string> listen;
  std::vector<std::string> certificates;
  std::vector<std::string> local_domains;
  std::vector<std::string> next_hops;
  std::vector<std::string> connection_entries;
  std::vector<std::string> relay_entries;
  bool anonymous = false;
  bool require_secure_channel = false;
};

// --certificate, --local-domain, --next-hop: what a virtual server has from others.
void AddSurroundingOptions(CLI::App* command, Shorthand* shorthand);
// All of them.
void AddShorthandOptions(CLI::App* command, Shorthand* shorthand);

// Puts what was given into `server`. INVALID_ARGUMENT (a usage error) names the option.
absl::Status ApplyShorthand(const Shorthand& shorthand, config::v1::VirtualServer* server);

// An entry of a list of clients as it is written on the command line.
inline constexpr char kEntryForms[] =
    "an address, a subnet (10.0.0.0/8), a range (FIRST-LAST), host:NAME or domain:NAME";

// INVALID_ARGUMENT (a usage error): none of kEntryForms; the text names `option`.
absl::StatusOr<config::v1::ClientEntry> ParseEntry(std::string_view option, const std::string& text);

using ClientEntries = google::protobuf::RepeatedPtrField<config::v1::ClientEntry>;

// Takes out what `entry` names, however it is written: for a host name, all of its addresses. The number taken out.
int RemoveEntry(const config::v1::ClientEntry& entry, ClientEntries* entries);

}  // namespace gatepost::ctl
