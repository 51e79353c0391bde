// The last good configuration on disk, sealed: what an edge starts with when the config service cannot be reached. It
// holds private keys, so it exists only where there is a key to seal it with.
//
// Load() is total: a file that is damaged, sealed with another key, of another node's, or no unit inside is DATA_LOSS,
// and the edge then behaves as though there were none: not ready, no listeners. There is no permissive default. Thread
// rule: one thread (the control thread); both calls block for the disk.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gatepost/config/v1/watch_service.pb.h"
#include "services/base/random.h"
#include "services/store/sealed_file.h"

namespace gatepost::edge {

class SnapshotStore {
 public:
  // `random` outlives the store.
  SnapshotStore(std::string path, store::SealingKey key, std::string node_id, base::Random& random)
      : path_(std::move(path)), key_(key), node_id_(std::move(node_id)), random_(random) {}

  // NOT_FOUND: no file yet. DATA_LOSS. UNAVAILABLE.
  absl::StatusOr<config::v1::Unit> Load() const;
  absl::Status Save(const config::v1::Unit& unit);

 private:
  std::string Context() const;

  const std::string path_;
  const store::SealingKey key_;
  const std::string node_id_;
  base::Random& random_;
};

}  // namespace gatepost::edge
