#include "services/ctl/user_import.h"

#include <vector>

#include "gatepost/auth/v1/user.grpc.pb.h"
#include "services/base/strings.h"
#include "services/ctl/user_csv.h"

namespace gatepost::ctl {
namespace {

using auth::v1::User;
using Users = auth::v1::UserService;

class Importer {
 public:
  Importer(Invocation* invocation, const UserImportOptions& options) : invocation_(invocation), options_(options) {}

  absl::Status Run(const std::vector<UserRow>& rows) {
    for (const UserRow& row : rows) {
      const absl::Status status = Import(row);
      // It will not take the next one either.
      if (absl::IsUnavailable(status) || absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status) ||
          absl::IsFailedPrecondition(status)) {
        Summarize();
        return absl::Status(status.code(), At(row, status));
      }
      if (!status.ok()) {
        ++refused_;
        invocation_->err << Printable(At(row, status)) << '\n';
      }
    }
    Summarize();
    if (refused_ == 0) return absl::OkStatus();
    return absl::AbortedError(
        base::StrCat(std::to_string(refused_), " users were refused, as said above; the table can be imported again"));
  }

 private:
  static std::string At(const UserRow& row, const absl::Status& status) {
    return base::StrCat("line ", std::to_string(row.line), ", ", row.user.name(), ": ",
                        base::FromAbsl(status.message()));
  }

  absl::Status Import(const UserRow& row) {
    const User& user = row.user;
    auth::v1::GetUserRequest get;
    get.set_name(user.name());
    auto stored = invocation_->Call(Service::kAuth, &Users::Stub::GetUser, get);
    if (stored.ok()) return Update(row, *stored);
    if (!absl::IsNotFound(stored.status())) return stored.status();
    auth::v1::CreateUserRequest request;
    request.set_user_id(IdOf(user.name()));
    *request.mutable_user() = user;
    request.set_validate_only(options_.dry_run);
    auto created = invocation_->Call(Service::kAuth, &Users::Stub::CreateUser, request);
    if (created.ok()) ++created_;
    return created.status();
  }

  absl::Status Update(const UserRow& row, const User& stored) {
    // Who has this id may be somebody else: their account and password are not the row's to take.
    if (!base::EqualsIgnoreCase(stored.login(), row.user.login())) {
      if (row.id_from_login)
        return absl::AlreadyExistsError(base::StrCat("is ", stored.login(), "; give the table a column `id`"));
      if (!options_.update)
        return absl::AlreadyExistsError(base::StrCat("is ", stored.login(), "; --update gives it the login of the table"));
    }
    if (!options_.update) {
      ++left_;
      return absl::OkStatus();
    }
    auth::v1::UpdateUserRequest request;
    *request.mutable_user() = row.user;
    request.mutable_user()->set_etag(stored.etag());
    // A new password would end the user's sessions at each import.
    request.mutable_user()->clear_password();
    request.set_validate_only(options_.dry_run);
    auto updated = invocation_->Call(Service::kAuth, &Users::Stub::UpdateUser, request);
    if (updated.ok()) ++updated_;
    return updated.status();
  }

  void Summarize() {
    invocation_->out << created_ << (options_.dry_run ? " would be created, " : " created, ") << updated_
                     << (options_.dry_run ? " would be updated, " : " updated, ") << left_
                     << " there already and left as they are\n";
  }

  Invocation* const invocation_;
  const UserImportOptions& options_;
  int created_ = 0;
  int updated_ = 0;
  int left_ = 0;
  int refused_ = 0;
};

}  // namespace

absl::Status ImportUsers(Invocation* invocation, const UserImportOptions& options) {
  auto text = ReadInput(options.file, invocation->in);
  if (!text.ok()) return text.status();
  auto rows = ParseUserTable(*text);
  if (!rows.ok()) return UsageError(base::StrCat(options.file, ": ", base::FromAbsl(rows.status().message())));
  return Importer(invocation, options).Run(*rows);
}

}  // namespace gatepost::ctl
