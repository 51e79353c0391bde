// One secret in one file, sealed (sealed.h): the edge's last good snapshot.
//
// The file is: "gatepost-sealed-1\n", then the sealed string. It is replaced atomically (temporary file, fsync, rename,
// fsync of the folder), mode 0600; a crash leaves the old one or the new one. Whatever is wrong with a file is DATA_LOSS:
// the caller goes on as though there were none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/random.h"
#include "services/store/sealed.h"

namespace gatepost::store {

// `context` says what the file is for, as in SealingKey::Seal. UNAVAILABLE: it could not be written; the old one is intact.
absl::Status WriteSealedFile(const std::string& path, const SealingKey& key, std::string_view context,
                             std::string_view plain, base::Random& random);

// NOT_FOUND: no such file. DATA_LOSS: damaged, of another key or context, or larger than max_octets. UNAVAILABLE: unreadable.
absl::StatusOr<std::string> ReadSealedFile(const std::string& path, const SealingKey& key, std::string_view context,
                                           size_t max_octets);

}  // namespace gatepost::store
