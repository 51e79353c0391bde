// All changes of users: validated, then committed by compare-and-set with what belongs to them (secrets, index,
// revocation) in one transaction. Statuses carry their details (rpc/status_details.h). Knows nothing of gRPC, roles or
// logs. Passwords are hashed by the verifiers' threads before a change begins, so that nothing waits with the editor's
// lock held. Thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "gatepost/auth/v1/user.pb.h"
#include "services/auth/directory.h"
#include "services/auth/field_checks.h"
#include "services/auth/limits.h"
#include "services/auth/record_editor.h"
#include "services/auth/user_secrets.h"
#include "services/auth/verifier.h"
#include "services/base/clock.h"
#include "services/rpc/call.h"
#include "services/store/record_store.h"

namespace gatepost::auth {

class UserCatalogue {
 public:
  // The references outlive the catalogue, and so does `directory`; nullptr: there is none. `most_users` is another one
  // in tests.
  UserCatalogue(RecordEditor& editor, Verifier& verifier, const UserSecrets& secrets, const base::Clock& clock,
                const Directory* directory, int64_t most_users = kMostUsers)
      : editor_(editor),
        verifier_(verifier),
        secrets_(secrets),
        clock_(clock),
        directory_(directory),
        most_users_(most_users) {}

  absl::StatusOr<v1::User> Get(const v1::GetUserRequest& request, rpc::Call* call);
  absl::StatusOr<v1::ListUsersResponse> List(const v1::ListUsersRequest& request, rpc::Call* call);
  absl::StatusOr<v1::User> Create(const v1::CreateUserRequest& request, rpc::Call* call);
  absl::StatusOr<v1::User> Update(const v1::UpdateUserRequest& request, rpc::Call* call);
  absl::Status Delete(const v1::DeleteUserRequest& request, rpc::Call* call);
  absl::StatusOr<v1::User> SetPassword(const v1::SetUserPasswordRequest& request, rpc::Call* call);
  absl::StatusOr<v1::User> SetState(const std::string& name, const std::string& etag, v1::User::State state,
                                    rpc::Call* call);
  absl::StatusOr<v1::User> RevokeUserSessions(const v1::RevokeUserSessionsRequest& request, rpc::Call* call);
  absl::StatusOr<v1::RevokeDirectoryUserSessionsResponse> RevokeDirectoryUserSessions(
      const v1::RevokeDirectoryUserSessionsRequest& request, rpc::Call* call);

  // How many there are; for a metric.
  absl::StatusOr<int64_t> Count();

 private:
  // What is to become of a user's password.
  struct Password {
    enum class Kind { kKept, kSet, kRemoved } kind = Kind::kKept;
    PasswordSecrets secrets;  // kSet; without an argon2id hash: it was only validated.
  };
  // Changes the stored user; false: it is as it should be.
  using Edit = std::function<absl::StatusOr<bool>(v1::User* user, store::Transaction* transaction)>;

  // Changes one user that exists.
  absl::StatusOr<v1::User> ChangeOne(const std::string& name, const std::string& etag, rpc::Call* call,
                                     const Edit& edit);
  // Prepares and hashes; without hashing if `dry_run`. A violation of `field` is added instead if it cannot be one.
  absl::StatusOr<Password> MakePassword(const std::string& password, std::string_view field, bool dry_run,
                                        Violations* violations) const;
  // `asked_groups`: WriteIndex's.
  absl::Status AddNew(v1::User* user, const Password& password, const Texts& asked_groups, store::View& view,
                      store::Transaction* transaction);
  void WritePassword(v1::User* user, const Password& password, store::Transaction* transaction);
  // What is wrong with the fields that UpdateUser names, whatever is stored.
  static Violations CheckAsked(const v1::UpdateUserRequest& request);
  // What UpdateUser makes of the stored user, which is empty if it is missing.
  absl::StatusOr<v1::User> Merge(const v1::UpdateUserRequest& request, const v1::User& stored) const;
  // The answer: what a commit made, with what is not in the record.
  absl::StatusOr<v1::User> Answer(v1::User user, int64_t revision, rpc::Call* call);
  // Of an ALREADY_EXISTS: with the reason that fits.
  absl::Status ExplainConflict(const v1::User& user, const absl::Status& status);

  RecordEditor& editor_;
  Verifier& verifier_;
  const UserSecrets& secrets_;
  const base::Clock& clock_;
  const Directory* const directory_;
  const int64_t most_users_;
};

}  // namespace gatepost::auth
