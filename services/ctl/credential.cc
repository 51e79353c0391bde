// gatepostctl credential: by what a user logs in, each bound and revoked by itself. An application password is shown
// once, when it is made.
#include <google/protobuf/util/time_util.h>

#include <memory>
#include <string>
#include <vector>

#include "gatepost/auth/v1/credential.grpc.pb.h"
#include "services/base/strings.h"
#include "services/ctl/cli.h"
#include "services/ctl/edit.h"
#include "services/ctl/paging.h"

namespace gatepost::ctl {
namespace {

using auth::v1::Credential;
using Credentials = auth::v1::CredentialService;
using google::protobuf::util::TimeUtil;

struct Arguments {
  std::string user;
  std::string id;
  std::string etag;
  std::string display_name;
  std::string expires;
  std::vector<std::string> networks;
  std::vector<std::string> senders;
  Edit edit;
};

std::string ParentOf(const Arguments& arguments) { return NameOf("users", arguments.user); }
std::string CredentialName(const Arguments& arguments) {
  return base::StrCat(ParentOf(arguments), "/credentials/", arguments.id);
}

std::string_view What(Credential::Kind kind) {
  switch (kind) {
    case Credential::PASSWORD:
      return "password";
    case Credential::SCRAM:
      return "password (SCRAM)";
    case Credential::NT_HASH:
      return "password (NTLM)";
    case Credential::APPLICATION_PASSWORD:
      return "application password";
    default:
      return "?";
  }
}

std::string Joined(const google::protobuf::RepeatedPtrField<std::string>& items) {
  std::string text;
  for (const std::string& item : items) base::StrAppend(&text, text.empty() ? "" : " ", item);
  return text.empty() ? "any" : Printable(text);
}

absl::Status List(Invocation* invocation, const Arguments& arguments) {
  auth::v1::ListCredentialsRequest request;
  request.set_parent(ParentOf(arguments));
  auto credentials =
      ListAll<Credential, Credentials::Stub, auth::v1::ListCredentialsRequest, auth::v1::ListCredentialsResponse>(
          invocation, Service::kAuth, &Credentials::Stub::ListCredentials,
          [](auto* response) { return response->mutable_credentials(); }, request);
  if (!credentials.ok()) return credentials.status();
  Table table{{"ID", "KIND", "NETWORKS", "SENDERS", "EXPIRES", "LAST USE", "DISPLAY NAME"}, {}};
  for (const Credential& credential : *credentials) {
    table.rows.push_back({IdOf(credential.name()), std::string(What(credential.kind())), Joined(credential.networks()),
                          Joined(credential.senders()),
                          credential.has_expire_time() ? TimeUtil::ToString(credential.expire_time()) : "never",
                          credential.has_last_use_time() ? TimeUtil::ToString(credential.last_use_time()) : "never",
                          Printable(credential.display_name())});
  }
  return PrintList(invocation->options.output, Pointers(*credentials), table,
                   "The user has none: gatepostctl user set-password, or credential create", invocation->out);
}

absl::Status Get(Invocation* invocation, const Arguments& arguments) {
  auth::v1::GetCredentialRequest request;
  request.set_name(CredentialName(arguments));
  auto credential = invocation->Call(Service::kAuth, &Credentials::Stub::GetCredential, request);
  if (!credential.ok()) return credential.status();
  return PrintResource(invocation->options.output, *credential, invocation->out);
}

absl::Status Create(Invocation* invocation, const Arguments& arguments) {
  auth::v1::CreateCredentialRequest request;
  request.set_parent(ParentOf(arguments));
  request.set_credential_id(arguments.id);
  Credential* credential = request.mutable_credential();
  if (!arguments.display_name.empty()) credential->set_display_name(arguments.display_name);
  for (const std::string& network : arguments.networks) credential->add_networks(network);
  for (const std::string& sender : arguments.senders) credential->add_senders(sender);
  if (!arguments.expires.empty() && !TimeUtil::FromString(arguments.expires, credential->mutable_expire_time()))
    return UsageError("--expires takes a time as RFC 3339 has it, 2027-01-31T00:00:00Z, not '" + arguments.expires +
                      "'");
  auto created = invocation->Call(Service::kAuth, &Credentials::Stub::CreateCredential, request);
  if (!created.ok()) return created.status();
  // For programs too: it is nowhere else.
  invocation->err << "This is shown once; it goes into the application with the user's login:\n";
  invocation->out << created->application_password() << '\n';
  return absl::OkStatus();
}

absl::Status Update(Invocation* invocation, const Arguments& arguments) {
  auth::v1::UpdateCredentialRequest request;
  Credential* credential = request.mutable_credential();
  absl::Status status = ApplyEdit(arguments.edit, invocation->in, credential, request.mutable_update_mask());
  if (!status.ok()) return status;
  for (const std::string& network : arguments.networks) credential->add_networks(network);
  for (const std::string& sender : arguments.senders) credential->add_senders(sender);
  if (!arguments.networks.empty()) request.mutable_update_mask()->add_paths("networks");
  if (!arguments.senders.empty()) request.mutable_update_mask()->add_paths("senders");
  if (request.update_mask().paths().empty())
    return UsageError("nothing to change: give --network, --sender, --set PATH=VALUE, --clear PATH or --file FILE");
  credential->set_name(CredentialName(arguments));
  if (!arguments.etag.empty()) credential->set_etag(arguments.etag);
  auto updated = invocation->Call(Service::kAuth, &Credentials::Stub::UpdateCredential, request);
  if (!updated.ok()) return updated.status();
  if (invocation->options.output != Format::kText)
    return PrintResource(invocation->options.output, *updated, invocation->out);
  invocation->out << updated->name() << " updated, from the next login on\n";
  return absl::OkStatus();
}

absl::Status Delete(Invocation* invocation, const Arguments& arguments) {
  auth::v1::DeleteCredentialRequest request;
  request.set_name(CredentialName(arguments));
  request.set_etag(arguments.etag);
  auto done = invocation->Call(Service::kAuth, &Credentials::Stub::DeleteCredential, request);
  if (!done.ok()) return done.status();
  if (invocation->options.output == Format::kText)
    invocation->out << request.name() << " revoked; the user's sessions end, between transactions\n";
  return absl::OkStatus();
}

}  // namespace

void AddCredential(CLI::App* root, Invocation* invocation) {
  CLI::App* noun = AddNoun(root, "credential", "What a user logs in by: the password's forms, application passwords");
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  auto add = [&](const std::string& verb, const std::string& help,
                 absl::Status (*action)(Invocation*, const Arguments&)) {
    CLI::App* command = noun->add_subcommand(verb, help);
    command->add_option("USER", a->user, "The user's id")->required();
    if (verb != "list")
      command->add_option("ID", a->id, "The credential's id: password, scram, nt-hash, or an application password's")
          ->required();
    command->callback([=] { invocation->action = [=] { return action(invocation, *arguments); }; });
    return command;
  };
  auto add_bindings = [&](CLI::App* command) {
    Repeatable(command->add_option("--network", a->networks,
                                   "Only clients in it log in by this: 192.0.2.0/24, an address. Repeatable"));
    Repeatable(command->add_option("--sender", a->senders,
                                   "Only as this sender: alice@example.com, or @example.com. Repeatable"));
  };
  add("list", "List a user's credentials, what they are bound to, and when they were last used", List);
  add("get", "Show one, never the secret", Get);

  CLI::App* create = add("create", "Make an application password and print it, once", Create);
  create->add_option("--display-name", a->display_name, "A name for administrators: \"the scanner on floor 2\"");
  create->add_option("--expires", a->expires, "From then on it is refused: 2027-01-31T00:00:00Z");
  add_bindings(create);
  create->footer(
      "Example, for a scanner that sends as one address from one network:\n"
      "  gatepostctl credential create alice scanner --network 192.0.2.0/24 --sender scans@example.com");

  CLI::App* update = add("update", "Change what it is bound to, from the next login on", Update);
  add_bindings(update);
  AddEditOptions(update, &a->edit, /*update=*/true);
  update->add_option("--etag", a->etag, "Only if its etag is still this one");
  update->footer(
      "Lists are replaced as a whole. Examples:\n"
      "  gatepostctl credential update alice password --network 10.0.0.0/8\n"
      "  gatepostctl credential update alice scanner --clear senders --set expireTime=2027-01-31T00:00:00Z");

  CLI::App* remove = add("delete", "Revoke it, and end the user's sessions", Delete);
  remove->add_option("--etag", a->etag, "Only if its etag is still this one");
}

}  // namespace gatepost::ctl
