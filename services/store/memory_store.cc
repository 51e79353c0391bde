#include "services/store/memory_store.h"

#include <utility>

namespace gatepost::store {

class MemoryStore::MemoryView : public View {
 public:
  explicit MemoryView(std::shared_ptr<const State> state) : state_(std::move(state)) {}

  int64_t revision() const override { return state_->revision; }

  absl::StatusOr<Record> Get(std::string_view key) override {
    const auto it = state_->records.find(key);
    if (it == state_->records.end()) return absl::NotFoundError("no such record");
    return Record{it->first, it->second.value, it->second.revision};
  }

  absl::StatusOr<std::vector<Record>> List(std::string_view prefix, std::string_view after, size_t max_records,
                                           size_t max_bytes, bool* more) override {
    std::vector<Record> records;
    size_t bytes = 0;
    *more = false;
    auto it = after >= prefix ? state_->records.upper_bound(after) : state_->records.lower_bound(prefix);
    for (; it != state_->records.end() && it->first.starts_with(prefix); ++it) {
      bytes += it->first.size() + it->second.value.size();
      if (records.size() == max_records || (!records.empty() && bytes > max_bytes)) {
        *more = true;
        break;
      }
      records.push_back({it->first, it->second.value, it->second.revision});
    }
    return records;
  }

  absl::StatusOr<int64_t> Count(std::string_view prefix) override {
    int64_t count = 0;
    for (auto it = state_->records.lower_bound(prefix); it != state_->records.end() && it->first.starts_with(prefix); ++it)
      ++count;
    return count;
  }

  absl::StatusOr<std::vector<Change>> ChangesSince(int64_t revision) override {
    if (revision < state_->changes_from || revision > state_->revision)
      return absl::OutOfRangeError("the log of changes does not hold this revision");
    std::vector<Change> changes;
    for (const Change& change : state_->changes)
      if (change.revision > revision) changes.push_back(change);
    return changes;
  }

 private:
  const std::shared_ptr<const State> state_;
};

MemoryStore::MemoryStore(const base::Clock& clock, base::Random& random, Options options)
    : clock_(clock), options_(options), epoch_(base::RandomId(random, 26)) {}

absl::StatusOr<std::unique_ptr<View>> MemoryStore::Read() {
  absl::MutexLock lock(&mutex_);
  return std::make_unique<MemoryView>(state_);
}

void MemoryStore::SetListener(Listener listener) {
  absl::MutexLock lock(&listener_mutex_);
  listener_ = std::move(listener);
}

absl::StatusOr<Committed> MemoryStore::Commit(const Transaction& transaction) {
  Committed committed;
  {
    absl::MutexLock lock(&mutex_);
    const base::WallTime now = clock_.WallNow();
    std::erase_if(requests_, [&](const auto& entry) { return entry.second.expires <= now; });
    const RequestId& request = transaction.request_id;
    if (const auto it = requests_.find(request.id); !request.id.empty() && it != requests_.end()) {
      if (it->second.fingerprint != request.fingerprint)
        return absl::InvalidArgumentError("the request id was used for another request");
      return Committed{it->second.revision, true, it->second.answer};
    }
    if (transaction.store_revision && *transaction.store_revision != state_->revision)
      return absl::FailedPreconditionError("the store has changed");
    auto next = std::make_shared<State>(*state_);
    ++next->revision;
    for (const Write& write : transaction.writes) {
      const auto it = state_->records.find(write.key);
      const bool present = it != state_->records.end();
      if (absl::Status status = CheckCondition(write.condition, present, present ? it->second.revision : 0); !status.ok())
        return status;
      if (write.value) {
        next->records[write.key] = Value{*write.value, next->revision};
      } else if (next->records.erase(write.key) == 0) {
        continue;
      }
      next->changes.push_back({next->revision, write.key});
    }
    while (next->changes.size() > options_.max_changes) {
      // A revision is in the log with all of its changes or not at all.
      next->changes_from = next->changes.front().revision;
      while (!next->changes.empty() && next->changes.front().revision <= next->changes_from) next->changes.pop_front();
    }
    committed.revision = next->revision;
    if (!request.id.empty())
      requests_[request.id] = {request.fingerprint, request.answer, next->revision, now + kRequestIdLifetime};
    state_ = std::move(next);
  }
  absl::MutexLock lock(&listener_mutex_);
  if (listener_) listener_(committed.revision);
  return committed;
}

}  // namespace gatepost::store
