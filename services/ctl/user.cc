// gatepostctl user: who may log in. Passwords come from the terminal, a file or standard input, never from the command
// line.
#include <google/protobuf/util/time_util.h>

#include <memory>
#include <string>
#include <vector>

#include "gatepost/auth/v1/user.grpc.pb.h"
#include "services/ctl/cli.h"
#include "services/ctl/edit.h"
#include "services/ctl/paging.h"
#include "services/ctl/password.h"
#include "services/ctl/user_import.h"

namespace gatepost::ctl {
namespace {

using auth::v1::User;
using Users = auth::v1::UserService;

constexpr char kCollection[] = "users";

struct Arguments {
  std::string id;
  std::string login;
  std::string display_name;
  std::string etag;
  bool no_password = false;
  bool no_submit = false;
  bool no_relay = false;
  bool ntlm = false;
  std::vector<std::string> groups;
  std::vector<std::string> addresses;
  std::vector<std::string> certificates;
  PasswordSource password;
  Edit edit;
  UserImportOptions import;
};

absl::Status List(Invocation* invocation) {
  auto users = ListAll<User, Users::Stub, auth::v1::ListUsersRequest, auth::v1::ListUsersResponse>(
      invocation, Service::kAuth, &Users::Stub::ListUsers, [](auto* response) { return response->mutable_users(); });
  if (!users.ok()) return users.status();
  Table table{{"NAME", "LOGIN", "MAY LOG IN", "SUBMIT", "RELAY", "LAST LOGIN", "DISPLAY NAME"}, {}};
  for (const User& user : *users) {
    table.rows.push_back(
        {IdOf(user.name()), Printable(user.login()),
         user.state() == User::DISABLED ? "disabled"
         : user.has_password_set_time() ? "yes"
                                        : "no password",
         user.may_submit() ? "yes" : "no", user.may_relay() ? "yes" : "no",
         user.has_last_login_time() ? google::protobuf::util::TimeUtil::ToString(user.last_login_time()) : "never",
         Printable(user.display_name())});
  }
  return PrintList(invocation->options.output, Pointers(*users), table,
                   "There are no users: gatepostctl user create --help", invocation->out);
}

absl::Status Get(Invocation* invocation, const Arguments& arguments) {
  auth::v1::GetUserRequest request;
  request.set_name(NameOf(kCollection, arguments.id));
  auto user = invocation->Call(Service::kAuth, &Users::Stub::GetUser, request);
  if (!user.ok()) return user.status();
  return PrintResource(invocation->options.output, *user, invocation->out);
}

absl::Status Report(Invocation* invocation, const absl::StatusOr<User>& user, std::string_view what) {
  if (!user.ok()) return user.status();
  if (invocation->options.output != Format::kText)
    return PrintResource(invocation->options.output, *user, invocation->out);
  invocation->out << user->name() << " (" << Printable(user->login()) << ") " << what << '\n';
  return absl::OkStatus();
}

absl::Status Create(Invocation* invocation, const Arguments& arguments) {
  auth::v1::CreateUserRequest request;
  request.set_user_id(IdOf(arguments.id));
  request.mutable_user()->set_login(arguments.login);
  if (!arguments.display_name.empty()) request.mutable_user()->set_display_name(arguments.display_name);
  if (arguments.no_submit) request.mutable_user()->set_may_submit(false);
  if (arguments.no_relay) request.mutable_user()->set_may_relay(false);
  request.mutable_user()->set_ntlm(arguments.ntlm);
  for (const std::string& group : arguments.groups) request.mutable_user()->add_groups(NameOf("groups", group));
  for (const std::string& address : arguments.addresses) request.mutable_user()->add_addresses(address);
  for (const std::string& certificate : arguments.certificates) request.mutable_user()->add_certificates(certificate);
  if (!arguments.no_password) {
    auto password = ReadPassword(arguments.password, invocation->in);
    if (!password.ok()) return password.status();
    request.mutable_user()->set_password(*password);
  }
  return Report(invocation, invocation->Call(Service::kAuth, &Users::Stub::CreateUser, request), "created");
}

absl::Status Update(Invocation* invocation, const Arguments& arguments) {
  auth::v1::UpdateUserRequest request;
  User* user = request.mutable_user();
  absl::Status status = ApplyEdit(arguments.edit, invocation->in, user, request.mutable_update_mask());
  if (!status.ok()) return status;
  if (!user->password().empty())
    return UsageError("a password is not set here, where everybody could read it: gatepostctl user set-password");
  if (request.update_mask().paths().empty())
    return UsageError("nothing to change: give --set PATH=VALUE, --clear PATH or --file FILE");
  user->set_name(NameOf(kCollection, arguments.id));
  if (!arguments.etag.empty()) user->set_etag(arguments.etag);
  return Report(invocation, invocation->Call(Service::kAuth, &Users::Stub::UpdateUser, request), "updated");
}

absl::Status SetPassword(Invocation* invocation, const Arguments& arguments) {
  auth::v1::SetUserPasswordRequest request;
  request.set_name(NameOf(kCollection, arguments.id));
  auto password = ReadPassword(arguments.password, invocation->in);
  if (!password.ok()) return password.status();
  request.set_password(*password);
  return Report(invocation, invocation->Call(Service::kAuth, &Users::Stub::SetUserPassword, request),
                "has a new password; sessions of the old one end");
}

// Requests that hold a name and an etag alone.
template <typename Request>
Request Named(const Arguments& arguments) {
  Request request;
  request.set_name(NameOf(kCollection, arguments.id));
  request.set_etag(arguments.etag);
  return request;
}

absl::Status Disable(Invocation* invocation, const Arguments& arguments) {
  return Report(
      invocation,
      invocation->Call(Service::kAuth, &Users::Stub::DisableUser, Named<auth::v1::DisableUserRequest>(arguments)),
      "disabled; its sessions end");
}

absl::Status Enable(Invocation* invocation, const Arguments& arguments) {
  return Report(
      invocation,
      invocation->Call(Service::kAuth, &Users::Stub::EnableUser, Named<auth::v1::EnableUserRequest>(arguments)),
      "enabled");
}

// A directory's user is no resource: by its whole name.
absl::StatusOr<std::string> EndSessions(Invocation* invocation, const Arguments& arguments) {
  if (arguments.id.starts_with("directories/")) {
    if (!arguments.etag.empty()) return UsageError("a directory's user has no etag");
    auth::v1::RevokeDirectoryUserSessionsRequest request;
    request.set_name(arguments.id);
    auto done = invocation->Call(Service::kAuth, &Users::Stub::RevokeDirectoryUserSessions, request);
    if (!done.ok()) return done.status();
    return done->name();
  }
  const auto request = Named<auth::v1::RevokeUserSessionsRequest>(arguments);
  auto done = invocation->Call(Service::kAuth, &Users::Stub::RevokeUserSessions, request);
  if (!done.ok()) return done.status();
  return request.name();
}

absl::Status RevokeSessions(Invocation* invocation, const Arguments& arguments) {
  const absl::StatusOr<std::string> whose = EndSessions(invocation, arguments);
  if (!whose.ok()) return whose.status();
  if (invocation->options.output == Format::kText)
    invocation->out << Printable(*whose) << ": sessions end, between transactions\n";
  return absl::OkStatus();
}

absl::Status Delete(Invocation* invocation, const Arguments& arguments) {
  const auto request = Named<auth::v1::DeleteUserRequest>(arguments);
  auto done = invocation->Call(Service::kAuth, &Users::Stub::DeleteUser, request);
  if (!done.ok()) return done.status();
  if (invocation->options.output == Format::kText) invocation->out << request.name() << " deleted; its sessions end\n";
  return absl::OkStatus();
}

}  // namespace

void AddUser(CLI::App* root, Invocation* invocation) {
  CLI::App* noun = AddNoun(root, "user", "Users who log in at virtual servers");
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();

  CLI::App* list = noun->add_subcommand("list", "List all users");
  list->callback([=] { invocation->action = [=] { return List(invocation); }; });

  auto add = [&](const std::string& verb, const std::string& help,
                 absl::Status (*action)(Invocation*, const Arguments&)) {
    CLI::App* command = noun->add_subcommand(verb, help);
    command->add_option("ID", a->id, "The user's id, for example alice; it is not the login")->required();
    command->callback([=] { invocation->action = [=] { return action(invocation, *arguments); }; });
    return command;
  };
  auto add_password = [&](CLI::App* command) {
    command->add_option("--password-file", a->password.file, "A file whose first line is the password");
    command->add_flag("--password-stdin", a->password.from_stdin,
                      "Read the password from standard input (without either it is asked for)");
  };

  add("get", "Show one user, never the password", Get);

  CLI::App* create = add("create", "Create a user", Create);
  create->add_option("--login", a->login, "What the user types to log in, for example alice@example.com")->required();
  create->add_option("--display-name", a->display_name, "A name for administrators");
  create->add_flag("--no-password", a->no_password, "Without a password: may not log in until `set-password`");
  create->add_flag("--no-submit", a->no_submit, "May not hand in messages where authentication is asked for");
  create->add_flag("--no-relay", a->no_relay, "May not send to domains that are not local");
  create->add_flag("--ntlm", a->ntlm, "Also for NTLM: keeps the password's NT hash, sealed");
  Repeatable(create->add_option("--group", a->groups, "A group to be in. Repeatable"));
  Repeatable(create->add_option("--address", a->addresses,
                                "An address of the user's own, or @example.com, where only these may be senders. "
                                "Repeatable"));
  Repeatable(create->add_option("--certificate", a->certificates,
                                "A client certificate to log in with: the SHA-256 of its DER, in hexadecimal. "
                                "Repeatable"));
  add_password(create);
  create->footer("Example:\n  gatepostctl user create alice --login alice@example.com      (asks for the password)");

  CLI::App* update = add("update", "Change settings; sessions go on with those that they began with", Update);
  AddEditOptions(update, &a->edit, /*update=*/true);
  update->add_option("--etag", a->etag, "Only if its etag is still this one");
  update->footer(
      "Examples:\n"
      "  gatepostctl user update alice --set mayRelay=false\n"
      "  gatepostctl user update alice --set ntlm=true        (in force when the password is next set)\n"
      "Groups: gatepostctl group add-member. Application passwords: gatepostctl credential.");

  add_password(add("set-password", "Set a new password; sessions of the old one end", SetPassword));
  auto add_with_etag = [&](const std::string& verb, const std::string& help,
                           absl::Status (*action)(Invocation*, const Arguments&)) {
    CLI::App* command = add(verb, help, action);
    command->add_option("--etag", a->etag, "Only if its etag is still this one");
    return command;
  };
  add_with_etag("disable", "Refuse logins and end sessions, until `enable`", Disable);
  add_with_etag("enable", "Let a disabled user log in again", Enable);
  add_with_etag("revoke-sessions", "End the user's sessions on all edges, between transactions", RevokeSessions)
      ->footer(
          "A user of a directory (LDAP) is named as in the log: directories/{name}/users/{login}.\n"
          "Examples:\n"
          "  gatepostctl user revoke-sessions alice\n"
          "  gatepostctl user revoke-sessions directories/corp/users/alice@corp.example");
  add_with_etag("delete", "Delete a user and end its sessions", Delete);

  CLI::App* import = noun->add_subcommand("import", "Create many users from a table");
  import
      ->add_option("FILE", a->import.file,
                   "Comma-separated values, the first line names the columns (- for standard input)")
      ->required();
  import->add_flag("--update", a->import.update,
                   "Give users who are there already the table's fields, but the password");
  import->add_flag("--dry-run", a->import.dry_run, "Let the service judge everything, change nothing");
  import->callback([=] { invocation->action = [=] { return ImportUsers(invocation, arguments->import); }; });
  import->footer(
      "Columns: login (required), id (else made of the login), display_name, password, groups, addresses (spaces "
      "between), may_submit, may_relay, ntlm (yes or no).\n"
      "Example:\n"
      "  login,display_name,password,groups\n"
      "  alice@example.com,Alice,correct horse,staff sales");
}

}  // namespace gatepost::ctl
