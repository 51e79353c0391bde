// Hears of commits, by LISTEN on a connection and a thread of its own, which it opens again when it is lost. What was
// announced while nobody listened is gone: so it says, too, when to look for oneself. Private to postgres_store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/store/postgres_connection.h"

namespace gatepost::store {

class PostgresFollower {
 public:
  // Called on the follower's thread, with its connection: of an announcement, which ends with the payload; without one
  // whenever it may have missed some, and at least once a second. An error has the connection opened anew.
  using Heard = std::function<absl::Status(PostgresConnection& connection, const std::optional<std::string>& said)>;

  // Listens on `channel`, a name that needs no quotes, at once. The references outlive it.
  PostgresFollower(const PostgresTarget& target, std::string channel, const base::Clock& clock, base::Random& random,
                   Heard heard);
  // Waits until `heard` has returned.
  ~PostgresFollower();
  PostgresFollower(const PostgresFollower&) = delete;
  PostgresFollower& operator=(const PostgresFollower&) = delete;

 private:
  void Run();
  absl::Status Follow(std::unique_ptr<PostgresConnection>* connection);
  // False: it is being closed.
  bool Pause(base::Duration time) const;

  const PostgresTarget& target_;
  const std::string channel_;
  const base::Clock& clock_;
  base::Random& random_;
  const Heard heard_;
  const int stop_fd_;  // Readable once it is being closed.
  std::thread thread_;
};

}  // namespace gatepost::store
