// Makes the units of the watch: what an edge of a pool must be told to come from one revision to the store's current one.
//
// Edges of a pool at the same revision get the same unit: the last ones made are kept and shared, so that a change costs
// its work once, not once for each edge. Not thread-safe: the watch hub's thread owns it.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gatepost/config/v1/watch_service.pb.h"
#include "services/config/index.h"
#include "services/config/repository.h"

namespace gatepost::config {

// A unit in pieces of at most kMaxUnitOctets; all but the last have `more`.
struct Chain {
  std::string nonce;
  int64_t revision = 0;
  std::vector<v1::WatchResponse> pieces;
};

class UnitBuilder {
 public:
  explicit UnitBuilder(Repository& repository) : repository_(repository), index_(repository) {}

  // From `revision` (of this store's epoch) to the current one; without a revision, or when the log of changes does not
  // reach back to it, everything, with `reset`. A change that concerns other pools alone gives a unit without resources.
  absl::StatusOr<std::shared_ptr<const Chain>> Build(std::string_view pool, std::optional<int64_t> revision);

  const Index& index() const { return index_; }

 private:
  struct Cached {
    std::string pool;
    std::optional<int64_t> from;
    std::shared_ptr<const Chain> chain;
  };
  class Pieces;

  absl::Status AddChanged(store::View& view, std::string_view pool, const std::vector<store::Change>& changes,
                          Pieces* pieces);
  absl::Status AddAll(store::View& view, std::string_view pool, Pieces* pieces);
  absl::Status AddServer(store::View& view, const v1::VirtualServer& server, Pieces* pieces);
  absl::Status AddCertificate(store::View& view, std::string_view name, Pieces* pieces);
  absl::Status AddTicketKeys(store::View& view, std::string_view id, Pieces* pieces);

  Repository& repository_;
  Index index_;
  std::list<Cached> cache_;  // The newest first.
  uint64_t built_ = 0;
};

}  // namespace gatepost::config
