#include "services/rpc/deny_list.h"

#include <sys/stat.h>

#include "services/base/file.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/peer_identity.h"

namespace gatepost::rpc {
namespace {

constexpr base::Duration kLookEvery = std::chrono::seconds(1);
constexpr size_t kMaxFile = 4 << 20;

// What tells one version of a file from the next.
std::string Mark(const std::string& path) {
  struct stat facts = {};
  if (stat(path.c_str(), &facts) != 0) return "";
  return base::StrCat(static_cast<uint64_t>(facts.st_ino), ' ', static_cast<int64_t>(facts.st_size), ' ',
                      static_cast<int64_t>(facts.st_mtim.tv_sec), ' ', static_cast<int64_t>(facts.st_mtim.tv_nsec));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DenyList>> DenyList::Open(const std::string& path, const base::Clock& clock) {
  std::unique_ptr<DenyList> list(new DenyList(path, clock));
  if (!path.empty()) {
    if (absl::Status status = list->Reload(); !status.ok()) return absl::FailedPreconditionError(status.message());
  }
  return list;
}

absl::Status DenyList::Reload() {
  absl::MutexLock lock(&mutex_);
  return Read();
}

absl::Status DenyList::Read() const {
  if (path_.empty()) return absl::OkStatus();
  looked_ = clock_.Now();
  // The mark first: a file that changes while it is read is read again.
  std::string mark = Mark(path_);
  GATEPOST_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path_, kMaxFile));
  std::set<std::string, std::less<>> denied;
  size_t number = 0;
  for (std::string_view line : base::Split(text, '\n')) {
    ++number;
    line = line.substr(0, line.find('#'));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    line = base::Trim(line);
    if (line.empty()) continue;
    if (absl::Status status = ParsePeerIdentity(line).status(); !status.ok()) {
      return absl::InvalidArgumentError(base::StrCat(path_, ":", number, ": ", base::FromAbsl(status.message())));
    }
    denied.emplace(line);
  }
  denied_ = std::move(denied);
  seen_ = std::move(mark);
  return absl::OkStatus();
}

bool DenyList::Denies(std::string_view uri) const {
  if (path_.empty()) return false;
  absl::MutexLock lock(&mutex_);
  if (const base::MonotonicTime now = clock_.Now(); now - looked_ >= kLookEvery) {
    looked_ = now;
    // What cannot be read now leaves what was read before in force.
    if (Mark(path_) != seen_) Read().IgnoreError();
  }
  return denied_.contains(uri);
}

}  // namespace gatepost::rpc
