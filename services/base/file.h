// Whole files: read with a bound, written so that a crash leaves the old or the new one, never a part.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace gatepost::base {

// NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED (more than `most` octets), or UNAVAILABLE; each names the path.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t most = 64 << 20);

// As ReadFile, of a secret. FAILED_PRECONDITION: others than its owner may read it (root's own, readable by its group, is
// what Kubernetes mounts, and goes).
absl::StatusOr<std::string> ReadSecretFile(const std::string& path, size_t most);

// A temporary file beside it with `mode`, fsync, rename, fsync of the folder.
absl::Status WriteFileAtomically(const std::string& path, std::string_view octets, unsigned mode = 0600);

}  // namespace gatepost::base
