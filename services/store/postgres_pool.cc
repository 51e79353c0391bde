#include "services/store/postgres_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace gatepost::store {

absl::Status PostgresPool::MayConnect() const {
  if (failure_.ok() || (connecting_ == 0 && clock_.Now() >= retry_at_)) return absl::OkStatus();
  return failure_;
}

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresPool::Take(base::MonotonicTime deadline) {
  std::vector<std::unique_ptr<PostgresConnection>> broken;  // Closed without the mutex.
  {
    std::unique_lock lock(mutex_);
    while (true) {
      const auto has_room = [this] { return !idle_.empty() || open_ < most_; };
      if (!has_room_.wait_for(lock, std::max(deadline - clock_.Now(), base::Duration::zero()), has_room))
        return absl::UnavailableError("every connection to the database is in use");
      if (idle_.empty()) break;
      std::unique_ptr<PostgresConnection> connection = std::move(idle_.back());
      idle_.pop_back();
      if (!connection->Broken()) return connection;
      --open_;
      broken.push_back(std::move(connection));
    }
    if (absl::Status status = MayConnect(); !status.ok()) return status;
    ++open_;
    ++connecting_;
  }
  absl::StatusOr<std::unique_ptr<PostgresConnection>> opened = PostgresConnection::Open(target_, clock_);
  const std::lock_guard lock(mutex_);
  --connecting_;
  failure_ = opened.status();
  if (opened.ok()) {
    backoff_.Reset();
  } else {
    --open_;
    has_room_.notify_all();
    retry_at_ = clock_.Now() + backoff_.Next(random_);
    // What cannot be right now may be put right while the program runs, such as a password.
    failure_ = absl::UnavailableError(failure_.message());
    return failure_;
  }
  return opened;
}

void PostgresPool::Return(std::unique_ptr<PostgresConnection> connection) {
  // What is in the middle of something is not for others.
  if (connection != nullptr && (connection->Broken() || connection->in_transaction())) connection.reset();
  const std::lock_guard lock(mutex_);
  if (connection == nullptr) {
    --open_;
  } else {
    idle_.push_back(std::move(connection));
  }
  has_room_.notify_all();
}

}  // namespace gatepost::store
