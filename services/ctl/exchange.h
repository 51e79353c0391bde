// The receive connectors of an Exchange server (`Get-ReceiveConnector | ConvertTo-Json`) as virtual servers.
//
// Every property is mapped, known to say nothing about how the server behaves, or listed in the notes of its connector:
// none is dropped in silence. Where both cannot be had, what is made permits less than the connector did. What it makes
// is judged by the config service like anybody's. No state; callable from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gatepost/config/v1/certificate.pb.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/ctl/shorthand.h"

namespace gatepost::ctl {

struct ImportedConnector {
  std::string title;  // what Exchange calls it
  config::v1::VirtualServer server;
  std::vector<std::string> notes;  // "RequireTLS: ..."
};

struct ExchangeImport {
  // Stands in for Exchange's own, which is not in the file, where no certificate was given and TLS is offered.
  std::optional<config::v1::Certificate> certificate;
  std::vector<ImportedConnector> connectors;
  std::vector<std::string> notes;  // on all of them
};

// `surroundings`: certificates, local domains, next hops for each virtual server. INVALID_ARGUMENT (a usage error): not
// JSON, no connector in it, one without a name.
absl::StatusOr<ExchangeImport> ImportExchange(std::string_view json, const Shorthand& surroundings);

}  // namespace gatepost::ctl
