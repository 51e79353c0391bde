#include "services/auth/user_catalogue.h"

#include <nettle/sha2.h>

#include <algorithm>
#include <set>
#include <utility>

#include "services/auth/prepare.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/field_mask.h"
#include "services/rpc/page_token.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

constexpr int kTries = 10;
constexpr std::string_view kIdForm = "must match ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$";

absl::Status CheckName(const std::string& name, std::string_view field, rpc::Call* call) {
  if (call != nullptr) call->resource = name.substr(0, 200);
  if (name.starts_with(kUsers) && IsResourceId(IdOf(name))) return absl::OkStatus();
  return rpc::InvalidFields({{std::string(field), StrCat("must be `users/{id}`; the id ", kIdForm)}});
}

absl::Status NotFound(std::string_view name) {
  return rpc::Error(absl::StatusCode::kNotFound, "NOT_FOUND", StrCat(name, " does not exist"));
}

absl::Status Unavailable(const absl::Status& status) {
  if (!absl::IsUnavailable(status)) return status;
  return rpc::Error(absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE", base::FromAbsl(status.message()));
}

absl::StatusOr<store::Record> Read(store::View& view, std::string_view name) {
  absl::StatusOr<store::Record> record = view.Get(name);
  if (absl::IsNotFound(record.status())) return NotFound(name);
  return record;
}

bool HasControls(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool IsSha256(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return base::IsDigit(c) || (c >= 'a' && c <= 'f'); });
}

size_t Characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// What a repetition is known by. The password does not enter it: a digest of it in the database would be a fast
// verifier.
std::string Fingerprint(v1::CreateUserRequest request) {
  request.mutable_user()->clear_password();
  const std::string text = request.SerializeAsString();
  sha256_ctx hash;
  sha256_init(&hash);
  sha256_update(&hash, text.size(), reinterpret_cast<const uint8_t*>(text.data()));
  std::string digest(SHA256_DIGEST_SIZE, '\0');
  sha256_digest(&hash, digest.size(), reinterpret_cast<uint8_t*>(digest.data()));
  return digest;
}

void ClearOutputs(v1::User* user) {
  user->clear_etag();
  user->clear_revision();
  user->clear_create_time();
  user->clear_update_time();
  user->clear_state();
  user->clear_password_set_time();
  user->clear_sessions_revoked_time();
}

}  // namespace

absl::StatusOr<store::Committed> UserCatalogue::Change(bool dry_run, const Body& body) {
  absl::MutexLock lock(&mutex_);
  for (int i = 0; i < kTries; ++i) {
    store::Transaction transaction;
    {
      const absl::StatusOr<std::unique_ptr<store::View>> view = store_.Read();
      if (!view.ok()) return Unavailable(view.status());
      GATEPOST_RETURN_IF_ERROR(body(**view, &transaction));
      transaction.store_revision = (*view)->revision();
    }
    if (dry_run || transaction.writes.empty()) return store::Committed{};
    absl::StatusOr<store::Committed> committed = store_.Commit(transaction);
    if (absl::IsFailedPrecondition(committed.status())) continue;
    if (!committed.ok()) return Unavailable(committed.status());
    return committed;
  }
  return rpc::Error(absl::StatusCode::kUnavailable, "STORE_BUSY", "the store changes too fast; try again");
}

absl::StatusOr<v1::User> UserCatalogue::ChangeOne(const std::string& name, const std::string& etag, rpc::Call* call,
                                                  const Edit& edit) {
  GATEPOST_RETURN_IF_ERROR(CheckName(name, "name", call));
  v1::User user;
  const absl::StatusOr<store::Committed> committed =
      Change(/*dry_run=*/false, [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        GATEPOST_ASSIGN_OR_RETURN(const store::Record record, Read(view, name));
        call->old_revision = record.revision;
        GATEPOST_RETURN_IF_ERROR(CheckEtag(etag, store_.epoch(), record.revision));
        GATEPOST_ASSIGN_OR_RETURN(user, UserOf(record, store_.epoch()));
        GATEPOST_ASSIGN_OR_RETURN(const bool changed, edit(&user, transaction));
        if (!changed) return absl::OkStatus();
        *user.mutable_update_time() = ToTimestamp(clock_.WallNow());
        transaction->writes.push_back({name, Stored(user), store::Condition::At(record.revision)});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  if (committed->revision > 0) {
    Complete(&user, store_.epoch(), committed->revision);
    call->new_revision = committed->revision;
  }
  return user;
}

void UserCatalogue::Validate(v1::User* user, Violations* violations) const {
  if (!user->has_display_name()) user->set_display_name(std::string(IdOf(user->name())));
  if (!user->has_may_submit()) user->set_may_submit(true);
  if (!user->has_may_relay()) user->set_may_relay(true);
  if (Characters(user->display_name()) > kMostDisplayNameCharacters || HasControls(user->display_name())) {
    violations->push_back({"user.display_name", StrCat("must be at most ", kMostDisplayNameCharacters,
                                                       " characters, without control characters")});
  }
  if (static_cast<size_t>(user->certificates_size()) > kMostCertificates ||
      !std::all_of(user->certificates().begin(), user->certificates().end(), IsSha256)) {
    violations->push_back(
        {"user.certificates", StrCat("must be at most ", kMostCertificates,
                                     " SHA-256 fingerprints: 64 lower-case hexadecimal digits each")});
  }
  if (std::optional<std::string> login = PrepareLogin(user->login())) {
    user->set_login(*std::move(login));
  } else {
    violations->push_back(
        {"user.login",
         "must be 1 to 255 octets of UTF-8 without control characters, as prepared by SASLprep (RFC 4013)"});
  }
}

absl::StatusOr<UserCatalogue::Password> UserCatalogue::MakePassword(const std::string& password, std::string_view field,
                                                                    bool dry_run, Violations* violations) const {
  std::optional<std::string> prepared = PreparePassword(password);
  if (!prepared) {
    violations->push_back(
        {std::string(field),
         "must be 1 to 1,024 octets of UTF-8 without control characters, as prepared by SASLprep (RFC 4013)"});
    return Password{};
  }
  if (dry_run || !violations->empty()) {
    Wipe(&*prepared);
    return Password{Password::Kind::kSet, {}};
  }
  absl::StatusOr<PasswordSecrets> secrets = verifier_.Derive(*std::move(prepared), secrets_.scram_iterations());
  if (!secrets.ok())
    return rpc::Error(absl::StatusCode::kUnavailable, "VERIFIERS_BUSY",
                      "no slot to hash the password within 2 s; try again");
  return Password{Password::Kind::kSet, *std::move(secrets)};
}

void UserCatalogue::Revoke(v1::User* user, store::Transaction* transaction) {
  // Rounded up: a session that began within the same millisecond ends with it.
  const base::WallTime since = std::chrono::ceil<std::chrono::milliseconds>(clock_.WallNow());
  *user->mutable_sessions_revoked_time() = ToTimestamp(since);
  transaction->writes.push_back(
      {StrCat(kRevocations, IdOf(user->name())), ToMilliseconds(since), store::Condition::None()});
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
    secrets_.RemoveNtHash(id, transaction);
  }
}

absl::Status UserCatalogue::WriteCertificates(const v1::User& stored, const v1::User& user, store::View& view,
                                              store::Transaction* transaction) {
  const std::set<std::string> before(stored.certificates().begin(), stored.certificates().end());
  const std::set<std::string> after(user.certificates().begin(), user.certificates().end());
  for (const std::string& certificate : before) {
    if (!after.contains(certificate))
      transaction->writes.push_back({StrCat(kCertificates, certificate), std::nullopt, store::Condition::None()});
  }
  for (const std::string& certificate : after) {
    if (before.contains(certificate)) continue;
    const std::string key = StrCat(kCertificates, certificate);
    if (view.Get(key).ok())
      return rpc::Error(absl::StatusCode::kAlreadyExists, "CERTIFICATE_TAKEN", "another user has this certificate");
    transaction->writes.push_back({key, std::string(IdOf(user.name())), store::Condition::Absent()});
  }
  return absl::OkStatus();
}

absl::Status UserCatalogue::AddNew(v1::User* user, const Password& password, store::View& view,
                                   store::Transaction* transaction) {
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
  GATEPOST_RETURN_IF_ERROR(WriteCertificates(v1::User(), *user, view, transaction));
  transaction->writes.push_back({user->name(), Stored(*user), store::Condition::Absent()});
  transaction->writes.push_back(
      {StrCat(kLogins, LoginKey(user->login())), std::string(IdOf(user->name())), store::Condition::Absent()});
  return absl::OkStatus();
}

absl::Status UserCatalogue::ExplainConflict(const v1::User& user) const {
  const absl::StatusOr<std::unique_ptr<store::View>> view = store_.Read();
  if (view.ok() && (*view)->Get(StrCat(kLogins, LoginKey(user.login()))).ok() && !(*view)->Get(user.name()).ok()) {
    return rpc::Error(absl::StatusCode::kAlreadyExists, "LOGIN_TAKEN", "another user has this login");
  }
  return rpc::Error(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS", StrCat(user.name(), " exists already"));
}

absl::StatusOr<v1::User> UserCatalogue::Get(const v1::GetUserRequest& request, rpc::Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), "name", call));
  const absl::StatusOr<std::unique_ptr<store::View>> view = store_.Read();
  if (!view.ok()) return Unavailable(view.status());
  GATEPOST_ASSIGN_OR_RETURN(const store::Record record, Read(**view, request.name()));
  return UserOf(record, store_.epoch());
}

absl::StatusOr<v1::ListUsersResponse> UserCatalogue::List(const v1::ListUsersRequest& request) {
  const std::string list = StrCat("users\n", request.login());
  GATEPOST_ASSIGN_OR_RETURN(const int32_t size, rpc::PageSize(request.page_size()));
  GATEPOST_ASSIGN_OR_RETURN(const std::string after, rpc::ReadPageToken(list, request.page_token()));
  const absl::StatusOr<std::unique_ptr<store::View>> view = store_.Read();
  if (!view.ok()) return Unavailable(view.status());
  v1::ListUsersResponse response;
  std::vector<store::Record> records;
  bool more = false;
  if (request.login().empty()) {
    GATEPOST_ASSIGN_OR_RETURN(records, (*view)->List(kUsers, after, static_cast<size_t>(size), kMostPageOctets, &more));
  } else if (const std::optional<std::string> login = PrepareLogin(request.login()); login && after.empty()) {
    if (const auto id = (*view)->Get(StrCat(kLogins, LoginKey(*login))); id.ok()) {
      GATEPOST_ASSIGN_OR_RETURN(store::Record record, Read(**view, StrCat(kUsers, id->value)));
      records.push_back(std::move(record));
    }
  }
  for (const store::Record& record : records) {
    GATEPOST_ASSIGN_OR_RETURN(*response.add_users(), UserOf(record, store_.epoch()));
  }
  if (more) response.set_next_page_token(rpc::MakePageToken(list, records.back().key));
  return response;
}

absl::StatusOr<v1::User> UserCatalogue::Create(const v1::CreateUserRequest& request, rpc::Call* call) {
  Violations violations;
  call->resource = StrCat(kUsers, request.user_id().substr(0, 100));
  if (!IsResourceId(request.user_id())) violations.push_back({"user_id", std::string(kIdForm)});
  if (request.request_id().size() > kMostRequestIdOctets || !base::IsPrintableAscii(request.request_id())) {
    violations.push_back({"request_id", StrCat("must be printable ASCII, at most ", kMostRequestIdOctets, " octets")});
  }
  v1::User wanted = request.user();
  wanted.set_name(call->resource);
  Validate(&wanted, &violations);
  Password password;
  if (!request.user().password().empty()) {
    GATEPOST_ASSIGN_OR_RETURN(
        password, MakePassword(request.user().password(), "user.password", request.validate_only(), &violations));
  }
  if (!violations.empty()) return rpc::InvalidFields(violations);

  v1::User user;
  const absl::StatusOr<store::Committed> committed =
      Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        user = wanted;
        GATEPOST_RETURN_IF_ERROR(AddNew(&user, password, view, transaction));
        if (!request.request_id().empty()) {
          transaction->request_id = {StrCat(call->caller.uri, " CreateUser ", request.request_id()),
                                     Fingerprint(request), Stored(user)};
        }
        if (!request.validate_only()) return absl::OkStatus();
        // What the commit's conditions would have found.
        if (view.Get(user.name()).ok() || view.Get(StrCat(kLogins, LoginKey(user.login()))).ok())
          return ExplainConflict(user);
        return absl::OkStatus();
      });
  if (absl::IsAlreadyExists(committed.status())) return ExplainConflict(wanted);
  if (absl::IsInvalidArgument(committed.status())) {
    return rpc::InvalidFields({{"request_id", "was used for another request within 24 h"}});
  }
  GATEPOST_RETURN_IF_ERROR(committed.status());
  if (committed->repeated) {
    if (!user.ParseFromString(committed->answer)) return absl::DataLossError("a stored answer is damaged");
    user.set_name(call->resource);
  } else {
    call->new_revision = committed->revision;
  }
  if (committed->revision > 0) Complete(&user, store_.epoch(), committed->revision);
  return user;
}

absl::StatusOr<v1::User> UserCatalogue::Update(const v1::UpdateUserRequest& request, rpc::Call* call) {
  const v1::User& wanted = request.user();
  const google::protobuf::FieldMask* mask = request.has_update_mask() ? &request.update_mask() : nullptr;
  GATEPOST_RETURN_IF_ERROR(CheckName(wanted.name(), "user.name", call));
  Violations violations;
  {
    v1::User scratch = wanted;
    violations = rpc::ApplyMask(mask, wanted, &scratch);
  }
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
      Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        absl::StatusOr<store::Record> record = Read(view, wanted.name());
        const bool missing = absl::IsNotFound(record.status());
        v1::User stored;
        if (missing && request.allow_missing()) {
          user = wanted;
        } else {
          GATEPOST_RETURN_IF_ERROR(record.status());
          call->old_revision = record->revision;
          GATEPOST_RETURN_IF_ERROR(CheckEtag(wanted.etag(), store_.epoch(), record->revision));
          GATEPOST_ASSIGN_OR_RETURN(stored, UserOf(*record, store_.epoch()));
          user = stored;
          rpc::ApplyMask(mask, wanted, &user);
          user.clear_password();
        }
        Violations found;
        Validate(&user, &found);
        if (!found.empty()) return rpc::InvalidFields(found);
        const std::string old_key = LoginKey(stored.login()), new_key = LoginKey(user.login());
        if (old_key != new_key || missing) {
          if (view.Get(StrCat(kLogins, new_key)).ok()) {
            return rpc::Error(absl::StatusCode::kAlreadyExists, "LOGIN_TAKEN", "another user has this login");
          }
        }
        if (missing) return AddNew(&user, password, view, transaction);
        if (password.kind == Password::Kind::kKept && Stored(user) == Stored(stored)) return absl::OkStatus();
        WritePassword(&user, password, transaction);
        GATEPOST_RETURN_IF_ERROR(WriteCertificates(stored, user, view, transaction));
        if (password.kind != Password::Kind::kKept) Revoke(&user, transaction);
        if (old_key != new_key) {
          transaction->writes.push_back({StrCat(kLogins, old_key), std::nullopt, store::Condition::None()});
          transaction->writes.push_back(
              {StrCat(kLogins, new_key), std::string(IdOf(user.name())), store::Condition::Absent()});
        }
        *user.mutable_update_time() = ToTimestamp(clock_.WallNow());
        transaction->writes.push_back({user.name(), Stored(user), store::Condition::At(record->revision)});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  if (committed->revision > 0) {
    Complete(&user, store_.epoch(), committed->revision);
    call->new_revision = committed->revision;
  }
  user.clear_password();
  return user;
}

absl::Status UserCatalogue::Delete(const v1::DeleteUserRequest& request, rpc::Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), "name", call));
  const absl::StatusOr<store::Committed> committed =
      Change(/*dry_run=*/false, [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        GATEPOST_ASSIGN_OR_RETURN(const store::Record record, Read(view, request.name()));
        call->old_revision = record.revision;
        GATEPOST_RETURN_IF_ERROR(CheckEtag(request.etag(), store_.epoch(), record.revision));
        GATEPOST_ASSIGN_OR_RETURN(v1::User user, UserOf(record, store_.epoch()));
        Revoke(&user, transaction);
        transaction->writes.push_back({request.name(), std::nullopt, store::Condition::At(record.revision)});
        secrets_.Remove(IdOf(request.name()), transaction);
        v1::User none;
        none.set_name(user.name());
        GATEPOST_RETURN_IF_ERROR(WriteCertificates(user, none, view, transaction));
        transaction->writes.push_back(
            {StrCat(kLogins, LoginKey(user.login())), std::nullopt, store::Condition::None()});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  call->new_revision = committed->revision;
  return absl::OkStatus();
}

absl::StatusOr<v1::User> UserCatalogue::SetPassword(const v1::SetUserPasswordRequest& request, rpc::Call* call) {
  Violations violations;
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), "name", call));
  GATEPOST_ASSIGN_OR_RETURN(const Password password,
                            MakePassword(request.password(), "password", /*dry_run=*/false, &violations));
  if (!violations.empty()) return rpc::InvalidFields(violations);
  return ChangeOne(request.name(), request.etag(), call, [&](v1::User* user, store::Transaction* transaction) {
    WritePassword(user, password, transaction);
    Revoke(user, transaction);
    return true;
  });
}

absl::StatusOr<v1::User> UserCatalogue::SetState(const std::string& name, const std::string& etag,
                                                 v1::User::State state, rpc::Call* call) {
  return ChangeOne(name, etag, call, [&](v1::User* user, store::Transaction* transaction) {
    if (user->state() == state) return false;
    user->set_state(state);
    if (state == v1::User::DISABLED) Revoke(user, transaction);
    return true;
  });
}

absl::StatusOr<v1::User> UserCatalogue::RevokeSessions(const v1::RevokeUserSessionsRequest& request, rpc::Call* call) {
  return ChangeOne(request.name(), request.etag(), call, [&](v1::User* user, store::Transaction* transaction) {
    Revoke(user, transaction);
    return true;
  });
}

absl::StatusOr<int64_t> UserCatalogue::Count() {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store_.Read());
  return view->Count(kUsers);
}

}  // namespace gatepost::auth
