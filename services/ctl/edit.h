// Resources from the command line: --file, --set PATH=VALUE, --clear PATH, and the update mask that they amount to.
//
// VALUE is YAML ("true", "[{subnet: 10.0.0.0/8}]"), PATH names fields by their JSON or their proto name, with dots
// ("tls.requireSecureChannel"). Unknown fields are errors. No state; one thread.
#pragma once

#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/message.h>

#include <CLI/CLI.hpp>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace gatepost::ctl {

struct Edit {
  std::string file;
  std::vector<std::string> set;
  std::vector<std::string> clear;
};

// Adds --file and --set, and for updates --clear.
void AddEditOptions(CLI::App* command, Edit* edit, bool update);

// Fills `resource` from the edit; `mask` (may be null) receives the paths that it touches: the file's fields, what was
// set, what was cleared. INVALID_ARGUMENT (a usage error): no such field, a value of the wrong type, a malformed
// PATH=VALUE.
absl::Status ApplyEdit(const Edit& edit, std::istream& in, google::protobuf::Message* resource,
                       google::protobuf::FieldMask* mask);

// Parses protobuf's JSON strictly; the message says what is wrong in the words of the file.
absl::Status ParseJson(const std::string& json, google::protobuf::Message* resource);

// "tls.requireSecureChannel" -> "tls.require_secure_channel".
std::string ProtoPath(std::string_view path);

}  // namespace gatepost::ctl
