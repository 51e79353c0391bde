// Users of an LDAP directory, for PLAIN and LOGIN. A login is searched as the service's own identity; then its DN is
// bound with the password over another connection. Every login costs one search and one bind, also of a name that
// nobody has (a decoy's DN is bound then), of one that two entries have, and of one that the directory takes for an
// entry's though it is written otherwise: what is found must have the very login that was asked for, as logins are
// compared here (prepare.h), so that no spelling escapes the brute-force defence, nor a filter's special characters
// anything at all.
//
// As many threads as the settings' `connections`, each with two connections of its own, ask; what waits over 2 s, or
// takes over 4 s in all, is "cannot say", and so is everything, at once, while no server answers (ldap_servers.h).
// Connections are kept, but not used after a minute without a login. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "services/auth/directory.h"
#include "services/auth/directory_cache.h"
#include "services/auth/directory_settings.h"
#include "services/auth/ldap_connection.h"
#include "services/auth/ldap_servers.h"
#include "services/auth/metrics.h"
#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/base/random.h"
#include "services/base/secret.h"

namespace gatepost::auth {

class LdapDirectory final : public Directory {
 public:
  // The references outlive it. Nothing is asked of a server before there is a login.
  LdapDirectory(DirectorySettings settings, const base::Clock& clock, base::Random& random, base::Log& log,
                const DirectoryMetrics& metrics);
  ~LdapDirectory() override { Stop(); }
  LdapDirectory(const LdapDirectory&) = delete;
  LdapDirectory& operator=(const LdapDirectory&) = delete;

  std::string_view name() const override { return settings_.name; }
  bool Serves(std::string_view login_key) const override;
  void Verify(std::string login_key, base::Secret password, std::shared_ptr<const std::atomic<bool>> cancelled,
              Done done) override;

  // Answers what has waited or taken too long, and cuts the connections it hangs on. Called every 100 ms or so.
  void Tick();
  // What runs is cut short, what waits is answered, on this thread. Nothing may be asked afterwards.
  void Stop();

  // False: no server answers.
  bool up() const;
  size_t waiting() const;

 private:
  struct Job {
    base::MonotonicTime asked;
    std::string login_key;
    base::Secret password;
    std::shared_ptr<const std::atomic<bool>> cancelled;
    Done done;
    std::atomic<bool> answered{false};
  };
  struct Worker {
    explicit Worker(const base::Clock& clock) : search(clock), bind(clock) {}
    LdapConnection search, bind;
    std::optional<size_t> server;  // of both connections
    base::MonotonicTime used{};    // when they last served a login
    std::thread thread;
  };

  void Run(Worker* worker);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stop_ || !waiting_.empty(); }
  void Answer(Job* job, DirectoryAnswer answer);
  // Of the first server that can say.
  DirectoryAnswer Ask(Worker* worker, const Job& job);
  // Anew.
  absl::Status Connect(Worker* worker, size_t server, base::MonotonicTime deadline);
  absl::StatusOr<DirectoryAnswer> Judge(Worker* worker, const Job& job, base::MonotonicTime deadline);
  // RESOURCE_EXHAUSTED: there are more than 100.
  absl::StatusOr<std::vector<std::string>> GroupsOf(Worker* worker, const Job& job, const LdapEntry& entry,
                                                    base::MonotonicTime deadline);
  void Report(size_t server, const absl::Status& status);
  base::MonotonicTime StepEnd(std::chrono::milliseconds most, base::MonotonicTime deadline) const;

  const DirectorySettings settings_;
  const base::Clock& clock_;
  base::Log& log_;
  const DirectoryMetrics& metrics_;
  DirectoryCache cache_;

  mutable absl::Mutex mutex_;
  LdapServers servers_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Job>> waiting_ ABSL_GUARDED_BY(mutex_);
  std::set<std::shared_ptr<Job>> running_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace gatepost::auth
