// SPIFFE ids that are refused though their certificates are good: how a certificate is revoked. A file, one id a line,
// `#` begins a comment; read anew within 2 s of a change. A file that cannot be read (any more) leaves the last list in
// force. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "services/base/clock.h"

namespace gatepost::rpc {

class DenyList {
 public:
  // An empty path: nobody is denied. FAILED_PRECONDITION: the file cannot be read, or has a line that is no SPIFFE id.
  static absl::StatusOr<std::unique_ptr<DenyList>> Open(const std::string& path, const base::Clock& clock);

  bool Denies(std::string_view uri) const;
  // Reads the file now (SIGHUP).
  absl::Status Reload();

 private:
  DenyList(std::string path, const base::Clock& clock) : path_(std::move(path)), clock_(clock) {}
  absl::Status Read() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const base::Clock& clock_;
  mutable absl::Mutex mutex_;
  mutable std::set<std::string, std::less<>> denied_ ABSL_GUARDED_BY(mutex_);
  mutable base::MonotonicTime looked_ ABSL_GUARDED_BY(mutex_){};
  mutable std::string seen_ ABSL_GUARDED_BY(mutex_);  // The file's inode, size and times when it was read.
};

}  // namespace gatepost::rpc
