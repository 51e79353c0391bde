// The threads that may run argon2id and PBKDF2: as many as there are slots, at nice 10, so that neither memory nor the
// processor is at the mercy of whoever guesses passwords. What waits longer than 2 s for a slot is UNAVAILABLE.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "services/auth/metrics.h"
#include "services/auth/user_secrets.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/base/secret.h"

namespace gatepost::auth {

class Verifier {
 public:
  // The answer to a verification: on a verifier's thread, or on that which called Tick(). It must be quick.
  using Done = std::function<void(absl::StatusOr<bool>)>;

  // The references outlive the verifier.
  Verifier(int slots, const base::Clock& clock, base::Random& random, const Metrics& metrics);
  ~Verifier() { Stop(); }
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  // Holds `password` against `hash`, or against a decoy if that is empty: false then, for the same work. When
  // *cancelled is true before a slot is free, nothing is computed and nobody is answered.
  void Verify(std::string hash, base::Secret password, std::shared_ptr<const std::atomic<bool>> cancelled, Done done);

  // What is to be kept of a new password; blocks. UNAVAILABLE after 2 s without a slot.
  absl::StatusOr<PasswordSecrets> Derive(base::Secret password, uint32_t scram_iterations);

  // Answers what has waited too long. Called every 100 ms or so.
  void Tick();

  // What runs is waited for, what waits is answered UNAVAILABLE, on this thread. Nothing may be asked afterwards.
  void Stop();

  // How often argon2id ran. For tests of equal work.
  uint64_t runs() const { return runs_.load(); }
  size_t waiting() const;

  // Tests hold all slots so that jobs wait.
  void PauseForTests(bool pause);

 private:
  struct Job {
    base::MonotonicTime queued;
    base::Secret password;
    std::shared_ptr<const std::atomic<bool>> cancelled;
    std::function<void()> expire;
    std::function<void(base::Secret& password)> run;
  };
  void Enqueue(Job job);
  // Answers UNAVAILABLE to jobs that nobody took in time, oldest first; all of them if `all`.
  void Expire(bool all);
  void Run();
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stop_ || (!paused_ && !jobs_.empty()); }

  const base::Clock& clock_;
  base::Random& random_;
  const Metrics& metrics_;
  const std::string decoy_;
  std::atomic<uint64_t> runs_{0};
  mutable absl::Mutex mutex_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace gatepost::auth
