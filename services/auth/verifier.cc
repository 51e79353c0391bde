#include "services/auth/verifier.h"

#include <absl/synchronization/notification.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "services/auth/limits.h"
#include "services/auth/password_hash.h"
#include "services/auth/scram_secret.h"
#include "services/sasl/nt_hash.h"

namespace gatepost::auth {
namespace {

constexpr int kNice = 10;

absl::Status NoSlot() { return absl::UnavailableError("no verifier was free within 2 s"); }

}  // namespace

Verifier::Verifier(int slots, const base::Clock& clock, base::Random& random, const Metrics& metrics)
    : clock_(clock), random_(random), metrics_(metrics), decoy_(MakeDecoy(random)) {
  for (int i = 0; i < std::max(1, slots); ++i) threads_.emplace_back([this] { Run(); });
}

void Verifier::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  Expire(/*all=*/true);
}

void Verifier::Verify(std::string hash, base::Secret password, std::shared_ptr<const std::atomic<bool>> cancelled,
                      Done done) {
  auto shared = std::make_shared<Done>(std::move(done));
  Job job;
  job.password = std::move(password);
  job.cancelled = std::move(cancelled);
  job.expire = [shared] { (*shared)(NoSlot()); };
  job.run = [this, shared, hash = std::move(hash)](base::Secret& secret) {
    const bool decoy = hash.empty();
    absl::StatusOr<bool> result = VerifyPassword(decoy ? decoy_ : hash, secret.view());
    ++runs_;
    secret.Wipe();
    if (decoy && result.ok()) result = false;
    (*shared)(std::move(result));
  };
  Enqueue(std::move(job));
}

absl::StatusOr<PasswordSecrets> Verifier::Derive(base::Secret password, uint32_t scram_iterations) {
  absl::StatusOr<PasswordSecrets> result = NoSlot();
  absl::Notification done;
  Job job;
  job.password = std::move(password);
  job.expire = [&] { done.Notify(); };
  job.run = [&](base::Secret& secret) {
    absl::StatusOr<std::string> hash = HashPassword(secret.view(), random_);
    ++runs_;
    if (hash.ok()) {
      result = PasswordSecrets{.argon2id = *std::move(hash),
                               .scram = MakeScramSecret(secret.view(), scram_iterations, random_),
                               .nt_hash = sasl::NtHashOf(secret.view())};
    } else {
      result = hash.status();
    }
    secret.Wipe();
    done.Notify();
  };
  Enqueue(std::move(job));
  done.WaitForNotification();
  return result;
}

void Verifier::Enqueue(Job job) {
  job.queued = clock_.Now();
  {
    absl::MutexLock lock(&mutex_);
    if (!stop_) {
      jobs_.push_back(std::move(job));
      return;
    }
  }
  job.expire();
}

size_t Verifier::waiting() const {
  absl::MutexLock lock(&mutex_);
  return jobs_.size();
}

void Verifier::PauseForTests(bool pause) {
  absl::MutexLock lock(&mutex_);
  paused_ = pause;
}

void Verifier::Tick() { Expire(/*all=*/false); }

void Verifier::Expire(bool all) {
  const base::MonotonicTime now = clock_.Now();
  while (true) {
    Job job;
    {
      absl::MutexLock lock(&mutex_);
      if (jobs_.empty() || (!all && now - jobs_.front().queued < kSlotWait)) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job.password.Wipe();
    metrics_.slot_timeouts.Increment();
    job.expire();
  }
}

void Verifier::Run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  while (true) {
    Job job;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &Verifier::HasWork));
      if (stop_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    const base::MonotonicTime now = clock_.Now();
    if (job.cancelled != nullptr && job.cancelled->load()) {
      job.password.Wipe();
    } else if (now - job.queued >= kSlotWait) {
      job.password.Wipe();
      metrics_.slot_timeouts.Increment();
      job.expire();
    } else {
      metrics_.slot_wait_seconds.Observe(std::chrono::duration<double>(now - job.queued).count());
      job.run(job.password);
      metrics_.verify_seconds.Observe(std::chrono::duration<double>(clock_.Now() - now).count());
    }
  }
}

}  // namespace gatepost::auth
