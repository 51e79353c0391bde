#include "services/store/postgres_follower.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "services/base/backoff.h"
#include "services/base/status_macros.h"
#include "services/store/postgres_pool.h"

namespace gatepost::store {
namespace {

constexpr std::chrono::seconds kPoll{1};
constexpr std::chrono::seconds kListenTime{3};

}  // namespace

PostgresFollower::PostgresFollower(const PostgresTarget& target, std::string channel, const base::Clock& clock,
                                   base::Random& random, Heard heard)
    : target_(target),
      channel_(std::move(channel)),
      clock_(clock),
      random_(random),
      heard_(std::move(heard)),
      stop_fd_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Run(); }) {}

PostgresFollower::~PostgresFollower() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  close(stop_fd_);
}

bool PostgresFollower::Pause(base::Duration time) const {
  pollfd stop{stop_fd_, POLLIN, 0};
  return poll(&stop, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(time).count())) <= 0;
}

absl::Status PostgresFollower::Follow(std::unique_ptr<PostgresConnection>* connection) {
  std::optional<std::string> said;
  if (*connection == nullptr) {
    GATEPOST_ASSIGN_OR_RETURN(*connection, PostgresConnection::Open(target_, clock_));
    GATEPOST_RETURN_IF_ERROR((*connection)->RunAll("LISTEN " + channel_, clock_.Now() + kListenTime).status());
  } else {
    GATEPOST_ASSIGN_OR_RETURN(said, (*connection)->AwaitNotification(kPoll, stop_fd_));
  }
  return heard_(**connection, said);
}

void PostgresFollower::Run() {
  std::unique_ptr<PostgresConnection> connection;
  base::Backoff backoff = PostgresBackoff();
  for (base::Duration pause{}; Pause(pause);) {
    if (Follow(&connection).ok()) {
      backoff.Reset();
      pause = {};
    } else {
      connection.reset();
      pause = backoff.Next(random_);
    }
  }
}

}  // namespace gatepost::store
