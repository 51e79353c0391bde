// All changes of credentials, as user_catalogue.h has those of users. Only Create gives a secret away, once.
// Thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <utility>

#include "gatepost/auth/v1/credential.pb.h"
#include "gatepost/auth/v1/user.pb.h"
#include "services/auth/record_editor.h"
#include "services/auth/user_secrets.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/rpc/call.h"

namespace gatepost::auth {

class CredentialCatalogue {
 public:
  // The references outlive the catalogue. `application_key`: application_password.h.
  CredentialCatalogue(RecordEditor& editor, const UserSecrets& secrets, std::string application_key,
                      const base::Clock& clock, base::Random& random)
      : editor_(editor),
        secrets_(secrets),
        application_key_(std::move(application_key)),
        clock_(clock),
        random_(random) {}

  absl::StatusOr<v1::Credential> Get(const v1::GetCredentialRequest& request, rpc::Call* call);
  absl::StatusOr<v1::ListCredentialsResponse> List(const v1::ListCredentialsRequest& request, rpc::Call* call);
  absl::StatusOr<v1::CreateCredentialResponse> Create(const v1::CreateCredentialRequest& request, rpc::Call* call);
  absl::StatusOr<v1::Credential> Update(const v1::UpdateCredentialRequest& request, rpc::Call* call);
  absl::Status Delete(const v1::DeleteCredentialRequest& request, rpc::Call* call);

 private:
  // NOT_FOUND: the user's.
  absl::StatusOr<v1::User> ReadOwner(store::View& view, std::string_view user_id) const;
  // Adds the writes of a new application password, which has this digest.
  absl::Status AddNew(std::string_view user_id, const std::string& digest, const v1::Credential& credential,
                      store::View& view, store::Transaction* transaction) const;

  RecordEditor& editor_;
  const UserSecrets& secrets_;
  const std::string application_key_;
  const base::Clock& clock_;
  base::Random& random_;
};

}  // namespace gatepost::auth
