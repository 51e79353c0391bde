#include "services/edge/snapshot_store.h"

#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::edge {
namespace {

constexpr size_t kMostOctets = size_t{1} << 30;

}  // namespace

std::string SnapshotStore::Context() const { return base::StrCat("edge-snapshot/", node_id_); }

absl::StatusOr<config::v1::Unit> SnapshotStore::Load() const {
  GATEPOST_ASSIGN_OR_RETURN(const std::string octets, store::ReadSealedFile(path_, key_, Context(), kMostOctets));
  config::v1::Unit unit;
  if (!unit.ParseFromString(octets) || unit.epoch().empty() || !unit.reset() || unit.more()) {
    return absl::DataLossError(path_ + ": what is sealed in it is no snapshot");
  }
  return unit;
}

absl::Status SnapshotStore::Save(const config::v1::Unit& unit) {
  return store::WriteSealedFile(path_, key_, Context(), unit.SerializeAsString(), random_);
}

}  // namespace gatepost::edge
