// All changes of users, one at a time: validated, then committed by compare-and-set with what belongs to them
// (verifier, login, revocation) in one transaction. Statuses carry their details (rpc/status_details.h). Knows nothing
// of gRPC, roles or logs. Passwords are hashed by the verifiers' threads before a change begins, so that nothing waits
// with the lock held. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gatepost/auth/v1/user.pb.h"
#include "services/auth/limits.h"
#include "services/auth/user_secrets.h"
#include "services/auth/verifier.h"
#include "services/base/clock.h"
#include "services/rpc/call.h"
#include "services/rpc/status_details.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

class UserCatalogue {
 public:
  // The references outlive the catalogue. `most_users` is another one in tests.
  UserCatalogue(store::RecordStore& store, Verifier& verifier, const UserSecrets& secrets, const base::Clock& clock,
                int64_t most_users = kMostUsers)
      : store_(store), verifier_(verifier), secrets_(secrets), clock_(clock), most_users_(most_users) {}

  absl::StatusOr<v1::User> Get(const v1::GetUserRequest& request, rpc::Call* call);
  absl::StatusOr<v1::ListUsersResponse> List(const v1::ListUsersRequest& request);
  absl::StatusOr<v1::User> Create(const v1::CreateUserRequest& request, rpc::Call* call);
  absl::StatusOr<v1::User> Update(const v1::UpdateUserRequest& request, rpc::Call* call);
  absl::Status Delete(const v1::DeleteUserRequest& request, rpc::Call* call);
  absl::StatusOr<v1::User> SetPassword(const v1::SetUserPasswordRequest& request, rpc::Call* call);
  absl::StatusOr<v1::User> SetState(const std::string& name, const std::string& etag, v1::User::State state,
                                    rpc::Call* call);
  absl::StatusOr<v1::User> RevokeSessions(const v1::RevokeUserSessionsRequest& request, rpc::Call* call);

  // How many there are; for a metric.
  absl::StatusOr<int64_t> Count();

 private:
  using Violations = std::vector<rpc::FieldViolation>;
  // What is to become of a user's password.
  struct Password {
    enum class Kind { kKept, kSet, kRemoved } kind = Kind::kKept;
    PasswordSecrets secrets;  // kSet; without an argon2id hash: it was only validated.
  };
  // Makes the writes of a change from what a view shows; none: nothing is to be changed.
  using Body = std::function<absl::Status(store::View& view, store::Transaction* transaction)>;
  // Changes the stored user; false: it is as it should be.
  using Edit = std::function<absl::StatusOr<bool>(v1::User* user, store::Transaction* transaction)>;

  // Runs `body` and commits what it asks for, again if the store has changed meanwhile. Without writes, or with
  // `dry_run`, the answer is that of a commit at revision 0.
  absl::StatusOr<store::Committed> Change(bool dry_run, const Body& body) ABSL_LOCKS_EXCLUDED(mutex_);
  // Change() of one user that exists.
  absl::StatusOr<v1::User> ChangeOne(const std::string& name, const std::string& etag, rpc::Call* call,
                                     const Edit& edit);

  // Fills in defaults, prepares the login; adds what is wrong.
  void Validate(v1::User* user, Violations* violations) const;
  // Prepares and hashes; without hashing if `dry_run`. A violation of `field` is added instead if it cannot be one.
  absl::StatusOr<Password> MakePassword(const std::string& password, std::string_view field, bool dry_run,
                                        Violations* violations) const;
  absl::Status AddNew(v1::User* user, const Password& password, store::View& view, store::Transaction* transaction);
  void WritePassword(v1::User* user, const Password& password, store::Transaction* transaction);
  // ALREADY_EXISTS: one is another user's.
  absl::Status WriteCertificates(const v1::User& stored, const v1::User& user, store::View& view,
                                 store::Transaction* transaction);
  void Revoke(v1::User* user, store::Transaction* transaction);
  // ALREADY_EXISTS with the reason that fits.
  absl::Status ExplainConflict(const v1::User& user) const;

  store::RecordStore& store_;
  Verifier& verifier_;
  const UserSecrets& secrets_;
  const base::Clock& clock_;
  const int64_t most_users_;
  absl::Mutex mutex_;
};

}  // namespace gatepost::auth
