// A bounded number of connections to one PostgreSQL server, opened by need. While the server is away, callers are told
// so at once, and one of them tries again, after pauses with jitter. Thread-safe. Private to postgres_store.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/backoff.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/store/postgres_connection.h"

namespace gatepost::store {

// The pauses between attempts to connect: full jitter, up to 50 ms at first and a second at last.
inline base::Backoff PostgresBackoff() { return base::Backoff(std::chrono::milliseconds(50), std::chrono::seconds(1)); }

class PostgresPool {
 public:
  PostgresPool(PostgresTarget target, size_t most, const base::Clock& clock, base::Random& random)
      : target_(std::move(target)), most_(most), clock_(clock), random_(random) {}

  // UNAVAILABLE: the server is away, or every connection was in use until the deadline.
  absl::StatusOr<std::unique_ptr<PostgresConnection>> Take(base::MonotonicTime deadline);
  // Each connection that was taken comes back, null if it was closed.
  void Return(std::unique_ptr<PostgresConnection> connection);

  const PostgresTarget& target() const { return target_; }

 private:
  // OK: the caller may connect.
  absl::Status MayConnect() const;

  const PostgresTarget target_;
  const size_t most_;
  const base::Clock& clock_;
  base::Random& random_;

  // The standard's and not Abseil's, whose timed waits end at a time of the wall clock (base/bell.h). Guards what
  // follows.
  std::mutex mutex_;
  std::condition_variable has_room_;
  std::vector<std::unique_ptr<PostgresConnection>> idle_;
  size_t open_ = 0;        // In use or idle,
  size_t connecting_ = 0;  // or just being made.
  absl::Status failure_;   // Of the last attempt to connect.
  base::MonotonicTime retry_at_{};
  base::Backoff backoff_ = PostgresBackoff();
};

}  // namespace gatepost::store
