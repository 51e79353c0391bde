#include "services/ctl/edit.h"

#include <google/protobuf/util/json_util.h>

#include <cctype>

#include "services/ctl/cli.h"
#include "services/ctl/yaml.h"

namespace gatepost::ctl {
namespace {

absl::Status AddFile(const std::string& path, std::istream& in, YAML::Node root, google::protobuf::FieldMask* mask) {
  auto text = ReadInput(path, in);
  if (!text.ok()) return text.status();
  auto documents = LoadStream(*text);
  if (!documents.ok()) return UsageError(path + ": " + std::string(documents.status().message()));
  if (documents->size() != 1 || !documents->front().IsMap())
    return UsageError(path +
                      ": one document with one resource is expected here; for several there is `gatepostctl apply -f`");
  for (const auto& entry : documents->front()) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    // What `get` prints and the command line says.
    if (key == "kind" || key == "name") continue;
    if (root[key]) return UsageError(path + ": '" + key + "' is there twice");
    root[key] = entry.second;
    if (mask != nullptr && key != "etag") mask->add_paths(ProtoPath(key));
  }
  return absl::OkStatus();
}

}  // namespace

void AddEditOptions(CLI::App* command, Edit* edit, bool update) {
  command->add_option("-f,--file", edit->file, "A file with the resource as YAML or JSON (- for standard input)");
  Repeatable(command->add_option("--set", edit->set,
                                 "PATH=VALUE: sets a field; VALUE is YAML. Lists are set as a whole. Repeatable"));
  if (update) {
    Repeatable(command->add_option("--clear", edit->clear, "PATH: sets a field back to its default. Repeatable"));
  }
}

absl::Status ApplyEdit(const Edit& edit, std::istream& in, google::protobuf::Message* resource,
                       google::protobuf::FieldMask* mask) {
  YAML::Node root(YAML::NodeType::Map);
  if (!edit.file.empty()) {
    if (absl::Status status = AddFile(edit.file, in, root, mask); !status.ok()) return status;
  }
  for (const std::string& assignment : edit.set) {
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0)
      return UsageError("--set takes PATH=VALUE, not '" + assignment + "'");
    const std::string path = assignment.substr(0, equals);
    auto value = LoadStream("- " + assignment.substr(equals + 1));
    if (!value.ok() || value->size() != 1) {
      // A value such as "a: b" at top level is YAML of its own.
      value = LoadStream(assignment.substr(equals + 1));
      if (!value.ok()) return UsageError("--set " + path + ": " + std::string(value.status().message()));
      if (value->size() != 1) return UsageError("--set " + path + ": one value is expected");
    }
    if (absl::Status status = SetPath(root, path, value->front()); !status.ok())
      return UsageError("--set " + path + ": " + std::string(status.message()));
    if (mask != nullptr) mask->add_paths(ProtoPath(path));
  }
  for (const std::string& path : edit.clear) {
    if (mask != nullptr) mask->add_paths(ProtoPath(path));
  }
  auto json = ToJson(root);
  if (!json.ok()) return UsageError(std::string(json.status().message()));
  if (absl::Status status = ParseJson(*json, resource); !status.ok()) return UsageError(std::string(status.message()));
  return absl::OkStatus();
}

absl::Status ParseJson(const std::string& json, google::protobuf::Message* resource) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = false;
  const auto status = google::protobuf::util::JsonStringToMessage(json, resource, options);
  if (status.ok()) return absl::OkStatus();
  // Protobuf says "(tls) requireX: Cannot find field.", without what is in brackets at the top.
  std::string text(status.message());
  constexpr std::string_view kUnknown = ": Cannot find field.";
  if (text.size() > kUnknown.size() && text.compare(text.size() - kUnknown.size(), kUnknown.size(), kUnknown) == 0) {
    std::string field = text.substr(0, text.size() - kUnknown.size());
    std::string where;
    if (const size_t end = field.find(") "); field.front() == '(' && end != std::string::npos) {
      where = " in " + field.substr(1, end - 1);
      field = field.substr(end + 2);
    }
    text = "there is no field '" + field + "'" + where;
  }
  return absl::InvalidArgumentError(text);
}

std::string ProtoPath(std::string_view path) {
  std::string out;
  for (char c : path) {
    if (std::isupper(static_cast<unsigned char>(c))) {
      if (!out.empty() && out.back() != '.') out += '_';
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace gatepost::ctl
