// gatepostctl apply: nothing is deleted without --prune.
#include "services/ctl/apply.h"

#include <unistd.h>

#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/ctl/cli.h"
#include "services/ctl/kind.h"
#include "services/ctl/line_diff.h"
#include "services/ctl/manifest.h"

namespace gatepost::ctl {
namespace {

class Applier {
 public:
  Applier(Invocation* invocation, const ApplyOptions& options) : invocation_(invocation), options_(options) {}

  absl::Status Run(std::string_view text) {
    const auto kinds = AllKinds(invocation_);
    auto entries = ParseManifest(text, kinds);
    if (!entries.ok()) return UsageError(options_.source + ": " + std::string(entries.status().message()));
    for (const ManifestEntry& entry : *entries) {
      absl::Status status = Apply(entry);
      if (!status.ok()) return absl::Status(status.code(), entry.name + ": " + std::string(status.message()));
    }
    return options_.prune ? Prune(kinds, *entries) : absl::OkStatus();
  }

 private:
  absl::Status Apply(const ManifestEntry& entry) {
    auto current = entry.kind->Get(entry.name);
    if (!current.ok()) return current.status();
    return *current == nullptr ? Create(entry) : Update(entry, **current);
  }

  absl::Status Create(const ManifestEntry& entry) {
    // A dry run cannot have judged what depends on something that this very run would create.
    std::string depends_on;
    if (options_.dry_run) {
      const std::string content = entry.resource->ShortDebugString();
      for (const std::string& name : would_create_) {
        if (content.find("\"" + name + "\"") != std::string::npos) depends_on = name;
      }
    }
    if (depends_on.empty()) {
      auto created = entry.kind->Create(*entry.resource, options_.dry_run);
      if (!created.ok()) return created.status();
      if (absl::Status status = ShowDiff(nullptr, **created); !status.ok()) return status;
    }
    would_create_.insert(entry.name);
    Say(entry.name,
        options_.dry_run
            ? "would be created" + (depends_on.empty() ? "" : " (not judged yet: it needs " + depends_on + ")")
            : "created");
    return absl::OkStatus();
  }

  absl::Status Update(const ManifestEntry& entry, const google::protobuf::Message& current) {
    Resource wanted(entry.resource->New());
    wanted->CopyFrom(*entry.resource);
    const std::vector<std::string> secrets = InputOnlyFields(*wanted);
    // A password cannot be compared, and setting it anew would end its user's sessions each time: it counts at creation
    // alone.
    if (entry.kind->name() == "User") ClearSecrets(wanted.get());

    const google::protobuf::FieldMask mask = FullMask(*wanted);
    // An old etag, of an exported file say, matters only if something is to be changed.
    Resource judged(wanted->New());
    judged->CopyFrom(*wanted);
    judged->GetReflection()->ClearField(judged.get(), judged->GetDescriptor()->FindFieldByName("etag"));
    auto effective = entry.kind->Update(*judged, mask, /*validate_only=*/true);
    if (!effective.ok()) return effective.status();
    auto before = ResourceYaml(*Comparable(current));
    auto after = ResourceYaml(*Comparable(**effective));
    if (!before.ok()) return before.status();
    if (!after.ok()) return after.status();
    if (*before == *after) {
      Say(entry.name, entry.kind->name() == "User" && !secrets.empty()
                          ? "unchanged (a password counts at creation alone: gatepostctl user set-password)"
                          : "unchanged");
      return absl::OkStatus();
    }
    if (absl::Status status = ShowDiff(&current, **effective); !status.ok()) return status;
    if (!options_.dry_run) {
      auto updated = entry.kind->Update(*wanted, mask, /*validate_only=*/false);
      if (!updated.ok()) return updated.status();
    }
    Say(entry.name, options_.dry_run ? "would be updated" : "updated");
    return absl::OkStatus();
  }

  static void ClearSecrets(google::protobuf::Message* resource) {
    for (const std::string& field : InputOnlyFields(*resource)) {
      resource->GetReflection()->ClearField(resource, resource->GetDescriptor()->FindFieldByCamelcaseName(field));
    }
  }

  absl::Status ShowDiff(const google::protobuf::Message* before, const google::protobuf::Message& after) {
    if (!options_.diff) return absl::OkStatus();
    absl::StatusOr<std::string> old_text = "";
    if (before != nullptr) old_text = ResourceYaml(*Comparable(*before));
    if (!old_text.ok()) return old_text.status();
    auto new_text = ResourceYaml(*Comparable(after));
    if (!new_text.ok()) return new_text.status();
    invocation_->out << LineDiff(*old_text, *new_text);
    return absl::OkStatus();
  }

  absl::Status Prune(const std::vector<std::unique_ptr<Kind>>& kinds, const std::vector<ManifestEntry>& entries) {
    std::set<std::string> kept;
    std::set<const Kind*> present;
    for (const ManifestEntry& entry : entries) {
      kept.insert(entry.name);
      present.insert(entry.kind);
    }
    // In the reverse of their dependency order.
    std::vector<std::pair<const Kind*, std::string>> surplus;
    for (auto kind = kinds.rbegin(); kind != kinds.rend(); ++kind) {
      if (present.count(kind->get()) == 0) continue;
      auto names = (*kind)->ListNames();
      if (!names.ok()) return names.status();
      for (const std::string& name : *names) {
        if (kept.count(name) == 0) surplus.emplace_back(kind->get(), name);
      }
    }
    if (surplus.empty()) return absl::OkStatus();
    if (!options_.dry_run && !options_.yes) {
      invocation_->err << "Not in the file, to be deleted:\n";
      for (const auto& [kind, name] : surplus) invocation_->err << "  " << name << '\n';
      if (options_.source == "-" || isatty(STDIN_FILENO) == 0)
        return UsageError("--prune asks before it deletes; without a terminal give --yes. Nothing was deleted");
      invocation_->err << "Delete them? [y/N] " << std::flush;
      std::string answer;
      std::getline(invocation_->in, answer);
      if (answer != "y" && answer != "Y" && answer != "yes") return absl::CancelledError("nothing was deleted");
    }
    for (const auto& [kind, name] : surplus) {
      if (!options_.dry_run) {
        absl::Status status = kind->Delete(name);
        if (!status.ok()) return absl::Status(status.code(), name + ": " + std::string(status.message()));
      }
      Say(name, options_.dry_run ? "would be deleted" : "deleted");
    }
    return absl::OkStatus();
  }

  void Say(const std::string& name, std::string_view what) { invocation_->out << name << ' ' << what << '\n'; }

  Invocation* const invocation_;
  const ApplyOptions options_;
  std::set<std::string> would_create_;
};

}  // namespace

absl::Status ApplyManifest(Invocation* invocation, std::string_view text, const ApplyOptions& options) {
  return Applier(invocation, options).Run(text);
}

void AddApply(CLI::App* root, Invocation* invocation) {
  CLI::App* command = root->add_subcommand("apply", "Make the services agree with a file of resources");
  command->fallthrough();
  auto options = std::make_shared<ApplyOptions>();
  command->add_option("-f,--file", options->source, "A YAML stream or a JSON array (- for standard input)")->required();
  command->add_flag("--dry-run", options->dry_run, "Let the services judge everything, change nothing");
  command->add_flag("--diff", options->diff, "Show the lines that change");
  command->add_flag("--prune", options->prune,
                    "Delete what the file does not name, of the kinds that it has; lists them and asks");
  command->add_flag("--yes", options->yes, "Do not ask before --prune deletes");
  command->footer(
      "Each document is a resource with its kind (Certificate, User, VirtualServer), as `get` and `list` print it with "
      "--output yaml:\n"
      "  kind: VirtualServer\n"
      "  name: virtualServers/inbound\n"
      "  fqdn: mx.example.com\n"
      "Fields that are absent have their default; unknown fields are errors.");
  command->callback([=] {
    invocation->action = [=]() -> absl::Status {
      auto text = ReadInput(options->source, invocation->in);
      if (!text.ok()) return text.status();
      return ApplyManifest(invocation, *text, *options);
    };
  });
}

}  // namespace gatepost::ctl
