// YAML and JSON for gatepostctl: documents in, protobuf's JSON out, and the way back for --output yaml.
//
// JSON is read as YAML (it is a subset), so one reader serves both. Scalars follow YAML 1.2's core schema: a quoted
// scalar is a string, a plain one may be null, true, false or a number; `yes`, `no` and `on` are strings. Files are an
// administrator's own, yet bounded: nesting 64, 16 MiB of JSON, no duplicate keys, no tags. No state; callable from any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "yaml-cpp/yaml.h"

namespace gatepost::ctl {

// All documents of a YAML stream, empty ones left out; a document that is a sequence (a JSON array) stands for its
// elements. INVALID_ARGUMENT with line and column.
absl::StatusOr<std::vector<YAML::Node>> LoadStream(std::string_view text);

// JSON of one node. INVALID_ARGUMENT: a duplicate key, a key that is no string, too deep, too large.
absl::StatusOr<std::string> ToJson(const YAML::Node& node);

// Block-style YAML of one JSON value, ends with a newline. Strings that would read as another type are quoted.
absl::StatusOr<std::string> JsonToYaml(std::string_view json);

// Sets `path` ("relay.mode", "tls.minVersion") within a map, making maps on the way. INVALID_ARGUMENT: an empty part,
// or a part that is no map.
absl::Status SetPath(YAML::Node root, std::string_view path, const YAML::Node& value);

}  // namespace gatepost::ctl
