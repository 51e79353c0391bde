// gatepostctl group: users under one name, and who is in it.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gatepost/auth/v1/group.grpc.pb.h"
#include "gatepost/auth/v1/user.grpc.pb.h"
#include "services/base/strings.h"
#include "services/ctl/cli.h"
#include "services/ctl/edit.h"
#include "services/ctl/paging.h"

namespace gatepost::ctl {
namespace {

using auth::v1::Group;
using auth::v1::User;
using Groups = auth::v1::GroupService;
using Users = auth::v1::UserService;

constexpr char kCollection[] = "groups";

struct Arguments {
  std::string id;
  std::string etag;
  std::string display_name;
  std::string description;
  std::vector<std::string> users;
  bool force = false;
  Edit edit;
};

absl::Status List(Invocation* invocation) {
  auto groups = ListAll<Group, Groups::Stub, auth::v1::ListGroupsRequest, auth::v1::ListGroupsResponse>(
      invocation, Service::kAuth, &Groups::Stub::ListGroups, [](auto* response) { return response->mutable_groups(); });
  if (!groups.ok()) return groups.status();
  Table table{{"NAME", "MEMBERS", "DISPLAY NAME"}, {}};
  for (const Group& group : *groups) {
    table.rows.push_back({IdOf(group.name()), std::to_string(group.member_count()), Printable(group.display_name())});
  }
  return PrintList(invocation->options.output, Pointers(*groups), table,
                   "There are no groups: gatepostctl group create --help", invocation->out);
}

absl::Status Get(Invocation* invocation, const Arguments& arguments) {
  auth::v1::GetGroupRequest request;
  request.set_name(NameOf(kCollection, arguments.id));
  auto group = invocation->Call(Service::kAuth, &Groups::Stub::GetGroup, request);
  if (!group.ok()) return group.status();
  return PrintResource(invocation->options.output, *group, invocation->out);
}

absl::Status Members(Invocation* invocation, const Arguments& arguments) {
  auth::v1::ListUsersRequest request;
  request.set_group(NameOf(kCollection, arguments.id));
  auto users = ListAll<User, Users::Stub, auth::v1::ListUsersRequest, auth::v1::ListUsersResponse>(
      invocation, Service::kAuth, &Users::Stub::ListUsers, [](auto* response) { return response->mutable_users(); },
      request);
  if (!users.ok()) return users.status();
  Table table{{"NAME", "LOGIN", "DISPLAY NAME"}, {}};
  for (const User& user : *users)
    table.rows.push_back({IdOf(user.name()), Printable(user.login()), Printable(user.display_name())});
  return PrintList(invocation->options.output, Pointers(*users), table,
                   "Nobody is in it: gatepostctl group add-member --help", invocation->out);
}

absl::Status Report(Invocation* invocation, const absl::StatusOr<Group>& group, std::string_view what) {
  if (!group.ok()) return group.status();
  if (invocation->options.output != Format::kText)
    return PrintResource(invocation->options.output, *group, invocation->out);
  invocation->out << group->name() << ' ' << what << '\n';
  return absl::OkStatus();
}

absl::Status Create(Invocation* invocation, const Arguments& arguments) {
  auth::v1::CreateGroupRequest request;
  request.set_group_id(IdOf(arguments.id));
  if (!arguments.display_name.empty()) request.mutable_group()->set_display_name(arguments.display_name);
  request.mutable_group()->set_description(arguments.description);
  return Report(invocation, invocation->Call(Service::kAuth, &Groups::Stub::CreateGroup, request), "created");
}

absl::Status Update(Invocation* invocation, const Arguments& arguments) {
  auth::v1::UpdateGroupRequest request;
  Group* group = request.mutable_group();
  absl::Status status = ApplyEdit(arguments.edit, invocation->in, group, request.mutable_update_mask());
  if (!status.ok()) return status;
  if (request.update_mask().paths().empty())
    return UsageError("nothing to change: give --set PATH=VALUE, --clear PATH or --file FILE");
  group->set_name(NameOf(kCollection, arguments.id));
  if (!arguments.etag.empty()) group->set_etag(arguments.etag);
  return Report(invocation, invocation->Call(Service::kAuth, &Groups::Stub::UpdateGroup, request), "updated");
}

absl::Status Delete(Invocation* invocation, const Arguments& arguments) {
  auth::v1::DeleteGroupRequest request;
  request.set_name(NameOf(kCollection, arguments.id));
  request.set_etag(arguments.etag);
  request.set_force(arguments.force);
  if (auto channel = invocation->Channel(Service::kAuth); !channel.ok()) return channel.status();
  auto done = invocation->Call(Service::kAuth, &Groups::Stub::DeleteGroup, request);
  if (absl::IsFailedPrecondition(done.status()) && !arguments.force)
    return absl::FailedPreconditionError(
        base::StrCat(base::FromAbsl(done.status().message()), " (--force takes them out of it)"));
  if (!done.ok()) return done.status();
  if (invocation->options.output == Format::kText) invocation->out << request.name() << " deleted\n";
  return absl::OkStatus();
}

// A user's groups are sent as a whole: they are read, changed, and written only if nobody has changed the user
// meanwhile.
absl::Status ChangeMember(Invocation* invocation, const std::string& group, const std::string& id, bool member) {
  auth::v1::GetUserRequest get;
  get.set_name(NameOf("users", id));
  auto user = invocation->Call(Service::kAuth, &Users::Stub::GetUser, get);
  if (!user.ok()) return user.status();
  auto* groups = user->mutable_groups();
  const auto found = std::find(groups->begin(), groups->end(), group);
  const bool is_member = found != groups->end();
  if (is_member == member) {
    if (invocation->options.output == Format::kText)
      invocation->out << user->name() << (member ? " is in " : " is not in ") << group << '\n';
    return absl::OkStatus();
  }
  if (member) {
    *groups->Add() = group;
  } else {
    groups->erase(found);
  }
  auth::v1::UpdateUserRequest request;
  request.mutable_user()->set_name(user->name());
  request.mutable_user()->set_etag(user->etag());
  *request.mutable_user()->mutable_groups() = *groups;
  request.mutable_update_mask()->add_paths("groups");
  auto updated = invocation->Call(Service::kAuth, &Users::Stub::UpdateUser, request);
  if (!updated.ok()) return updated.status();
  if (invocation->options.output == Format::kText) {
    invocation->out << user->name() << (member ? " joined " : " left ") << group << ", from the next login on\n";
  }
  return absl::OkStatus();
}

absl::Status ChangeMembers(Invocation* invocation, const Arguments& arguments, bool member) {
  const std::string group = NameOf(kCollection, arguments.id);
  for (const std::string& user : arguments.users) {
    if (absl::Status status = ChangeMember(invocation, group, user, member); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status AddMembers(Invocation* invocation, const Arguments& arguments) {
  return ChangeMembers(invocation, arguments, true);
}
absl::Status RemoveMembers(Invocation* invocation, const Arguments& arguments) {
  return ChangeMembers(invocation, arguments, false);
}

}  // namespace

void AddGroup(CLI::App* root, Invocation* invocation) {
  CLI::App* noun = AddNoun(root, "group", "Users under one name, for the lists of virtual servers");
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();

  CLI::App* list = noun->add_subcommand("list", "List all groups");
  list->callback([=] { invocation->action = [=] { return List(invocation); }; });

  auto add = [&](const std::string& verb, const std::string& help,
                 absl::Status (*action)(Invocation*, const Arguments&)) {
    CLI::App* command = noun->add_subcommand(verb, help);
    command->add_option("ID", a->id, "The group's id, for example staff")->required();
    command->callback([=] { invocation->action = [=] { return action(invocation, *arguments); }; });
    return command;
  };
  add("get", "Show one group", Get);
  add("members", "List the users in it", Members);

  CLI::App* create = add("create", "Create a group without members", Create);
  create->add_option("--display-name", a->display_name, "A name for administrators");
  create->add_option("--description", a->description, "What it is for");
  create->footer(
      "Example, who may send to other domains on a virtual server:\n"
      "  gatepostctl group create staff\n"
      "  gatepostctl group add-member staff alice bob\n"
      "  gatepostctl virtual-server update submission --set relay.authenticated='{mode: ONLY_LIST, "
      "principals: [groups/staff]}'");

  CLI::App* update = add("update", "Change its texts", Update);
  AddEditOptions(update, &a->edit, /*update=*/true);
  update->add_option("--etag", a->etag, "Only if its etag is still this one");

  for (const bool member : {true, false}) {
    CLI::App* command = member ? add("add-member", "Take users into it, from their next login on", AddMembers)
                               : add("remove-member", "Take users out of it, from their next login on", RemoveMembers);
    command->add_option("USER", a->users, "Ids of users")->required();
  }

  CLI::App* remove = add("delete", "Delete a group that has no members", Delete);
  remove->add_flag("--force", a->force, "Take its members out of it first; they stay users");
  remove->add_option("--etag", a->etag, "Only if its etag is still this one");
}

}  // namespace gatepost::ctl
