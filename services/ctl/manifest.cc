#include "services/ctl/manifest.h"

#include <algorithm>
#include <set>
#include <utility>

#include "services/ctl/cli.h"
#include "services/ctl/edit.h"
#include "services/ctl/yaml.h"

namespace gatepost::ctl {
namespace {

// One document, or what is wrong with it.
absl::StatusOr<ManifestEntry> ParseDocument(const YAML::Node& document,
                                            const std::vector<std::unique_ptr<Kind>>& kinds) {
  if (!document.IsMap()) return absl::InvalidArgumentError("a resource (kind: ..., name: ...) is expected");
  std::string known;
  for (const auto& kind : kinds) known += (known.empty() ? "" : ", ") + std::string(kind->name());
  const YAML::Node kind_node = document["kind"];
  if (!kind_node || !kind_node.IsScalar()) return absl::InvalidArgumentError("`kind:` is missing (" + known + ")");
  ManifestEntry entry{nullptr, "", nullptr};
  for (const auto& kind : kinds) {
    if (kind->name() == kind_node.Scalar()) entry.kind = kind.get();
  }
  if (entry.kind == nullptr)
    return absl::InvalidArgumentError("kind '" + Printable(kind_node.Scalar()) + "' is not one of " + known);

  YAML::Node fields(YAML::NodeType::Map);
  std::set<std::string> seen;
  for (const auto& field : document) {
    if (!field.first.IsScalar()) return absl::InvalidArgumentError("a key must be a plain name");
    const std::string& key = field.first.Scalar();
    if (!seen.insert(key).second) return absl::InvalidArgumentError("'" + key + "' is there twice");
    if (key != "kind") fields[key] = field.second;
  }
  auto json = ToJson(fields);
  if (!json.ok()) return json.status();
  entry.resource = entry.kind->New();
  if (absl::Status status = ParseJson(*json, entry.resource.get()); !status.ok()) return status;

  const std::string name = ResourceName(*entry.resource);
  const std::string collection(entry.kind->collection());
  if (name.empty()) return absl::InvalidArgumentError("`name:` is missing (" + collection + "/ID)");
  if (name.find('/') != std::string::npos && name.rfind(collection + "/", 0) != 0) {
    return absl::InvalidArgumentError("the name '" + Printable(name) + "' of a " + std::string(entry.kind->name()) +
                                      " must begin with " + collection + "/");
  }
  entry.name = NameOf(collection, name);
  SetResourceName(entry.name, entry.resource.get());
  return entry;
}

}  // namespace

absl::StatusOr<std::vector<ManifestEntry>> ParseManifest(std::string_view text,
                                                         const std::vector<std::unique_ptr<Kind>>& kinds) {
  auto documents = LoadStream(text);
  if (!documents.ok()) return UsageError(std::string(documents.status().message()));
  if (documents->empty()) return UsageError("the file holds no document");
  std::vector<ManifestEntry> entries;
  std::set<std::string> names;
  std::string faults;
  for (size_t i = 0; i < documents->size(); ++i) {
    auto entry = ParseDocument((*documents)[i], kinds);
    std::string fault;
    if (!entry.ok()) {
      fault = std::string(entry.status().message());
    } else if (!names.insert(entry->name).second) {
      fault = entry->name + " is there twice";
    }
    if (fault.empty()) {
      entries.push_back(*std::move(entry));
      continue;
    }
    const YAML::Mark mark = (*documents)[i].Mark();
    faults += (faults.empty() ? "" : "\n") + std::string("document ") + std::to_string(i + 1) +
              (mark.is_null() ? "" : ", line " + std::to_string(mark.line + 1)) + ": " + fault;
  }
  if (!faults.empty()) return UsageError(faults);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const ManifestEntry& a, const ManifestEntry& b) { return a.kind->order() < b.kind->order(); });
  return entries;
}

}  // namespace gatepost::ctl
