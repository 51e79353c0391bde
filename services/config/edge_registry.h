// What is known of the edges that watch this replica: who is there, what each runs on, what became of its listeners.
// In memory only: after a restart it fills again as edges come back. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "gatepost/config/v1/edge.pb.h"
#include "gatepost/config/v1/watch_service.pb.h"
#include "services/base/clock.h"

namespace gatepost::config {

// At most so many octets of valid UTF-8, cut between characters.
std::string Utf8Prefix(std::string_view text, size_t octets);

class EdgeRegistry {
 public:
  using Listeners = google::protobuf::RepeatedPtrField<v1::ListenerStatus>;

  explicit EdgeRegistry(const base::Clock& clock) : clock_(clock) {}

  // A stream began. PERMISSION_DENIED: an edge of another pool watches with this node id.
  // RESOURCE_EXHAUSTED: too many edges.
  absl::Status Connect(std::string_view pool, const v1::WatchRequest::Start& start);
  // A stream of this node ended.
  void Disconnect(std::string_view node_id);

  // `listeners` is taken.
  void Applied(std::string_view node_id, std::string_view epoch, int64_t revision, Listeners listeners);
  void Refused(std::string_view node_id, int64_t revision, std::string_view reason);
  void Reported(std::string_view node_id, Listeners listeners);

  // NOT_FOUND. `current_revision` is filled in.
  absl::StatusOr<v1::Edge> Get(std::string_view name, int64_t current_revision);
  // Those behind `after`, by name, at most `limit`; `*more`: there are others.
  std::vector<v1::Edge> List(std::string_view after, size_t limit, int64_t current_revision, bool* more);

  struct Totals {
    size_t connected = 0;
    size_t behind = 0;            // Connected, and not on the current revision.
    size_t refusing = 0;          // Refused the last unit they were sent.
    size_t failed_listeners = 0;  // Of connected edges.
  };
  Totals Count(int64_t current_revision);

 private:
  struct Entry {
    v1::Edge edge;
    int streams = 0;
    base::WallTime last_seen;
  };

  Entry* Touch(std::string_view node_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const base::Clock& clock_;
  absl::Mutex mutex_;
  std::map<std::string, Entry, std::less<>> edges_ ABSL_GUARDED_BY(mutex_);  // By name.
};

}  // namespace gatepost::config
