// gatepostctl pki: the services' own identities, made without a server. pki_folder.h says what lies where.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "services/ctl/cli.h"
#include "services/ctl/pki_folder.h"

namespace gatepost::ctl {
namespace {

struct Arguments {
  std::string folder = ".";
  std::string trust_domain = "gatepost.internal";
  PkiFolder::Identity identity;
  std::vector<std::string> addresses;
};

// Bad names are the caller's mistake: exit code 2.
absl::Status AsUsage(const absl::Status& status) {
  return absl::IsInvalidArgument(status) ? UsageError(std::string(status.message())) : status;
}

absl::Status Init(Invocation* invocation, PkiFolder* folder, const Arguments& arguments) {
  if (absl::Status status = folder->Init(arguments.trust_domain); !status.ok()) return AsUsage(status);
  invocation->out << "A certificate authority for " << arguments.trust_domain << " is in " << arguments.folder
                  << " (ca.crt, ca.key), with master.key and snapshot.key.\n"
                  << "Keep ca.key, master.key and snapshot.key secret. Next: gatepostctl pki issue --dir "
                  << arguments.folder << " config NAME --dns HOST\n";
  return absl::OkStatus();
}

absl::Status Issue(Invocation* invocation, PkiFolder* folder, const Arguments& arguments) {
  PkiFolder::Identity identity = arguments.identity;
  for (const std::string& text : arguments.addresses) {
    auto address = base::IpAddress::Parse(text);
    if (!address.ok()) return UsageError("--ip " + text + ": " + std::string(address.status().message()));
    identity.addresses.push_back(*address);
  }
  if ((identity.role == "config" || identity.role == "auth") && identity.dns_names.empty() &&
      identity.addresses.empty()) {
    return UsageError("a server's certificate needs the names under which it is dialled: --dns NAME or --ip ADDRESS");
  }
  auto id = folder->Issue(identity);
  if (!id.ok()) return AsUsage(id.status());
  const std::string file = folder->File(identity.role + "-" + identity.name);
  invocation->out << *id << ": " << file << ".crt, " << file << ".key\n";
  return absl::OkStatus();
}

absl::Status Renew(Invocation* invocation, PkiFolder* folder, const base::Clock& clock) {
  auto renewals = folder->Renew();
  if (!renewals.ok()) return renewals.status();
  auto seconds = [](base::WallTime time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  };
  for (const PkiFolder::Renewal& renewal : *renewals) {
    invocation->out << renewal.file << (renewal.renewed ? " renewed, expires " : " expires ")
                    << RelativeTime(seconds(renewal.not_after), seconds(clock.WallNow())) << '\n';
  }
  return absl::OkStatus();
}

}  // namespace

void AddPki(CLI::App* root, Invocation* invocation) {
  CLI::App* noun =
      AddNoun(root, "pki", "Identities of services and administrators, where there is no cert-manager or SPIRE");
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  auto run = [=](CLI::App* command, auto action) {
    command->callback([=] {
      invocation->action = [=]() -> absl::Status {
        base::SystemClock clock;
        base::SystemRandom random;
        PkiFolder folder(a->folder, clock, random);
        return action(&folder, *arguments, clock);
      };
    });
  };

  CLI::App* init = noun->add_subcommand(
      "init", "Make a certificate authority (10 years), and the keys that services seal their files with");
  init->add_option("DIR", a->folder, "The folder; made if it is not there")->required();
  init->add_option("--trust-domain", a->trust_domain, "The domain in every identity (gatepost.internal)");
  run(init,
      [=](PkiFolder* folder, const Arguments& args, const base::Clock&) { return Init(invocation, folder, args); });

  CLI::App* issue = noun->add_subcommand("issue", "Issue an identity: DIR/ROLE-NAME.crt and .key, 397 days");
  issue->add_option("ROLE", a->identity.role, "edge, config, auth (services), admin, operator, viewer (people)")
      ->required();
  issue->add_option("NAME", a->identity.name, "Its name; an edge's name is its pool")->required();
  issue->add_option("--dir", a->folder, "The folder of `pki init` (.)");
  Repeatable(issue->add_option("--dns", a->identity.dns_names, "A name under which the server is dialled. Repeatable"));
  Repeatable(issue->add_option("--ip", a->addresses, "An address under which it is dialled. Repeatable"));
  issue->footer(
      "Examples:\n"
      "  gatepostctl pki issue --dir pki config main --dns config.example.net\n"
      "  gatepostctl pki issue --dir pki edge default\n"
      "  gatepostctl pki issue --dir pki operator maria");
  run(issue,
      [=](PkiFolder* folder, const Arguments& args, const base::Clock&) { return Issue(invocation, folder, args); });

  CLI::App* renew =
      noun->add_subcommand("renew", "Renew what has less than a third of its life left; programs reload by themselves");
  renew->add_option("DIR", a->folder, "The folder of `pki init`")->required();
  run(renew,
      [=](PkiFolder* folder, const Arguments&, const base::Clock& clock) { return Renew(invocation, folder, clock); });
}

}  // namespace gatepost::ctl
