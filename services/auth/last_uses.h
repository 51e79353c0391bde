// When users last logged in and by which credential, for administrators to see. A login notes it in memory and neither
// waits nor fails for it; a thread writes what is new every 5 s, and of one credential at most once a minute. A crash
// loses what was not written. The records are their own: no revision or etag of a user changes with them.
//
//   lastLogins/{user}, lastUses/{user}/{credential}   `{ms} {network}`: milliseconds since 1970, and `192.0.2.1` or
//                                                     `2001:db8::/64`
//
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <string>
#include <string_view>
#include <thread>

#include "gatepost/auth/v1/credential.pb.h"
#include "gatepost/auth/v1/user.pb.h"
#include "services/auth/metrics.h"
#include "services/base/bell.h"
#include "services/base/clock.h"
#include "services/base/ip_address.h"
#include "services/base/log.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

class LastUses {
 public:
  // The references outlive it.
  LastUses(store::RecordStore& store, const base::Clock& clock, base::Log& log, const Metrics& metrics)
      : store_(store), clock_(clock), log_(log), metrics_(metrics) {}
  // Writes what is new.
  ~LastUses();
  LastUses(const LastUses&) = delete;
  LastUses& operator=(const LastUses&) = delete;

  // Begins the thread that writes.
  void Start();

  // `user`: `users/{id}`; of others, of directories, nothing is kept. `credential`: `users/{user}/credentials/{id}`, or
  // empty. Beyond 10,000 that wait to be written it is dropped, and counted.
  void Note(std::string_view user, std::string_view credential, const base::IpAddress& client);

  // Writes what is new, 50 in one commit. The thread does. Users and credentials that are gone leave no record behind.
  // What the store cannot take now is tried again by the next call; what others change each time is dropped and counted.
  absl::Status Flush();

 private:
  struct Use {
    base::WallTime at;
    std::string network;
  };

  void Run();
  void NoteKey(std::string key, const Use& use) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // As one commit.
  absl::Status Write(const std::map<std::string, Use>& uses);
  // To be written later, but where a later one waits already.
  void PutBack(const std::map<std::string, Use>& uses) ABSL_LOCKS_EXCLUDED(mutex_);

  store::RecordStore& store_;
  const base::Clock& clock_;
  base::Log& log_;
  const Metrics& metrics_;

  absl::Mutex mutex_;
  std::map<std::string, Use> pending_ ABSL_GUARDED_BY(mutex_);  // key of the record -> what it will say
  // When the record was last noted, so that not each login writes; older ones than a minute are let go.
  absl::flat_hash_map<std::string, base::MonotonicTime> noted_ ABSL_GUARDED_BY(mutex_);

  base::Bell stop_;  // Rung at the end.
  std::thread thread_;
};

// Fills in the outputs. UNAVAILABLE: the store does not answer.
absl::Status ReadLastLogin(store::View& view, v1::User* user);
absl::Status ReadLastUse(store::View& view, v1::Credential* credential);

// Of a user who is deleted, and of one credential; adds the writes.
void ForgetLastLogin(std::string_view user_id, store::Transaction* transaction);
void ForgetLastUse(std::string_view user_id, std::string_view credential_id, store::Transaction* transaction);

}  // namespace gatepost::auth
