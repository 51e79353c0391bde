#include "services/auth/credential_catalogue.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "services/auth/application_password.h"
#include "services/auth/credential_records.h"
#include "services/auth/field_checks.h"
#include "services/auth/limits.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/base/wipe.h"
#include "services/rpc/field_mask.h"
#include "services/rpc/page_token.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

// `users/{user}/credentials/{id}`, taken apart.
struct Path {
  std::string user_id;
  std::string id;
};

absl::StatusOr<Path> ParseName(std::string_view name, std::string_view field, rpc::Call* call) {
  call->resource = name.substr(0, 200);
  const size_t middle = name.find('/', kUsers.size());
  if (name.starts_with(kUsers) && middle != name.npos && name.substr(middle + 1).starts_with(kCredentials)) {
    Path path{std::string(name.substr(kUsers.size(), middle - kUsers.size())),
              std::string(name.substr(middle + 1 + kCredentials.size()))};
    if (IsResourceId(path.user_id) && IsResourceId(path.id)) return path;
  }
  return rpc::InvalidFields({{std::string(field), "must be `users/{user}/credentials/{id}`"}});
}

// Fills in defaults and writes values in their canonical form; adds what is wrong.
void CheckCredential(std::string_view id, v1::Credential* credential, Violations* violations) {
  if (!credential->has_display_name()) credential->set_display_name(std::string(id));
  CheckText(credential->display_name(), kMostDisplayNameCharacters, /*line_feeds=*/false, "credential.display_name",
            violations);
  CheckNetworks(credential->mutable_networks(), "credential.networks", violations);
  CheckSenders(credential->mutable_senders(), kMostSenders, "credential.senders", violations);
  constexpr int64_t kLastSecond = 253'402'300'799;  // of the year 9999
  const google::protobuf::Timestamp& end = credential->expire_time();
  if (end.seconds() < 0 || end.seconds() > kLastSecond || end.nanos() < 0 || end.nanos() > 999'999'999)
    violations->push_back({"credential.expire_time", "must be a time from 1970 to 9999"});
}

}  // namespace

absl::StatusOr<v1::User> CredentialCatalogue::ReadOwner(store::View& view, std::string_view user_id) const {
  GATEPOST_ASSIGN_OR_RETURN(const store::Record record, ReadRecord(view, StrCat(kUsers, user_id)));
  return UserOf(record, editor_.epoch());
}

absl::StatusOr<v1::Credential> CredentialCatalogue::Get(const v1::GetCredentialRequest& request, rpc::Call* call) {
  GATEPOST_ASSIGN_OR_RETURN(const Path path, ParseName(request.name(), "name", call));
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, editor_.Read());
  GATEPOST_ASSIGN_OR_RETURN(const v1::User owner, ReadOwner(*view, path.user_id));
  return ReadCredential(*view, owner, path.id, editor_.epoch());
}

absl::StatusOr<v1::ListCredentialsResponse> CredentialCatalogue::List(const v1::ListCredentialsRequest& request,
                                                                      rpc::Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.parent(), kUsers, "parent", call));
  const std::string list = StrCat("credentials\n", request.parent());
  GATEPOST_ASSIGN_OR_RETURN(const int32_t size, rpc::PageSize(request.page_size()));
  GATEPOST_ASSIGN_OR_RETURN(const std::string after, rpc::ReadPageToken(list, request.page_token()));
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, editor_.Read());
  GATEPOST_ASSIGN_OR_RETURN(const v1::User owner, ReadOwner(*view, IdOf(request.parent())));
  GATEPOST_ASSIGN_OR_RETURN(std::vector<v1::Credential> credentials, ReadCredentials(*view, owner, editor_.epoch()));
  v1::ListCredentialsResponse response;
  for (v1::Credential& credential : credentials) {
    if (credential.name() <= after) continue;
    if (response.credentials_size() == size) {
      response.set_next_page_token(rpc::MakePageToken(list, response.credentials(size - 1).name()));
      break;
    }
    *response.add_credentials() = std::move(credential);
  }
  return response;
}

absl::Status CredentialCatalogue::AddNew(std::string_view user_id, const std::string& digest,
                                         const v1::Credential& credential, store::View& view,
                                         store::Transaction* transaction) const {
  GATEPOST_RETURN_IF_ERROR(ReadOwner(view, user_id).status());
  const std::string id = credential.name().substr(credential.name().rfind('/') + 1);
  const std::string key = StrCat(kCredentials, user_id, "/", id);
  const std::string digests = StrCat(kApplicationPasswords, user_id, "/");
  GATEPOST_ASSIGN_OR_RETURN(const bool exists, HasRecord(view, key));
  GATEPOST_ASSIGN_OR_RETURN(const int64_t count, view.Count(digests));
  if (!exists && count >= static_cast<int64_t>(kMostApplicationPasswords)) {
    return rpc::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_APPLICATION_PASSWORDS",
                      StrCat("the user has ", kMostApplicationPasswords, " application passwords already"));
  }
  transaction->writes.push_back({key, Stored(credential), store::Condition::Absent()});
  transaction->writes.push_back({StrCat(digests, digest), id, store::Condition::Absent()});
  return absl::OkStatus();
}

absl::StatusOr<v1::CreateCredentialResponse> CredentialCatalogue::Create(const v1::CreateCredentialRequest& request,
                                                                         rpc::Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.parent(), kUsers, "parent", call));
  const std::string user_id(IdOf(request.parent()));
  const std::string& id = request.credential_id();
  call->resource = CredentialName(user_id, id.substr(0, 100));
  Violations violations;
  CheckId(id, "credential_id", &violations);
  if (FormOf(id) != nullptr) violations.push_back({"credential_id", "is a form of the password's: set a password"});
  CheckRequestId(request.request_id(), &violations);
  v1::Credential credential = request.credential();
  CheckCredential(id, &credential, &violations);
  if (!violations.empty()) return rpc::InvalidFields(violations);
  credential.set_name(call->resource);
  credential.clear_etag();
  credential.clear_revision();
  credential.clear_last_use_time();
  credential.clear_last_use_network();
  credential.set_kind(v1::Credential::APPLICATION_PASSWORD);
  *credential.mutable_create_time() = ToTimestamp(clock_.WallNow());
  *credential.mutable_update_time() = credential.create_time();

  std::string password = MakeApplicationPassword(random_);
  const std::string digest = ApplicationPasswordDigest(application_key_, password);
  const absl::StatusOr<store::Committed> committed =
      editor_.Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        GATEPOST_RETURN_IF_ERROR(AddNew(user_id, digest, credential, view, transaction));
        if (!request.request_id().empty()) {
          transaction->request_id = {StrCat(call->caller.uri, " CreateCredential ", request.request_id()),
                                     Fingerprint(request.SerializeAsString()), Stored(credential)};
        }
        if (!request.validate_only()) return absl::OkStatus();
        // What the commit's condition would have found.
        GATEPOST_ASSIGN_OR_RETURN(const bool exists, HasRecord(view, transaction->writes.front().key));
        return exists ? AlreadyExists(credential.name()) : absl::OkStatus();
      });
  v1::CreateCredentialResponse response;
  if (committed.ok() && committed->revision > 0 && !committed->repeated) {
    call->new_revision = committed->revision;
    response.set_application_password(password);
  }
  base::Wipe(&password);
  if (absl::IsAlreadyExists(committed.status())) return AlreadyExists(credential.name());
  GATEPOST_RETURN_IF_ERROR(committed.status());
  if (committed->repeated && !credential.ParseFromString(committed->answer))
    return absl::DataLossError("a stored answer is damaged");
  credential.set_name(call->resource);
  if (committed->revision > 0) Complete(&credential, editor_.epoch(), committed->revision);
  *response.mutable_credential() = std::move(credential);
  return response;
}

absl::StatusOr<v1::Credential> CredentialCatalogue::Update(const v1::UpdateCredentialRequest& request,
                                                           rpc::Call* call) {
  const v1::Credential& wanted = request.credential();
  const google::protobuf::FieldMask* mask = request.has_update_mask() ? &request.update_mask() : nullptr;
  GATEPOST_ASSIGN_OR_RETURN(const Path path, ParseName(wanted.name(), "credential.name", call));
  v1::Credential credential;
  const absl::StatusOr<store::Committed> committed =
      editor_.Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        GATEPOST_ASSIGN_OR_RETURN(const v1::User owner, ReadOwner(view, path.user_id));
        GATEPOST_ASSIGN_OR_RETURN(const v1::Credential stored, ReadCredential(view, owner, path.id, editor_.epoch()));
        call->old_revision = stored.revision();
        GATEPOST_RETURN_IF_ERROR(CheckEtag(wanted.etag(), editor_.epoch(), stored.revision()));
        credential = stored;
        Violations violations = rpc::ApplyMask(mask, wanted, &credential);
        CheckCredential(path.id, &credential, &violations);
        if (!violations.empty()) return rpc::InvalidFields(violations);
        if (Stored(credential) == Stored(stored)) return absl::OkStatus();
        *credential.mutable_update_time() = ToTimestamp(clock_.WallNow());
        transaction->writes.push_back(
            {StrCat(kCredentials, path.user_id, "/", path.id), Stored(credential), store::Condition::None()});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  if (committed->revision > 0) {
    Complete(&credential, editor_.epoch(), committed->revision);
    call->new_revision = committed->revision;
  }
  return credential;
}

absl::Status CredentialCatalogue::Delete(const v1::DeleteCredentialRequest& request, rpc::Call* call) {
  GATEPOST_ASSIGN_OR_RETURN(const Path path, ParseName(request.name(), "name", call));
  const absl::StatusOr<store::Committed> committed =
      editor_.Change(/*dry_run=*/false, [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        GATEPOST_ASSIGN_OR_RETURN(v1::User owner, ReadOwner(view, path.user_id));
        GATEPOST_ASSIGN_OR_RETURN(const std::vector<v1::Credential> all, ReadCredentials(view, owner, editor_.epoch()));
        const auto credential = std::find_if(
            all.begin(), all.end(), [&](const v1::Credential& other) { return other.name() == request.name(); });
        if (credential == all.end()) return NotFound(request.name());
        call->old_revision = credential->revision();
        GATEPOST_RETURN_IF_ERROR(CheckEtag(request.etag(), editor_.epoch(), credential->revision()));
        if (const PasswordForm* form = FormOf(path.id)) {
          secrets_.Remove(*form, path.user_id, transaction);
          const auto is_form = [](const v1::Credential& other) {
            return other.kind() != v1::Credential::APPLICATION_PASSWORD;
          };
          // With its last form the password is gone.
          if (std::count_if(all.begin(), all.end(), is_form) == 1) owner.clear_password_set_time();
        } else {
          GATEPOST_RETURN_IF_ERROR(RemoveApplicationPassword(path.user_id, path.id, view, transaction));
        }
        RevokeSessions(&owner, clock_.WallNow(), transaction);
        *owner.mutable_update_time() = ToTimestamp(clock_.WallNow());
        transaction->writes.push_back({owner.name(), Stored(owner), store::Condition::At(owner.revision())});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  call->new_revision = committed->revision;
  return absl::OkStatus();
}

}  // namespace gatepost::auth
