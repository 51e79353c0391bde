#include "services/auth/revocations.h"

#include <memory>
#include <optional>
#include <utility>

#include "services/auth/limits.h"
#include "services/auth/old_records.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

constexpr std::chrono::milliseconds kPoll{500};
constexpr base::Duration kCleanEvery = std::chrono::minutes(10);
constexpr size_t kBatch = 1'000;
constexpr size_t kBatchOctets = 1 << 20;

}  // namespace

Revocations::Revocations(store::RecordStore& store, const base::Clock& clock, base::Log& log, const Metrics& metrics)
    : store_(store), clock_(clock), log_(log), metrics_(metrics) {}

Revocations::~Revocations() {
  if (!thread_.joinable()) return;
  store_.SetListener({});
  stop_ = true;
  bell_.Ring();
  thread_.join();
}

absl::Status Revocations::Start() {
  GATEPOST_RETURN_IF_ERROR(Refresh());
  store_.SetListener([this](int64_t) { bell_.Ring(); });
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Revocations::Run() {
  base::MonotonicTime cleaned = clock_.Now();
  bool failing = false;
  while (true) {
    bell_.Wait(kPoll);
    if (stop_) return;
    absl::Status status = Refresh();
    if (status.ok() && clock_.Now() - cleaned >= kCleanEvery) {
      cleaned = clock_.Now();
      status = Clean();
    }
    // Said once: it is tried again every 500 ms.
    if (!status.ok() && !std::exchange(failing, true)) {
      log_.Error("revocations_not_read", {{"error", base::FromAbsl(status.message())}});
    }
    if (status.ok()) failing = false;
  }
}

void Revocations::Add(RevocationSink* sink) {
  absl::MutexLock lock(&mutex_);
  const base::WallTime oldest = clock_.WallNow() - kRevocationTime;
  for (const auto& [user, since] : since_) {
    if (since >= oldest) sink->OnRevoked(user, since);
  }
  sinks_.insert(sink);
}

void Revocations::Remove(RevocationSink* sink) {
  absl::MutexLock lock(&mutex_);
  sinks_.erase(sink);
}

void Revocations::Take(const store::Record& record) {
  const std::optional<base::WallTime> since = FromMilliseconds(record.value);
  if (!since || *since < clock_.WallNow() - kRevocationTime) return;
  const std::string user = RevokedUser(record.key);
  absl::MutexLock lock(&mutex_);
  base::WallTime& known = since_[user];
  if (known == *since) return;
  known = *since;
  metrics_.revocations.Increment();
  for (RevocationSink* sink : sinks_) sink->OnRevoked(user, *since);
}

absl::Status Revocations::ReadAll(store::View& view) {
  std::string after;
  bool more = true;
  while (more) {
    GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records,
                              view.List(kRevocations, after, kBatch, kBatchOctets, &more));
    for (const store::Record& record : records) Take(record);
    if (records.empty()) break;
    after = records.back().key;
  }
  return absl::OkStatus();
}

absl::Status Revocations::Refresh() {
  absl::MutexLock lock(&reading_mutex_);
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store_.Read());
  if (view->revision() == seen_) return absl::OkStatus();
  const absl::StatusOr<std::vector<store::Change>> changes =
      seen_ < 0 ? absl::OutOfRangeError("nothing is known") : view->ChangesSince(seen_);
  if (absl::IsOutOfRange(changes.status())) {
    GATEPOST_RETURN_IF_ERROR(ReadAll(*view));
  } else {
    GATEPOST_RETURN_IF_ERROR(changes.status());
    for (const store::Change& change : *changes) {
      if (!change.key.starts_with(kRevocations)) continue;
      const absl::StatusOr<store::Record> record = view->Get(change.key);
      if (absl::IsNotFound(record.status())) continue;
      GATEPOST_RETURN_IF_ERROR(record.status());
      Take(*record);
    }
  }
  seen_ = view->revision();
  return absl::OkStatus();
}

absl::Status Revocations::Clean() {
  const base::WallTime oldest = clock_.WallNow() - kRevocationTime;
  {
    absl::MutexLock lock(&mutex_);
    std::erase_if(since_, [&](const auto& entry) { return entry.second < oldest; });
  }
  // One that is revoked again meanwhile stays.
  return DeleteOldRecords(store_, kRevocations, [&](const store::Record& record) {
    const std::optional<base::WallTime> since = FromMilliseconds(record.value);
    return !since || *since < oldest;
  });
}

}  // namespace gatepost::auth
