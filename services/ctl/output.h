// What gatepostctl prints: tables for people, JSON and YAML for programs and for `apply -f`.
//
// JSON and YAML are protobuf's JSON mapping of the resource with `kind:` before it, so that whatever `get` or `list`
// prints is input for `apply`. JSON lists are arrays, YAML lists are streams. Texts of a server are printed without
// control characters. One thread.
#pragma once

#include <google/protobuf/message.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gatepost::ctl {

enum class Format { kText, kJson, kYaml };

// Columns are padded to their widest cell; the last one is not.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

// The resource as protobuf's JSON, with its kind. `pretty`: indented.
absl::StatusOr<std::string> ResourceJson(const google::protobuf::Message& resource, bool pretty);

// The same as YAML.
absl::StatusOr<std::string> ResourceYaml(const google::protobuf::Message& resource);

// Prints one resource; as text, its YAML without the kind.
absl::Status PrintResource(Format format, const google::protobuf::Message& resource, std::ostream& out);

// Prints a list; as text, `table`, or `empty` when it has no rows.
absl::Status PrintList(Format format, const std::vector<const google::protobuf::Message*>& resources,
                       const Table& table, std::string_view empty, std::ostream& out);

void PrintTable(const Table& table, std::ostream& out);

// Control characters as \xNN, so that a server's text cannot drive the terminal.
std::string Printable(std::string_view text);

// "virtualServers/a" -> "a".
std::string IdOf(std::string_view name);

// "in 39 days", "3 h ago": the distance of a time, in seconds since the epoch, from `now`.
std::string RelativeTime(int64_t seconds, int64_t now);

}  // namespace gatepost::ctl
