#include "services/config/edge_registry.h"

#include <algorithm>
#include <utility>

#include "services/base/strings.h"
#include "services/config/limits.h"
#include "services/config/timestamp.h"
#include "services/config/validate.h"

namespace gatepost::config {
namespace {

std::string NameOf(std::string_view node_id) { return base::StrCat(kEdges, node_id); }

// What an edge says is shown to administrators: bounded here.
void Bound(EdgeRegistry::Listeners* listeners) {
  if (listeners->size() > static_cast<int>(kMaxListenerReports))
    listeners->DeleteSubrange(static_cast<int>(kMaxListenerReports),
                              listeners->size() - static_cast<int>(kMaxListenerReports));
  const auto bound = [](std::string* text) {
    if (text->size() > kMaxListenerTextOctets) *text = Utf8Prefix(*text, kMaxListenerTextOctets);
  };
  for (v1::ListenerStatus& listener : *listeners) {
    bound(listener.mutable_reason());
    bound(listener.mutable_virtual_server());
    bound(listener.mutable_address());
    listener.GetReflection()->MutableUnknownFields(&listener)->Clear();
  }
}

}  // namespace

std::string Utf8Prefix(std::string_view text, size_t octets) {
  if (text.size() <= octets) return std::string(text);
  while (octets > 0 && (static_cast<unsigned char>(text[octets]) & 0xc0) == 0x80) --octets;
  return std::string(text.substr(0, octets));
}

void EdgeRegistry::Forget() {
  const base::WallTime now = clock_.WallNow();
  std::erase_if(edges_, [&](const auto& entry) {
    return entry.second.streams == 0 && now - entry.second.last_seen > kForgetEdgeAfter;
  });
}

absl::Status EdgeRegistry::Connect(std::string_view pool, const v1::WatchRequest::Start& start) {
  absl::MutexLock lock(&mutex_);
  Forget();
  const std::string name = NameOf(start.node_id());
  const auto it = edges_.find(name);
  if (it != edges_.end() && it->second.edge.pool() != pool) {
    if (it->second.streams > 0) return absl::PermissionDeniedError("the node id belongs to an edge of another pool");
    edges_.erase(it);
  }
  if (!edges_.contains(name) && edges_.size() >= kMaxEdges) return absl::ResourceExhaustedError("too many edges");
  Entry& entry = edges_[name];
  ++entry.streams;
  entry.last_seen = clock_.WallNow();
  entry.edge.set_name(name);
  entry.edge.set_pool(std::string(pool));
  entry.edge.set_version(Utf8Prefix(start.version(), kMaxVersionOctets));
  entry.edge.set_applied_epoch(start.epoch());
  entry.edge.set_applied_revision(start.revision());
  return absl::OkStatus();
}

EdgeRegistry::Entry* EdgeRegistry::Touch(std::string_view node_id) {
  const auto it = edges_.find(NameOf(node_id));
  if (it == edges_.end()) return nullptr;
  it->second.last_seen = clock_.WallNow();
  return &it->second;
}

void EdgeRegistry::Disconnect(std::string_view node_id) {
  absl::MutexLock lock(&mutex_);
  if (Entry* entry = Touch(node_id); entry != nullptr) --entry->streams;
}

void EdgeRegistry::Applied(std::string_view node_id, std::string_view epoch, int64_t revision, Listeners listeners) {
  Bound(&listeners);
  absl::MutexLock lock(&mutex_);
  Entry* entry = Touch(node_id);
  if (entry == nullptr) return;
  entry->edge.set_applied_epoch(std::string(epoch));
  entry->edge.set_applied_revision(revision);
  entry->edge.clear_refusal();
  *entry->edge.mutable_listeners() = std::move(listeners);
}

void EdgeRegistry::Refused(std::string_view node_id, int64_t revision, std::string_view reason) {
  absl::MutexLock lock(&mutex_);
  Entry* entry = Touch(node_id);
  if (entry == nullptr) return;
  v1::Refusal* refusal = entry->edge.mutable_refusal();
  refusal->set_revision(revision);
  refusal->set_reason(Utf8Prefix(reason, kMaxReasonOctets));
  *refusal->mutable_time() = ToTimestamp(clock_.WallNow());
}

void EdgeRegistry::Reported(std::string_view node_id, Listeners listeners) {
  Bound(&listeners);
  absl::MutexLock lock(&mutex_);
  if (Entry* entry = Touch(node_id); entry != nullptr) *entry->edge.mutable_listeners() = std::move(listeners);
}

namespace {

v1::Edge Shown(v1::Edge edge, bool connected, base::WallTime last_seen, int64_t current_revision) {
  edge.set_connected(connected);
  *edge.mutable_last_seen_time() = ToTimestamp(last_seen);
  edge.set_current_revision(current_revision);
  return edge;
}

}  // namespace

absl::StatusOr<v1::Edge> EdgeRegistry::Get(std::string_view name, int64_t current_revision) {
  absl::MutexLock lock(&mutex_);
  Forget();
  const auto it = edges_.find(name);
  if (it == edges_.end()) return absl::NotFoundError("no such edge");
  return Shown(it->second.edge, it->second.streams > 0, it->second.last_seen, current_revision);
}

std::vector<v1::Edge> EdgeRegistry::List(std::string_view after, size_t limit, int64_t current_revision, bool* more) {
  absl::MutexLock lock(&mutex_);
  Forget();
  std::vector<v1::Edge> edges;
  size_t octets = 0;
  *more = false;
  for (auto it = edges_.upper_bound(after); it != edges_.end(); ++it) {
    octets += it->second.edge.ByteSizeLong();
    if (edges.size() == limit || (!edges.empty() && octets > kMaxPageOctets)) {
      *more = true;
      break;
    }
    edges.push_back(Shown(it->second.edge, it->second.streams > 0, it->second.last_seen, current_revision));
  }
  return edges;
}

EdgeRegistry::Totals EdgeRegistry::Count(int64_t current_revision) {
  absl::MutexLock lock(&mutex_);
  Totals totals;
  for (const auto& [name, entry] : edges_) {
    if (entry.streams <= 0) continue;
    ++totals.connected;
    if (entry.edge.applied_revision() != current_revision) ++totals.behind;
    if (entry.edge.has_refusal()) ++totals.refusing;
    totals.failed_listeners += static_cast<size_t>(
        std::count_if(entry.edge.listeners().begin(), entry.edge.listeners().end(),
                      [](const v1::ListenerStatus& listener) { return listener.state() == v1::ListenerStatus::FAILED; }));
  }
  return totals;
}

}  // namespace gatepost::config
