#include "services/auth/user_catalogue.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "services/auth/credential_records.h"
#include "services/auth/last_uses.h"
#include "services/auth/prepare.h"
#include "services/auth/user_fields.h"
#include "services/auth/user_index.h"
#include "services/auth/user_records.h"
#include "services/base/secret.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/field_mask.h"
#include "services/rpc/page_token.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

absl::StatusOr<v1::User> ReadUser(store::View& view, const store::Record& record, std::string_view epoch) {
  GATEPOST_ASSIGN_OR_RETURN(v1::User user, UserOf(record, epoch));
  GATEPOST_RETURN_IF_ERROR(ReadLastLogin(view, &user));
  return user;
}

// The keys of the records of users that a list goes through, behind `after`.
absl::StatusOr<std::vector<std::string>> MemberNames(store::View& view, std::string_view group_id,
                                                     std::string_view after, int32_t size, bool* more) {
  const std::string prefix = MemberKey(group_id, "");
  const std::string from = after.empty() ? std::string() : StrCat(prefix, IdOf(after));
  GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records,
                            view.List(prefix, from, static_cast<size_t>(size), kMostPageOctets, more));
  std::vector<std::string> names;
  for (const store::Record& record : records) names.push_back(StrCat(kUsers, record.key.substr(prefix.size())));
  return names;
}

// Whom `directories/{directory}/users/{login}` names.
struct DirectoryUser {
  std::string_view directory;
  std::string login_key;
};

// nullopt: it is no such name.
std::optional<DirectoryUser> ParseDirectoryUser(std::string_view name) {
  const size_t slash = name.find('/', kDirectories.size());
  if (!name.starts_with(kDirectories) || slash == name.npos) return std::nullopt;
  const std::string_view directory = name.substr(kDirectories.size(), slash - kDirectories.size());
  const std::string_view user = name.substr(slash + 1);
  if (!IsResourceId(directory) || !user.starts_with(kUsers)) return std::nullopt;
  const std::optional<std::string> login = PrepareLogin(user.substr(kUsers.size()));
  if (!login) return std::nullopt;
  return DirectoryUser{directory, LoginKey(*login)};
}

}  // namespace

absl::StatusOr<v1::User> UserCatalogue::Answer(v1::User user, int64_t revision, rpc::Call* call) {
  user.clear_password();
  if (revision > 0) {
    Complete(&user, editor_.epoch(), revision);
    call->new_revision = revision;
  }
  // What was committed stays so, though the store does not answer any more.
  if (const auto view = editor_.Read(); view.ok()) ReadLastLogin(**view, &user).IgnoreError();
  return user;
}

absl::StatusOr<v1::User> UserCatalogue::ChangeOne(const std::string& name, const std::string& etag, rpc::Call* call,
                                                  const Edit& edit) {
  GATEPOST_RETURN_IF_ERROR(CheckName(name, kUsers, "name", call));
  v1::User user;
  const absl::StatusOr<store::Committed> committed =
      editor_.Change(/*dry_run=*/false, [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        GATEPOST_ASSIGN_OR_RETURN(const store::Record record, ReadRecord(view, name));
        call->old_revision = record.revision;
        GATEPOST_RETURN_IF_ERROR(CheckEtag(etag, editor_.epoch(), record.revision));
        GATEPOST_ASSIGN_OR_RETURN(user, UserOf(record, editor_.epoch()));
        GATEPOST_ASSIGN_OR_RETURN(const bool changed, edit(&user, transaction));
        if (!changed) return absl::OkStatus();
        *user.mutable_update_time() = ToTimestamp(clock_.WallNow());
        transaction->writes.push_back({name, Stored(user), store::Condition::At(record.revision)});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  return Answer(std::move(user), committed->revision, call);
}

absl::StatusOr<UserCatalogue::Password> UserCatalogue::MakePassword(const std::string& password, std::string_view field,
                                                                    bool dry_run, Violations* violations) const {
  std::optional<base::Secret> prepared = PreparePassword(password);
  if (!prepared) {
    violations->push_back(
        {std::string(field),
         "must be 1 to 1,024 octets of UTF-8 without control characters, as prepared by SASLprep (RFC 4013)"});
    return Password{};
  }
  if (dry_run || !violations->empty()) return Password{Password::Kind::kSet, {}};
  absl::StatusOr<PasswordSecrets> secrets = verifier_.Derive(*std::move(prepared), secrets_.scram_iterations());
  if (!secrets.ok())
    return rpc::Error(absl::StatusCode::kUnavailable, "VERIFIERS_BUSY",
                      "no slot to hash the password within 2 s; try again");
  return Password{Password::Kind::kSet, *std::move(secrets)};
}

void UserCatalogue::WritePassword(v1::User* user, const Password& password, store::Transaction* transaction) {
  const std::string_view id = IdOf(user->name());
  if (password.kind == Password::Kind::kSet) {
    *user->mutable_password_set_time() = ToTimestamp(clock_.WallNow());
    secrets_.Set(id, password.secrets, user->ntlm(), transaction);
  } else if (password.kind == Password::Kind::kRemoved) {
    user->clear_password_set_time();
    secrets_.Remove(id, transaction);
  } else if (!user->ntlm()) {
    secrets_.Remove(kNtHashForm, id, transaction);
  }
}

absl::Status UserCatalogue::AddNew(v1::User* user, const Password& password, const Texts& asked_groups,
                                   store::View& view, store::Transaction* transaction) {
  GATEPOST_ASSIGN_OR_RETURN(const int64_t count, view.Count(kUsers));
  if (count >= most_users_) {
    return rpc::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_USERS",
                      StrCat("there are ", most_users_, " users already"));
  }
  ClearOutputs(user);
  user->clear_password();
  user->set_state(v1::User::ENABLED);
  *user->mutable_create_time() = ToTimestamp(clock_.WallNow());
  *user->mutable_update_time() = user->create_time();
  WritePassword(user, password, transaction);
  v1::User nobody;
  nobody.set_name(user->name());
  GATEPOST_RETURN_IF_ERROR(WriteIndex(nobody, *user, asked_groups, view, transaction));
  transaction->writes.push_back({user->name(), Stored(*user), store::Condition::Absent()});
  return absl::OkStatus();
}

absl::Status UserCatalogue::ExplainConflict(const v1::User& user, const absl::Status& status) {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, editor_.Read());
  GATEPOST_ASSIGN_OR_RETURN(const bool exists, HasRecord(*view, user.name()));
  if (exists) return AlreadyExists(user.name());
  GATEPOST_RETURN_IF_ERROR(CheckLoginIsFree(user, *view));
  return status;
}

absl::StatusOr<v1::User> UserCatalogue::Get(const v1::GetUserRequest& request, rpc::Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kUsers, "name", call));
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, editor_.Read());
  GATEPOST_ASSIGN_OR_RETURN(const store::Record record, ReadRecord(*view, request.name()));
  return ReadUser(*view, record, editor_.epoch());
}

absl::StatusOr<v1::ListUsersResponse> UserCatalogue::List(const v1::ListUsersRequest& request, rpc::Call* call) {
  const std::string list = StrCat("users\n", request.group(), "\n", request.login());
  GATEPOST_ASSIGN_OR_RETURN(const int32_t size, rpc::PageSize(request.page_size()));
  GATEPOST_ASSIGN_OR_RETURN(const std::string after, rpc::ReadPageToken(list, request.page_token()));
  if (!request.group().empty()) GATEPOST_RETURN_IF_ERROR(CheckName(request.group(), kGroups, "group", call));
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, editor_.Read());
  std::vector<store::Record> records;
  bool more = false;
  if (!request.login().empty()) {
    const std::optional<std::string> login = PrepareLogin(request.login());
    const absl::StatusOr<store::Record> id = view->Get(StrCat(kLogins, login ? LoginKey(*login) : ""));
    if (!absl::IsNotFound(id.status())) GATEPOST_RETURN_IF_ERROR(id.status());
    if (id.ok() && after.empty()) {
      GATEPOST_ASSIGN_OR_RETURN(store::Record record, ReadRecord(*view, StrCat(kUsers, id->value)));
      records.push_back(std::move(record));
    }
  } else if (!request.group().empty()) {
    GATEPOST_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              MemberNames(*view, IdOf(request.group()), after, size, &more));
    size_t octets = 0;
    for (const std::string& name : names) {
      if (octets > kMostPageOctets) {
        more = true;
        break;
      }
      GATEPOST_ASSIGN_OR_RETURN(store::Record record, ReadRecord(*view, name));
      octets += record.value.size();
      records.push_back(std::move(record));
    }
  } else {
    GATEPOST_ASSIGN_OR_RETURN(records, view->List(kUsers, after, static_cast<size_t>(size), kMostPageOctets, &more));
  }
  v1::ListUsersResponse response;
  for (const store::Record& record : records) {
    GATEPOST_ASSIGN_OR_RETURN(v1::User user, ReadUser(*view, record, editor_.epoch()));
    const auto& groups = user.groups();
    // By login and group at once.
    if (!request.group().empty() && std::find(groups.begin(), groups.end(), request.group()) == groups.end()) continue;
    *response.add_users() = std::move(user);
  }
  if (more) response.set_next_page_token(rpc::MakePageToken(list, records.back().key));
  return response;
}

absl::StatusOr<v1::User> UserCatalogue::Create(const v1::CreateUserRequest& request, rpc::Call* call) {
  Violations violations;
  call->resource = StrCat(kUsers, request.user_id().substr(0, 100));
  CheckId(request.user_id(), "user_id", &violations);
  CheckRequestId(request.request_id(), &violations);
  v1::User wanted = request.user();
  wanted.set_name(call->resource);
  CheckUser(&wanted, &violations);
  Password password;
  if (!request.user().password().empty()) {
    GATEPOST_ASSIGN_OR_RETURN(
        password, MakePassword(request.user().password(), "user.password", request.validate_only(), &violations));
  }
  if (!violations.empty()) return rpc::InvalidFields(violations);

  v1::User user;
  const absl::StatusOr<store::Committed> committed =
      editor_.Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        user = wanted;
        GATEPOST_RETURN_IF_ERROR(AddNew(&user, password, request.user().groups(), view, transaction));
        if (!request.request_id().empty()) {
          // A digest of the password in the database would be a fast verifier.
          v1::CreateUserRequest known = request;
          known.mutable_user()->clear_password();
          transaction->request_id = {StrCat(call->caller.uri, " CreateUser ", request.request_id()),
                                     Fingerprint(known.SerializeAsString()), Stored(user)};
        }
        if (!request.validate_only()) return absl::OkStatus();
        // What the commit's conditions would have found.
        GATEPOST_ASSIGN_OR_RETURN(const bool exists, HasRecord(view, user.name()));
        if (exists) return AlreadyExists(user.name());
        return CheckLoginIsFree(user, view);
      });
  if (absl::IsAlreadyExists(committed.status())) return ExplainConflict(wanted, committed.status());
  GATEPOST_RETURN_IF_ERROR(committed.status());
  if (committed->repeated) {
    if (!user.ParseFromString(committed->answer)) return absl::DataLossError("a stored answer is damaged");
    user.set_name(call->resource);
    Complete(&user, editor_.epoch(), committed->revision);
    return user;
  }
  return Answer(std::move(user), committed->revision, call);
}

Violations UserCatalogue::CheckAsked(const v1::UpdateUserRequest& request) {
  // A user as good as any, for the fields that stay as they are.
  v1::User user;
  user.set_name(request.user().name());
  user.set_login("login");
  Violations violations =
      rpc::ApplyMask(request.has_update_mask() ? &request.update_mask() : nullptr, request.user(), &user);
  CheckUser(&user, &violations);
  return violations;
}

absl::StatusOr<v1::User> UserCatalogue::Merge(const v1::UpdateUserRequest& request, const v1::User& stored) const {
  v1::User user = stored;
  if (stored.name().empty()) {
    user = request.user();
  } else {
    rpc::ApplyMask(request.has_update_mask() ? &request.update_mask() : nullptr, request.user(), &user);
    user.clear_password();
  }
  Violations violations;
  CheckUser(&user, &violations);
  if (!violations.empty()) return rpc::InvalidFields(violations);
  return user;
}

absl::StatusOr<v1::User> UserCatalogue::Update(const v1::UpdateUserRequest& request, rpc::Call* call) {
  const v1::User& wanted = request.user();
  const google::protobuf::FieldMask* mask = request.has_update_mask() ? &request.update_mask() : nullptr;
  GATEPOST_RETURN_IF_ERROR(CheckName(wanted.name(), kUsers, "user.name", call));
  Violations violations = CheckAsked(request);
  Password password;
  if (!wanted.password().empty() && rpc::MaskNames(mask, wanted, "password")) {
    GATEPOST_ASSIGN_OR_RETURN(password,
                              MakePassword(wanted.password(), "user.password", request.validate_only(), &violations));
  } else if (mask != nullptr && std::count(mask->paths().begin(), mask->paths().end(), "password") > 0) {
    password.kind = Password::Kind::kRemoved;
  }
  if (!violations.empty()) return rpc::InvalidFields(violations);

  v1::User user;
  const absl::StatusOr<store::Committed> committed =
      editor_.Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        const absl::StatusOr<store::Record> record = ReadRecord(view, wanted.name());
        const bool missing = absl::IsNotFound(record.status());
        v1::User stored;
        if (missing && request.allow_missing()) {
          // An etag says that the user was there.
          GATEPOST_RETURN_IF_ERROR(CheckEtag(wanted.etag(), editor_.epoch(), 0));
        } else {
          GATEPOST_RETURN_IF_ERROR(record.status());
          call->old_revision = record->revision;
          GATEPOST_RETURN_IF_ERROR(CheckEtag(wanted.etag(), editor_.epoch(), record->revision));
          GATEPOST_ASSIGN_OR_RETURN(stored, UserOf(*record, editor_.epoch()));
        }
        GATEPOST_ASSIGN_OR_RETURN(user, Merge(request, stored));
        GATEPOST_RETURN_IF_ERROR(CheckLoginIsFree(user, view));
        if (missing) return AddNew(&user, password, wanted.groups(), view, transaction);
        if (password.kind == Password::Kind::kKept && Stored(user) == Stored(stored)) return absl::OkStatus();
        WritePassword(&user, password, transaction);
        GATEPOST_RETURN_IF_ERROR(WriteIndex(stored, user, wanted.groups(), view, transaction));
        if (password.kind != Password::Kind::kKept) RevokeSessions(&user, clock_.WallNow(), transaction);
        *user.mutable_update_time() = ToTimestamp(clock_.WallNow());
        transaction->writes.push_back({user.name(), Stored(user), store::Condition::At(record->revision)});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  return Answer(std::move(user), committed->revision, call);
}

absl::Status UserCatalogue::Delete(const v1::DeleteUserRequest& request, rpc::Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kUsers, "name", call));
  const absl::StatusOr<store::Committed> committed =
      editor_.Change(/*dry_run=*/false, [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        GATEPOST_ASSIGN_OR_RETURN(const store::Record record, ReadRecord(view, request.name()));
        call->old_revision = record.revision;
        GATEPOST_RETURN_IF_ERROR(CheckEtag(request.etag(), editor_.epoch(), record.revision));
        GATEPOST_ASSIGN_OR_RETURN(v1::User user, UserOf(record, editor_.epoch()));
        const std::string_view id = IdOf(user.name());
        RevokeSessions(&user, clock_.WallNow(), transaction);
        transaction->writes.push_back({request.name(), std::nullopt, store::Condition::At(record.revision)});
        secrets_.Remove(id, transaction);
        GATEPOST_RETURN_IF_ERROR(RemoveApplicationPasswords(id, view, transaction));
        ForgetLastLogin(id, transaction);
        v1::User nobody;
        nobody.set_name(user.name());
        return WriteIndex(user, nobody, nobody.groups(), view, transaction);
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  call->new_revision = committed->revision;
  return absl::OkStatus();
}

absl::StatusOr<v1::User> UserCatalogue::SetPassword(const v1::SetUserPasswordRequest& request, rpc::Call* call) {
  Violations violations;
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kUsers, "name", call));
  GATEPOST_ASSIGN_OR_RETURN(const Password password,
                            MakePassword(request.password(), "password", /*dry_run=*/false, &violations));
  if (!violations.empty()) return rpc::InvalidFields(violations);
  return ChangeOne(request.name(), request.etag(), call, [&](v1::User* user, store::Transaction* transaction) {
    WritePassword(user, password, transaction);
    RevokeSessions(user, clock_.WallNow(), transaction);
    return true;
  });
}

absl::StatusOr<v1::User> UserCatalogue::SetState(const std::string& name, const std::string& etag,
                                                 v1::User::State state, rpc::Call* call) {
  return ChangeOne(name, etag, call, [&](v1::User* user, store::Transaction* transaction) {
    if (user->state() == state) return false;
    user->set_state(state);
    if (state == v1::User::DISABLED) RevokeSessions(user, clock_.WallNow(), transaction);
    return true;
  });
}

absl::StatusOr<v1::User> UserCatalogue::RevokeUserSessions(const v1::RevokeUserSessionsRequest& request,
                                                           rpc::Call* call) {
  return ChangeOne(request.name(), request.etag(), call, [&](v1::User* user, store::Transaction* transaction) {
    RevokeSessions(user, clock_.WallNow(), transaction);
    return true;
  });
}

absl::StatusOr<v1::RevokeDirectoryUserSessionsResponse> UserCatalogue::RevokeDirectoryUserSessions(
    const v1::RevokeDirectoryUserSessionsRequest& request, rpc::Call* call) {
  call->resource = request.name().substr(0, 400);  // what the longest name that is one has, and more
  const std::optional<DirectoryUser> user = ParseDirectoryUser(request.name());
  if (!user) return rpc::InvalidFields({{"name", "must be `directories/{directory}/users/{login}`"}});
  if (directory_ == nullptr || directory_->name() != user->directory || !directory_->Serves(user->login_key))
    return NotFound(request.name());
  v1::RevokeDirectoryUserSessionsResponse response;
  response.set_name(DirectoryUserName(user->directory, user->login_key));
  const absl::StatusOr<store::Committed> committed =
      editor_.Change(/*dry_run=*/false, [&](store::View&, store::Transaction* transaction) -> absl::Status {
        const base::WallTime since = RevokeSessions(response.name(), clock_.WallNow(), transaction);
        *response.mutable_sessions_revoked_time() = ToTimestamp(since);
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  call->new_revision = committed->revision;
  return response;
}

absl::StatusOr<int64_t> UserCatalogue::Count() {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, editor_.Read());
  return view->Count(kUsers);
}

}  // namespace gatepost::auth
